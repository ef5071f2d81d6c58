//! A single file read as a share. Nothing can be put into it.

use std::time::SystemTime;

use super::kind::Kind;
use super::open::{MimFile, read_payload, section_at};
use super::{FileError, ImageRow};
use crate::block::MAX_STORED;
use crate::ids::{ImageId, PackId, SegmentId};
use crate::store::{
    BlockPlace, LeaseId, PackFacts, RefName, Run, Source, Store, StoreError, Trashed,
};

impl MimFile {
    fn failed(&self, error: FileError) -> StoreError {
        StoreError::Remote {
            doing: format!("reading {}", self.path.display()),
            retry: false,
            source: Box::new(error),
        }
    }

    fn refuse<T>(&self, what: &'static str, name: &impl ToString) -> Result<T, StoreError> {
        let reason = format!(
            "{} is a single file, which is read only; use `mimeo image export --append`",
            self.path.display()
        );
        Err(StoreError::Refused {
            what,
            name: name.to_string(),
            reason,
        })
    }

    fn check_pack(&self, id: &PackId) -> Result<(), StoreError> {
        if *id == self.file.pack() {
            Ok(())
        } else {
            Err(missing("pack", id))
        }
    }

    fn row(&self, at: &RefName) -> Option<&ImageRow> {
        let found = self.images.binary_search_by_key(at, ImageRow::at).ok()?;
        self.images.get(found)
    }
}

fn missing(what: &'static str, name: &impl ToString) -> StoreError {
    StoreError::Missing {
        what,
        name: name.to_string(),
    }
}

impl Source for MimFile {
    fn block(&self, place: &BlockPlace) -> Result<Vec<u8>, StoreError> {
        self.check_pack(&place.pack)?;
        let range = || StoreError::Range { place: *place };
        if place.stored > MAX_STORED {
            return Err(range());
        }
        let bytes = self.pieces.read(place.offset, u64::from(place.stored));
        bytes.map_err(|error| self.failed(error))?.ok_or_else(range)
    }
}

impl Store for MimFile {
    fn put_pack(&self, id: &PackId, _: &[u8]) -> Result<(), StoreError> {
        self.refuse("pack", id)
    }

    fn list_packs(&self) -> Result<Vec<PackId>, StoreError> {
        Ok(vec![self.file.pack()])
    }

    fn read_pack(&self, id: &PackId) -> Result<Vec<u8>, StoreError> {
        Err(missing("pack", id))
    }

    fn put_index(&self, id: &SegmentId, _: &[u8]) -> Result<(), StoreError> {
        self.refuse("index segment", id)
    }

    fn list_indexes(&self) -> Result<Vec<SegmentId>, StoreError> {
        Ok(self.tables.keys().copied().collect())
    }

    fn read_index(&self, id: &SegmentId) -> Result<Vec<u8>, StoreError> {
        let table = self.tables.get(id);
        let (at, section) = table.ok_or_else(|| missing("index segment", id))?;
        read_payload(&self.pieces, section, *at).map_err(|error| self.failed(error))
    }

    fn put_manifest(&self, id: &ImageId, _: &[u8]) -> Result<(), StoreError> {
        self.refuse("manifest", id)
    }

    fn list_manifests(&self) -> Result<Vec<ImageId>, StoreError> {
        let mut ids: Vec<ImageId> = self.images.iter().map(|row| row.record.image).collect();
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    fn read_manifest(&self, id: &ImageId) -> Result<Vec<u8>, StoreError> {
        let row = self.images.iter().find(|row| row.record.image == *id);
        let at = row.ok_or_else(|| missing("manifest", id))?.manifest_at;
        let section = section_at(&self.pieces, at, self.file, Kind::Manifest);
        let bytes = section.and_then(|section| read_payload(&self.pieces, &section, at));
        bytes.map_err(|error| self.failed(error))
    }

    fn put_ref(&self, at: &RefName, _: &[u8]) -> Result<(), StoreError> {
        self.refuse("ref", at)
    }

    fn list_refs(&self) -> Result<Vec<RefName>, StoreError> {
        Ok(self.images.iter().map(ImageRow::at).collect())
    }

    fn read_ref(&self, at: &RefName) -> Result<Vec<u8>, StoreError> {
        let row = self.row(at).ok_or_else(|| missing("ref", at))?;
        Ok(row.reference.clone())
    }

    fn delete_ref(&self, at: &RefName) -> Result<(), StoreError> {
        self.refuse("ref", at)
    }

    fn list_deleted_refs(&self) -> Result<Vec<RefName>, StoreError> {
        Ok(Vec::new())
    }

    fn tidy_refs(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn pack_facts(&self, id: &PackId) -> Result<PackFacts, StoreError> {
        self.check_pack(id)?;
        Ok(PackFacts {
            length: self.length(),
            written: None,
        })
    }

    fn read_pack_part(&self, id: &PackId, offset: u64, length: u32) -> Result<Vec<u8>, StoreError> {
        self.check_pack(id)?;
        let bytes = self.pieces.read(offset, u64::from(length));
        bytes
            .map_err(|error| self.failed(error))?
            .ok_or(StoreError::Short {
                pack: *id,
                offset,
                length,
            })
    }

    fn remove_index(&self, id: &SegmentId) -> Result<bool, StoreError> {
        self.refuse("index segment", id)
    }

    fn condemn(&self, what: &Trashed) -> Result<bool, StoreError> {
        self.refuse("garbage", what)
    }

    fn restore(&self, what: &Trashed) -> Result<bool, StoreError> {
        self.refuse("garbage", what)
    }

    fn destroy(&self, what: &Trashed) -> Result<bool, StoreError> {
        self.refuse("garbage", what)
    }

    fn adopt(&self, what: &Trashed, _: &Trashed) -> Result<bool, StoreError> {
        self.refuse("garbage", what)
    }

    fn list_trash(&self) -> Result<Vec<Trashed>, StoreError> {
        Ok(Vec::new())
    }

    fn trash_length(&self, what: &Trashed) -> Result<u64, StoreError> {
        Err(missing("garbage", what))
    }

    fn settle(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn put_seal(&self, run: &Run, _: &[u8]) -> Result<(), StoreError> {
        self.refuse("seal", run)
    }

    fn list_seals(&self) -> Result<Vec<Run>, StoreError> {
        Ok(Vec::new())
    }

    fn read_seal(&self, run: &Run) -> Result<Vec<u8>, StoreError> {
        Err(missing("seal", run))
    }

    fn remove_seal(&self, run: &Run) -> Result<bool, StoreError> {
        self.refuse("seal", run)
    }

    fn put_lease(&self, id: &LeaseId, _: &[u8]) -> Result<(), StoreError> {
        self.refuse("lease", id)
    }

    fn list_leases(&self) -> Result<Vec<LeaseId>, StoreError> {
        Ok(Vec::new())
    }

    fn read_lease(&self, id: &LeaseId) -> Result<Vec<u8>, StoreError> {
        Err(missing("lease", id))
    }

    fn remove_lease(&self, id: &LeaseId) -> Result<bool, StoreError> {
        self.refuse("lease", id)
    }

    fn packs_have_tables(&self) -> bool {
        false
    }

    fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.unwrap_or_default().as_secs()
    }

    fn owner(&self) -> String {
        format!("process {}", std::process::id())
    }
}

//! A single file read as a share. Nothing can be put into it.

use std::path::Path;

use super::open::{MimFile, read_payload, section_at};
use super::section::{FileId, Kind};
use super::{FileError, ImageRow};
use crate::block::MAX_STORED;
use crate::ids::{ImageId, PackId, SegmentId};
use crate::store::{BlockPlace, DirStore, RefName, Source, Store, StoreError};

/// Opens a share in a folder or a single file, to be read; and what a person
/// should know although that went well.
///
/// # Errors
/// It is neither, or cannot be used.
pub fn open_any(path: &Path) -> Result<(Box<dyn Store>, Option<String>), StoreError> {
    if path.is_dir() || !is_single_file(path) {
        return Ok((Box::new(DirStore::open(path)?), None));
    }
    let opened = MimFile::open(path).map_err(|error| StoreError::Remote {
        doing: format!("opening {}", path.display()),
        retry: false,
        source: Box::new(error),
    })?;
    let warning = opened.warning();
    Ok((Box::new(opened), warning))
}

fn is_single_file(path: &Path) -> bool {
    path.exists() || super::pieces::part_path(path, 1).exists()
}

/// The pack that blocks of a single file are said to lie in: the file itself,
/// heads of parts not counted.
pub(super) fn pack_id(file: &FileId) -> PackId {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(b"mimeo single file as a pack 1\0")
        .update(&file.0);
    PackId::from(hasher.finalize())
}

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

    fn row(&self, at: &RefName) -> Option<&ImageRow> {
        self.images.iter().find(|row| row.at() == *at)
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
        if place.pack != pack_id(&self.file) {
            return Err(missing("pack", &place.pack));
        }
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
        Ok(vec![pack_id(&self.file)])
    }

    fn read_pack(&self, id: &PackId) -> Result<Vec<u8>, StoreError> {
        Err(missing("pack", id))
    }

    fn put_index(&self, id: &SegmentId, _: &[u8]) -> Result<(), StoreError> {
        self.refuse("index segment", id)
    }

    fn list_indexes(&self) -> Result<Vec<SegmentId>, StoreError> {
        Ok(self.tables.iter().map(|(id, _, _)| *id).collect())
    }

    fn read_index(&self, id: &SegmentId) -> Result<Vec<u8>, StoreError> {
        let table = self.tables.iter().find(|(known, _, _)| known == id);
        let (_, at, section) = table.ok_or_else(|| missing("index segment", id))?;
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
}

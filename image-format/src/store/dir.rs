//! A store in a directory: the one place of this crate that opens files.
//!
//! ```text
//! format.json              which version, which features
//! packs/ab/<id>.pack       index/<id>.idx       manifests/<id>.man
//! refs/<name>/<sequence>.json                   incoming/ (files being written)
//! trash/<run>-<kind>-<id>                       leases/<lease>.json
//! ```
//! A file is written under `incoming`, synced, given its name, and the
//! directory is synced: it appears whole or not at all. Nothing is ever
//! renamed over something else, and no lock is held.

mod files;
mod format;
mod holder;
mod map;
mod refs;
mod trash;

pub use map::map_immutable;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use self::files::{Files, read, read_part};
use self::refs::Refs;
use self::trash::TrashCan;
use super::memory::{check_manifest, check_name};
use super::{
    BlockPlace, Holder, LeaseId, Object, PackFacts, RefName, Run, Source, Store, StoreError,
    Trashed,
};
use crate::block::MAX_STORED;
use crate::ids::{ImageId, PackId, SegmentId};
use crate::index::SegmentBytes;
use crate::refs::MAX_REF;
use crate::{index, manifest, pack};

const FOLDERS: [&str; 7] = [
    "packs",
    "index",
    "manifests",
    "refs",
    "incoming",
    "trash",
    "leases",
];

/// A store in a directory of a local or mounted file system.
#[derive(Debug)]
pub struct DirStore {
    root: PathBuf,
    files: Files,
    refs: Refs,
    trash: TrashCan,
    /// The feature that forbids this program to write.
    read_only: Option<String>,
}

impl DirStore {
    /// Makes an empty share. The directory may exist when it is empty.
    ///
    /// # Errors
    /// The directory holds something, or cannot be written.
    pub fn init(dir: &Path) -> Result<Self, StoreError> {
        files::make_dir(dir)?;
        if let Some(name) = files::names(dir)?.first() {
            let found = format!("{name:?}; name an empty directory");
            return Err(StoreError::Format {
                path: dir.to_owned(),
                expected: "an empty directory",
                found,
            });
        }
        for folder in FOLDERS {
            files::make_dir(&dir.join(folder))?;
        }
        let store = Self::at(dir, None);
        format::write(dir, &store.files)?;
        Ok(store)
    }

    /// Opens a share.
    ///
    /// # Errors
    /// It is none, one of another version, or has features this program must know.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let store = Self::at(dir, format::check(dir)?);
        if store.read_only.is_none() {
            store.files.forget_abandoned();
        }
        Ok(store)
    }

    fn at(dir: &Path, read_only: Option<String>) -> Self {
        Self {
            root: dir.to_owned(),
            files: Files::new(dir.join("incoming")),
            refs: Refs::new(dir.join("refs")),
            trash: TrashCan::new(dir),
            read_only,
        }
    }

    /// Who writes, or takes away, asks here.
    fn writable(&self) -> Result<&Files, StoreError> {
        match &self.read_only {
            None => Ok(&self.files),
            Some(feature) => Err(StoreError::ReadOnly {
                path: self.root.clone(),
                feature: feature.clone(),
            }),
        }
    }

    fn pack_path(&self, id: &PackId) -> PathBuf {
        let name = id.to_string();
        self.root
            .join("packs")
            .join(name.get(..2).unwrap_or_default())
            .join(format!("{name}.pack"))
    }

    fn index_path(&self, id: &SegmentId) -> PathBuf {
        self.root.join("index").join(format!("{id}.idx"))
    }

    fn manifest_path(&self, id: &ImageId) -> PathBuf {
        self.root.join("manifests").join(format!("{id}.man"))
    }

    fn home(&self, object: &Object) -> PathBuf {
        match object {
            Object::Pack(id) => self.pack_path(id),
            Object::Manifest(id) => self.manifest_path(id),
        }
    }

    /// Reads it at home, else in the trash, else at home again: it may have
    /// been restored while the trash was searched.
    fn read_anywhere<T>(
        &self,
        object: &Object,
        read: impl Fn(&Path) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let home = self.home(object);
        match read(&home) {
            Err(StoreError::Missing { .. }) => {}
            other => return other,
        }
        if let Some(path) = self.trash.find(object)? {
            match read(&path) {
                Err(StoreError::Missing { .. }) => {}
                other => return other,
            }
        }
        read(&home)
    }

    fn read_pack_bytes(
        &self,
        id: &PackId,
        offset: u64,
        length: u32,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_anywhere(&Object::Pack(*id), |path| read_part(path, offset, length))
    }
}

fn listed<T: std::str::FromStr>(dir: &Path, suffix: &str) -> Result<Vec<T>, StoreError> {
    let names = files::names_if_any(dir)?;
    Ok(names
        .iter()
        .filter_map(|name| name.strip_suffix(suffix)?.parse().ok())
        .collect())
}

impl Source for DirStore {
    fn block(&self, place: &BlockPlace) -> Result<Vec<u8>, StoreError> {
        let range = StoreError::Range { place: *place };
        if place.stored > MAX_STORED {
            return Err(range);
        }
        self.read_pack_bytes(&place.pack, place.offset, place.stored)?
            .ok_or(range)
    }
}

impl Store for DirStore {
    fn put_pack(&self, id: &PackId, bytes: &[u8]) -> Result<(), StoreError> {
        check_name("pack", id, &PackId::of(bytes))?;
        let files = self.writable()?;
        let path = self.pack_path(id);
        path.parent().map_or(Ok(()), files::make_dir)?;
        files.put(&path, bytes)
    }

    fn list_packs(&self) -> Result<Vec<PackId>, StoreError> {
        let mut packs = Vec::new();
        for folder in files::names(&self.root.join("packs"))? {
            packs.extend(listed::<PackId>(
                &self.root.join("packs").join(folder),
                ".pack",
            )?);
        }
        packs.sort();
        Ok(packs)
    }

    fn read_pack(&self, id: &PackId) -> Result<Vec<u8>, StoreError> {
        self.read_anywhere(&Object::Pack(*id), |path| {
            read("pack", path, pack::MAX_PACK)
        })
    }

    fn put_index(&self, id: &SegmentId, bytes: &[u8]) -> Result<(), StoreError> {
        check_name("index segment", id, &SegmentId::of(bytes))?;
        self.writable()?.put(&self.index_path(id), bytes)
    }

    fn list_indexes(&self) -> Result<Vec<SegmentId>, StoreError> {
        listed(&self.root.join("index"), ".idx")
    }

    fn read_index(&self, id: &SegmentId) -> Result<Vec<u8>, StoreError> {
        read("index segment", &self.index_path(id), index::MAX_SEGMENT)
    }

    fn map_index(&self, id: &SegmentId) -> Result<SegmentBytes, StoreError> {
        match map_immutable(&self.index_path(id), index::MAX_SEGMENT) {
            Some(bytes) => Ok(bytes),
            None => self.read_index(id).map(SegmentBytes::from),
        }
    }

    fn put_manifest(&self, id: &ImageId, bytes: &[u8]) -> Result<(), StoreError> {
        check_manifest(id, bytes)?;
        self.writable()?.put(&self.manifest_path(id), bytes)
    }

    fn list_manifests(&self) -> Result<Vec<ImageId>, StoreError> {
        listed(&self.root.join("manifests"), ".man")
    }

    fn read_manifest(&self, id: &ImageId) -> Result<Vec<u8>, StoreError> {
        self.read_anywhere(&Object::Manifest(*id), |path| {
            read("manifest", path, manifest::MAX_ROOT)
        })
    }

    fn put_ref(&self, at: &RefName, bytes: &[u8]) -> Result<(), StoreError> {
        self.refs.put(self.writable()?, at, bytes)
    }

    fn list_refs(&self) -> Result<Vec<RefName>, StoreError> {
        self.refs.list()
    }

    fn read_ref(&self, at: &RefName) -> Result<Vec<u8>, StoreError> {
        read("ref", &self.refs.path(at), MAX_REF)
    }

    fn delete_ref(&self, at: &RefName) -> Result<(), StoreError> {
        self.refs.delete(self.writable()?, at)
    }

    fn list_deleted_refs(&self) -> Result<Vec<RefName>, StoreError> {
        self.refs.deleted()
    }

    fn tidy_refs(&self) -> Result<(), StoreError> {
        self.writable()?;
        self.refs.tidy()
    }

    fn pack_facts(&self, id: &PackId) -> Result<PackFacts, StoreError> {
        self.read_anywhere(&Object::Pack(*id), |path| files::facts("pack", path))
    }

    fn read_pack_part(&self, id: &PackId, offset: u64, length: u32) -> Result<Vec<u8>, StoreError> {
        let bytes = match u64::from(length) <= pack::MAX_PACK {
            true => self.read_pack_bytes(id, offset, length)?,
            false => None,
        };
        bytes.ok_or_else(|| StoreError::Short {
            pack: *id,
            offset,
            length,
        })
    }

    fn remove_index(&self, id: &SegmentId) -> Result<bool, StoreError> {
        self.writable()?;
        self.trash.take_away(&self.index_path(id))
    }

    fn condemn(&self, what: &Trashed) -> Result<bool, StoreError> {
        self.writable()?;
        self.trash.condemn(&self.home(&what.object), what)
    }

    fn restore(&self, what: &Trashed) -> Result<bool, StoreError> {
        self.writable()?;
        self.trash.restore(&self.home(&what.object), what)
    }

    fn destroy(&self, what: &Trashed) -> Result<bool, StoreError> {
        self.writable()?;
        self.trash.destroy(what)
    }

    fn adopt(&self, what: &Trashed, ours: &Trashed) -> Result<bool, StoreError> {
        self.writable()?;
        self.trash.condemn(&self.trash.path(what), ours)
    }

    fn list_trash(&self) -> Result<Vec<Trashed>, StoreError> {
        self.trash.list()
    }

    fn trash_length(&self, what: &Trashed) -> Result<u64, StoreError> {
        files::facts("trash", &self.trash.path(what)).map(|facts| facts.length)
    }

    fn settle(&self) -> Result<(), StoreError> {
        self.trash.settle()
    }

    fn put_seal(&self, run: &Run, bytes: &[u8]) -> Result<(), StoreError> {
        self.trash.put_seal(self.writable()?, run, bytes)
    }

    fn list_seals(&self) -> Result<Vec<Run>, StoreError> {
        self.trash.seals()
    }

    fn read_seal(&self, run: &Run) -> Result<Vec<u8>, StoreError> {
        self.trash.read_seal(run)
    }

    fn remove_seal(&self, run: &Run) -> Result<bool, StoreError> {
        self.writable()?;
        self.trash.remove_seal(run)
    }

    fn put_lease(&self, id: &LeaseId, bytes: &[u8]) -> Result<(), StoreError> {
        self.trash.put_lease(self.writable()?, id, bytes)
    }

    fn list_leases(&self) -> Result<Vec<LeaseId>, StoreError> {
        self.trash.leases()
    }

    fn read_lease(&self, id: &LeaseId) -> Result<Vec<u8>, StoreError> {
        self.trash.read_lease(id)
    }

    fn remove_lease(&self, id: &LeaseId) -> Result<bool, StoreError> {
        self.trash.remove_lease(id)
    }

    fn now(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }

    fn owner(&self) -> String {
        files::owner()
    }

    fn holder(&self) -> Option<Holder> {
        holder::own(&self.root)
    }

    fn is_gone(&self, other: &Holder) -> bool {
        holder::is_gone(&self.root, other)
    }
}

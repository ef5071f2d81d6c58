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
mod system;
mod trash;

pub use map::map_immutable;
pub use system::{FileFacts, FileSystem, Mounted, Reading, Writing};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use self::files::Files;
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
    files: Arc<Files>,
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
        Self::init_on(Arc::new(Mounted), dir)
    }

    /// As [`DirStore::init`], on any file system.
    ///
    /// # Errors
    /// As [`DirStore::init`].
    pub fn init_on(system: Arc<dyn FileSystem>, dir: &Path) -> Result<Self, StoreError> {
        let store = Self::at(system, dir);
        store.files.make_dir(dir)?;
        if let Some(name) = store.files.names(dir)?.first() {
            let found = format!("{name:?}; name an empty directory");
            return Err(StoreError::Format {
                path: dir.to_owned(),
                expected: "an empty directory",
                found,
            });
        }
        for folder in FOLDERS {
            store.files.make_dir(&dir.join(folder))?;
        }
        format::write(dir, &store.files)?;
        Ok(store)
    }

    /// Opens a share.
    ///
    /// # Errors
    /// It is none, one of another version, or has features this program must know.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_on(Arc::new(Mounted), dir)
    }

    /// As [`DirStore::open`], on any file system.
    ///
    /// # Errors
    /// As [`DirStore::open`].
    pub fn open_on(system: Arc<dyn FileSystem>, dir: &Path) -> Result<Self, StoreError> {
        let mut store = Self::at(system, dir);
        store.read_only = format::check(dir, &store.files)?;
        if store.read_only.is_none() {
            store.files.forget_abandoned();
        }
        Ok(store)
    }

    fn at(system: Arc<dyn FileSystem>, dir: &Path) -> Self {
        let files = Arc::new(Files::new(system, dir.join("incoming")));
        Self {
            root: dir.to_owned(),
            refs: Refs::new(Arc::clone(&files), dir.join("refs")),
            trash: TrashCan::new(Arc::clone(&files), dir),
            files,
            read_only: None,
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
        self.read_anywhere(&Object::Pack(*id), |path| {
            self.files.read_part(path, offset, length)
        })
    }
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
        files.make_parent(&path)?;
        files.put(&path, bytes)
    }

    fn list_packs(&self) -> Result<Vec<PackId>, StoreError> {
        let mut packs = Vec::new();
        let root = self.root.join("packs");
        for folder in self.files.names(&root)? {
            packs.extend(self.files.listed::<PackId>(&root.join(folder), ".pack")?);
        }
        packs.sort();
        Ok(packs)
    }

    fn read_pack(&self, id: &PackId) -> Result<Vec<u8>, StoreError> {
        self.read_anywhere(&Object::Pack(*id), |path| {
            self.files.read("pack", path, pack::MAX_PACK)
        })
    }

    fn put_index(&self, id: &SegmentId, bytes: &[u8]) -> Result<(), StoreError> {
        check_name("index segment", id, &SegmentId::of(bytes))?;
        self.writable()?.put(&self.index_path(id), bytes)
    }

    fn list_indexes(&self) -> Result<Vec<SegmentId>, StoreError> {
        self.files.listed(&self.root.join("index"), ".idx")
    }

    fn read_index(&self, id: &SegmentId) -> Result<Vec<u8>, StoreError> {
        self.files
            .read("index segment", &self.index_path(id), index::MAX_SEGMENT)
    }

    fn map_index(&self, id: &SegmentId) -> Result<SegmentBytes, StoreError> {
        match self.files.map(&self.index_path(id), index::MAX_SEGMENT) {
            Some(bytes) => Ok(bytes),
            None => self.read_index(id).map(SegmentBytes::from),
        }
    }

    fn put_manifest(&self, id: &ImageId, bytes: &[u8]) -> Result<(), StoreError> {
        check_manifest(id, bytes)?;
        self.writable()?.put(&self.manifest_path(id), bytes)
    }

    fn list_manifests(&self) -> Result<Vec<ImageId>, StoreError> {
        self.files.listed(&self.root.join("manifests"), ".man")
    }

    fn read_manifest(&self, id: &ImageId) -> Result<Vec<u8>, StoreError> {
        self.read_anywhere(&Object::Manifest(*id), |path| {
            self.files.read("manifest", path, manifest::MAX_ROOT)
        })
    }

    fn put_ref(&self, at: &RefName, bytes: &[u8]) -> Result<(), StoreError> {
        let files = self.writable()?;
        // An image counts on segments of others. One of these may have been killed
        // when its segment could be seen, but was not durable; so may who made the share.
        files.sync_dir(&self.root.join("index"))?;
        files.sync_dir(&self.root)?;
        self.refs.put(at, bytes)
    }

    fn list_refs(&self) -> Result<Vec<RefName>, StoreError> {
        self.refs.list()
    }

    fn read_ref(&self, at: &RefName) -> Result<Vec<u8>, StoreError> {
        self.files.read("ref", &self.refs.path(at), MAX_REF)
    }

    fn delete_ref(&self, at: &RefName) -> Result<(), StoreError> {
        self.writable()?;
        self.refs.delete(at)
    }

    fn set_ref_aside(&self, at: &RefName) -> Result<(), StoreError> {
        self.writable()?;
        self.refs.set_aside(at)
    }

    fn list_deleted_refs(&self) -> Result<Vec<RefName>, StoreError> {
        self.refs.deleted()
    }

    fn tidy_refs(&self) -> Result<(), StoreError> {
        self.writable()?;
        self.refs.tidy()
    }

    fn pack_facts(&self, id: &PackId) -> Result<PackFacts, StoreError> {
        self.read_anywhere(&Object::Pack(*id), |path| self.files.facts("pack", path))
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
        let (files, home) = (self.writable()?, self.home(&what.object));
        // Who moved it back may have been killed before that was durable.
        if files.exists(&home)? {
            files.sync_parent(&home)?;
        }
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
        let facts = self.files.facts("trash", &self.trash.path(what));
        facts.map(|facts| facts.length)
    }

    fn confirm(&self) -> Result<(), StoreError> {
        let packs = self.root.join("packs");
        for folder in self.files.names(&packs)? {
            self.files.sync_dir(&packs.join(folder))?;
        }
        for folder in ["packs", "index", "manifests"] {
            self.files.sync_dir(&self.root.join(folder))?;
        }
        Ok(())
    }

    fn settle(&self) -> Result<(), StoreError> {
        self.trash.settle()
    }

    fn put_seal(&self, run: &Run, bytes: &[u8]) -> Result<(), StoreError> {
        self.writable()?;
        self.trash.put_seal(run, bytes)
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
        self.writable()?;
        self.trash.put_lease(id, bytes)
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
        let since = self.files.now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
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

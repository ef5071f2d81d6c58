//! A store in a directory: the one place of this crate that opens files.
//!
//! ```text
//! format.json              which version, which features
//! packs/ab/<id>.pack       index/<id>.idx       manifests/<id>.man
//! refs/<name>/<sequence>.json                   incoming/ (files being written)
//! ```
//! A file is written under `incoming`, synced, given its name, and the
//! directory is synced: it appears whole or not at all. Nothing is ever
//! renamed over something else, and no lock is held.

mod files;
mod map;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::files::{Files, read, read_range};
use super::memory::{check_follows, check_manifest, check_name};
use super::{BlockPlace, RefName, Source, Store, StoreError};
use crate::ids::{ImageId, PackId, SegmentId};
use crate::index::SegmentBytes;
use crate::refs::{MAX_REF, name_from_file, name_to_file};
use crate::{index, manifest, pack};

const FORMAT: &str = "format.json";
const FORMAT_WORD: &str = "mimeo share";
const VERSION: u32 = 0;
const EXPECTED: &str = "a mimeo share of version 0";
const FOLDERS: [&str; 5] = ["packs", "index", "manifests", "refs", "incoming"];
/// `format.json` is a few lines.
const MAX_FORMAT: u64 = 64 << 10;

/// What `format.json` says. A reader refuses incompatible features it does not
/// know, and writes nothing when a read-only-compatible one is unknown.
#[derive(Debug, Serialize, Deserialize)]
struct Format {
    format: String,
    version: u32,
    compatible: Vec<String>,
    read_only_compatible: Vec<String>,
    incompatible: Vec<String>,
}

/// A store in a directory of a local or mounted file system.
#[derive(Debug)]
pub struct DirStore {
    root: PathBuf,
    files: Files,
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
        let format = Format {
            format: FORMAT_WORD.to_owned(),
            version: VERSION,
            compatible: Vec::new(),
            read_only_compatible: Vec::new(),
            incompatible: Vec::new(),
        };
        let path = dir.join(FORMAT);
        let mut text = serde_json::to_vec_pretty(&format).map_err(|error| StoreError::Io {
            doing: "writing",
            path: path.clone(),
            source: error.into(),
        })?;
        text.push(b'\n');
        let files = Files::new(dir.join("incoming"));
        files.put(&path, &text)?;
        Ok(Self {
            root: dir.to_owned(),
            files,
        })
    }

    /// Opens a share.
    ///
    /// # Errors
    /// It is none, or one of another version.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FORMAT);
        let refuse = |found: String| StoreError::Format {
            path: dir.to_owned(),
            expected: EXPECTED,
            found,
        };
        let text = match read("share", &path, MAX_FORMAT) {
            Ok(text) => text,
            Err(StoreError::Missing { .. }) => {
                return Err(refuse(format!(
                    "no {FORMAT}; `mimeo share init` makes a share"
                )));
            }
            Err(error) => return Err(error),
        };
        let format: Format =
            serde_json::from_slice(&text).map_err(|error| refuse(format!("{FORMAT}: {error}")))?;
        if format.format != FORMAT_WORD {
            return Err(refuse(format!("{:?}", format.format)));
        }
        if format.version != VERSION {
            return Err(refuse(format!(
                "version {}: capture again with this program",
                format.version
            )));
        }
        if let Some(feature) = format
            .incompatible
            .iter()
            .chain(&format.read_only_compatible)
            .next()
        {
            return Err(refuse(format!("feature {feature:?}: use a newer program")));
        }
        let files = Files::new(dir.join("incoming"));
        files.forget_abandoned();
        Ok(Self {
            root: dir.to_owned(),
            files,
        })
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

    fn ref_path(&self, at: &RefName) -> PathBuf {
        self.root
            .join("refs")
            .join(name_to_file(&at.name))
            .join(format!("{:020}.json", at.sequence))
    }

    fn sequences(&self, file: &str) -> Result<Vec<u64>, StoreError> {
        let names = files::names_if_any(&self.root.join("refs").join(file))?;
        Ok(names
            .iter()
            .filter_map(|name| name.strip_suffix(".json")?.parse().ok())
            .collect())
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
        read_range(&self.pack_path(&place.pack), place)
    }
}

impl Store for DirStore {
    fn put_pack(&self, id: &PackId, bytes: &[u8]) -> Result<(), StoreError> {
        check_name("pack", id, &PackId::of(bytes))?;
        let path = self.pack_path(id);
        path.parent().map_or(Ok(()), files::make_dir)?;
        self.files.put(&path, bytes)
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
        read("pack", &self.pack_path(id), pack::MAX_PACK)
    }

    fn put_index(&self, id: &SegmentId, bytes: &[u8]) -> Result<(), StoreError> {
        check_name("index segment", id, &SegmentId::of(bytes))?;
        self.files.put(&self.index_path(id), bytes)
    }

    fn list_indexes(&self) -> Result<Vec<SegmentId>, StoreError> {
        listed(&self.root.join("index"), ".idx")
    }

    fn read_index(&self, id: &SegmentId) -> Result<Vec<u8>, StoreError> {
        read("index segment", &self.index_path(id), index::MAX_SEGMENT)
    }

    fn map_index(&self, id: &SegmentId) -> Result<SegmentBytes, StoreError> {
        match map::map(&self.index_path(id), index::MAX_SEGMENT) {
            Some(bytes) => Ok(bytes),
            None => self.read_index(id).map(SegmentBytes::from),
        }
    }

    fn put_manifest(&self, id: &ImageId, bytes: &[u8]) -> Result<(), StoreError> {
        check_manifest(id, bytes)?;
        self.files.put(&self.manifest_path(id), bytes)
    }

    fn list_manifests(&self) -> Result<Vec<ImageId>, StoreError> {
        listed(&self.root.join("manifests"), ".man")
    }

    fn read_manifest(&self, id: &ImageId) -> Result<Vec<u8>, StoreError> {
        read("manifest", &self.manifest_path(id), manifest::MAX_ROOT)
    }

    fn put_ref(&self, at: &RefName, bytes: &[u8]) -> Result<(), StoreError> {
        let newest = self.sequences(&name_to_file(&at.name))?.into_iter().max();
        check_follows(at, newest)?;
        let path = self.ref_path(at);
        path.parent().map_or(Ok(()), files::make_dir)?;
        if self.files.put_new(&path, bytes)? {
            Ok(())
        } else {
            Err(StoreError::Conflict {
                at: at.clone(),
                newest: at.sequence,
            })
        }
    }

    fn list_refs(&self) -> Result<Vec<RefName>, StoreError> {
        let mut refs = Vec::new();
        for file in files::names(&self.root.join("refs"))? {
            let Some(name) = name_from_file(&file) else {
                continue;
            };
            let sequences = self.sequences(&file)?;
            refs.extend(sequences.into_iter().map(|sequence| RefName {
                name: name.clone(),
                sequence,
            }));
        }
        refs.sort();
        Ok(refs)
    }

    fn read_ref(&self, at: &RefName) -> Result<Vec<u8>, StoreError> {
        read("ref", &self.ref_path(at), MAX_REF)
    }
}

//! Entries of an image, read leaf by leaf.

use std::collections::VecDeque;

use super::{Share, ShareError};
use crate::entry::Entry;
use crate::ids::{ChunkRef, ImageId};
use crate::image::ImageRecord;
use crate::manifest::directory::{self, LeafRef};
use crate::manifest::{self, ManifestError, Root, TreeCheck, VolumeRoot, Witness, witness};
use crate::store::Store;

/// The entries of one volume in path order; one leaf is in memory. After an
/// error there is nothing more.
pub struct Entries<'s, S: Store> {
    share: &'s Share<S>,
    image: ImageId,
    check: TreeCheck,
    leaves: VecDeque<LeafRef>,
    now: VecDeque<Entry>,
}

impl<S: Store> Iterator for Entries<'_, S> {
    type Item = Result<Entry, ShareError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.now.is_empty() {
            let leaf = self.leaves.pop_front()?;
            match self.share.leaf(&leaf) {
                Ok(entries) => self.now = entries.into(),
                Err(error) => return Some(Err(self.fail(error))),
            }
        }
        let entry = self.now.pop_front()?;
        match self.check.entry(&entry) {
            Ok(()) => Some(Ok(entry)),
            Err(error) => Some(Err(self.fail(error))),
        }
    }
}

impl<S: Store> Entries<'_, S> {
    fn fail(&mut self, source: ManifestError) -> ShareError {
        self.leaves.clear();
        self.now.clear();
        let id = self.image;
        ShareError::Manifest { id, source }
    }
}

/// The witnesses of one volume, one for each entry, in the order of the entries.
pub struct Witnesses<'s, S: Store> {
    share: &'s Share<S>,
    /// Rows of each leaf, and the chunk of its witnesses.
    leaves: VecDeque<(u32, ChunkRef)>,
    now: VecDeque<Witness>,
}

impl<S: Store> Iterator for Witnesses<'_, S> {
    type Item = Result<Witness, ShareError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.now.is_empty() {
            let (rows, chunk) = self.leaves.pop_front()?;
            let rows = usize::try_from(rows).unwrap_or(usize::MAX);
            let bytes = match chunk.length {
                0 => Vec::new(),
                _ => match self.share.chunk(&chunk) {
                    Ok(bytes) => bytes,
                    Err(error) => {
                        self.leaves.clear();
                        return Some(Err(error));
                    }
                },
            };
            let (found, _) = bytes.as_chunks();
            self.now
                .extend(found.iter().take(rows).map(|bytes| Witness(*bytes)));
            // An entry without a witness is not trusted.
            self.now.resize(rows, Witness::default());
        }
        self.now.pop_front().map(Ok)
    }
}

impl<S: Store> Share<S> {
    /// The root of an image: its disk, and where its entries are.
    ///
    /// # Errors
    /// It is missing or damaged.
    pub fn root(&self, id: &ImageId) -> Result<Root, ShareError> {
        let bytes = self.store().read_manifest(id)?;
        Root::decode(id, &bytes).map_err(|source| ShareError::Manifest { id: *id, source })
    }

    /// The entries of a volume (index into [`Root::volumes`]) in path order.
    ///
    /// # Errors
    /// The image or its directory cannot be read, or has no such volume.
    pub fn entries(&self, id: &ImageId, volume: usize) -> Result<Entries<'_, S>, ShareError> {
        let root = self.volume_root(id, volume)?;
        let leaves: VecDeque<LeafRef> = self.leaves(id, &root)?.into();
        self.expect(leaves.iter().map(|leaf| leaf.chunk.id))?;
        let check = TreeCheck::new(root.partition);
        Ok(Entries {
            share: self,
            image: *id,
            check,
            leaves,
            now: VecDeque::new(),
        })
    }

    /// The entry at a path, if there is one: reads the directory and one leaf.
    ///
    /// # Errors
    /// The image cannot be read, or has no such volume.
    pub fn entry(
        &self,
        id: &ImageId,
        volume: usize,
        path: &[u8],
    ) -> Result<Option<Entry>, ShareError> {
        let root = self.volume_root(id, volume)?;
        let leaves = self.leaves(id, &root)?;
        let Some(leaf) = leaf_of(&leaves, path) else {
            return Ok(None);
        };
        let entries = self
            .leaf(leaf)
            .map_err(|source| ShareError::Manifest { id: *id, source })?;
        Ok(entries.into_iter().find(|entry| entry.path == path))
    }

    /// What lies directly in a directory, in path order. What lies deeper is
    /// skipped, so a root with a million entries below it costs a few leaves.
    ///
    /// # Errors
    /// The image cannot be read, or has no such volume.
    pub fn children(
        &self,
        id: &ImageId,
        volume: usize,
        dir: &[u8],
    ) -> Result<Vec<Entry>, ShareError> {
        let root = self.volume_root(id, volume)?;
        let leaves = self.leaves(id, &root)?;
        let damaged = |source| ShareError::Manifest { id: *id, source };
        let prefix = if dir.is_empty() {
            Vec::new()
        } else {
            [dir, b"/"].concat()
        };
        let mut found: Vec<Entry> = Vec::new();
        // The first path that may still be a child.
        let mut from = prefix.clone();
        let mut at = leaves
            .partition_point(|leaf| leaf.first <= from)
            .saturating_sub(1);
        while let Some(leaf) = leaves.get(at) {
            if leaf.first > from && !leaf.first.starts_with(&prefix) {
                break;
            }
            for entry in self.leaf(leaf).map_err(damaged)? {
                if entry.path < from || entry.path.is_empty() {
                    continue;
                }
                let Some(name) = entry.path.strip_prefix(prefix.as_slice()) else {
                    continue;
                };
                match name.iter().position(|byte| *byte == b'/') {
                    None => found.push(entry),
                    // Everything below this child comes before its name followed by `0`.
                    Some(slash) => from = [&prefix, &name[..slash], b"0"].concat(),
                }
            }
            let next = leaves
                .partition_point(|leaf| leaf.first <= from)
                .saturating_sub(1);
            at = next.max(at + 1);
        }
        Ok(found)
    }

    /// The witnesses beside [`Share::entries`], if the image has any.
    ///
    /// # Errors
    /// They cannot be read, or the image has no such volume.
    pub fn witnesses(
        &self,
        record: &ImageRecord,
        volume: usize,
    ) -> Result<Option<Witnesses<'_, S>>, ShareError> {
        let Some(list) = record.witnesses else {
            return Ok(None);
        };
        let damaged = |source| ShareError::Manifest {
            id: record.image,
            source,
        };
        let volumes = witness::decode(&self.chunk(&list)?).map_err(damaged)?;
        let root = self.volume_root(&record.image, volume)?;
        let leaves = self.leaves(&record.image, &root)?;
        let Some(chunks) = volumes
            .get(volume)
            .filter(|chunks| chunks.len() == leaves.len())
        else {
            return Ok(None);
        };
        self.expect(chunks.iter().map(|chunk| chunk.id))?;
        let leaves = leaves
            .iter()
            .map(|leaf| leaf.rows)
            .zip(chunks.iter().copied())
            .collect();
        Ok(Some(Witnesses {
            share: self,
            leaves,
            now: VecDeque::new(),
        }))
    }

    /// Every chunk an image consists of, each once, sorted: contents, leaves,
    /// directories, lists, and the witnesses beside it.
    ///
    /// # Errors
    /// The image cannot be read.
    pub fn image_chunks(&self, record: &ImageRecord) -> Result<Vec<ChunkRef>, ShareError> {
        let root = self.root(&record.image)?;
        let damaged = |source| ShareError::Manifest {
            id: record.image,
            source,
        };
        let mut all = Vec::new();
        manifest::bundle::walk(&root, &mut |chunk| {
            all.push(*chunk);
            self.manifest_chunk(chunk)
        })
        .map_err(damaged)?;
        for volume in 0..root.volumes.len() {
            for entry in self.entries(&record.image, volume)? {
                all.extend(entry?.content.chunks());
            }
        }
        if let Some(list) = record.witnesses {
            all.push(list);
            let leaves = witness::decode(&self.chunk(&list)?).map_err(damaged)?;
            all.extend(leaves.into_iter().flatten().filter(|leaf| leaf.length > 0));
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// The leaves of a volume, in path order.
    ///
    /// # Errors
    /// A part of the directory cannot be read.
    pub fn leaves(&self, id: &ImageId, root: &VolumeRoot) -> Result<Vec<LeafRef>, ShareError> {
        let mut leaves = Vec::new();
        for part in &root.directory {
            let part = self
                .manifest_chunk(part)
                .and_then(|bytes| directory::decode(&bytes));
            leaves.extend(part.map_err(|source| ShareError::Manifest { id: *id, source })?);
        }
        Ok(leaves)
    }

    /// The entries of one leaf.
    ///
    /// # Errors
    /// It cannot be read, or holds other entries than its directory says.
    pub fn leaf(&self, leaf: &LeafRef) -> Result<Vec<Entry>, ManifestError> {
        let bytes = self.manifest_chunk(&leaf.chunk)?;
        let entries = manifest::leaf(&bytes, &mut |list| self.manifest_chunk(list))?;
        manifest::check_leaf(leaf, &entries)?;
        Ok(entries)
    }

    fn volume_root(&self, id: &ImageId, volume: usize) -> Result<VolumeRoot, ShareError> {
        let volumes = self.root(id)?.volumes;
        let found = volumes.len();
        volumes.into_iter().nth(volume).ok_or(ShareError::NoVolume {
            id: *id,
            volume,
            found,
        })
    }
}

/// The leaf that holds a path if any does.
fn leaf_of<'l>(leaves: &'l [LeafRef], path: &[u8]) -> Option<&'l LeafRef> {
    let after = leaves.partition_point(|leaf| leaf.first.as_slice() <= path);
    leaves.get(after.checked_sub(1)?)
}

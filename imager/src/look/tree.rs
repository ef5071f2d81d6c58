//! One volume of an image, opened for questions about names. The directory is
//! read once; leaves are read when they are needed and the last ones kept.

use std::sync::{Arc, Mutex, PoisonError};

use image_format::entry::{Content, Entry, Kind};
use image_format::ids::ImageId;
use image_format::manifest::Root;
use image_format::manifest::directory::LeafRef;
use image_format::share::{Share, ShareError};
use image_format::store::Store;

use super::below::Below;
use super::follow::{Last, follow};
use super::recent::Recent;
use super::refusal::kind_word;
use super::{Links, LookError};

/// Names at the top of a volume by which a system is known.
const SYSTEM: [&[u8]; 2] = [b"etc", b"Windows"];
/// Entries of leaves that are kept; they take about 500 bytes each.
const KEPT: u64 = 64 << 10;

/// One volume's tree in an image.
#[derive(Debug)]
pub struct Tree {
    image: ImageId,
    volume: usize,
    number: u32,
    leaves: Vec<LeafRef>,
    kept: Mutex<Recent<usize, Arc<Vec<Entry>>>>,
}

impl Tree {
    /// The tree of partition `number`; without a number the one that holds a
    /// system, else the first.
    ///
    /// # Errors
    /// There is none, or the share cannot answer.
    pub fn choose<S: Store>(
        share: &Share<S>,
        image: ImageId,
        number: Option<u32>,
    ) -> Result<Self, LookError> {
        let root = share.root(&image)?;
        if let Some(wanted) = number {
            let all = 0..root.volumes.len();
            let mut numbers = all.filter_map(|at| Some((at, partition_number(&root, at)?)));
            let found = numbers.find(|(_, number)| *number == wanted);
            let (volume, _) = found.ok_or_else(|| LookError::Partition {
                wanted,
                there: numbers_there(&root),
            })?;
            return Self::open(share, image, &root, volume);
        }
        if root.volumes.len() > 1 {
            for volume in 0..root.volumes.len() {
                let tree = Self::open(share, image, &root, volume)?;
                for name in SYSTEM {
                    if tree.entry(share, name)?.is_some() {
                        return Ok(tree);
                    }
                }
            }
        }
        Self::open(share, image, &root, 0)
    }

    /// All trees of an image, by partition.
    ///
    /// # Errors
    /// The share cannot answer.
    pub fn all<S: Store>(share: &Share<S>, image: ImageId) -> Result<Vec<Self>, LookError> {
        let root = share.root(&image)?;
        let open = |volume| Self::open(share, image, &root, volume);
        (0..root.volumes.len()).map(open).collect()
    }

    fn open<S: Store>(
        share: &Share<S>,
        image: ImageId,
        root: &Root,
        volume: usize,
    ) -> Result<Self, LookError> {
        let found = root.volumes.get(volume).ok_or(LookError::NoFiles)?;
        Ok(Self {
            image,
            volume,
            number: partition_number(root, volume).unwrap_or(0),
            leaves: share.leaves(&image, found)?,
            kept: Mutex::new(Recent::new(KEPT)),
        })
    }

    /// The image it belongs to.
    pub fn image(&self) -> ImageId {
        self.image
    }

    /// Its index in [`Root::volumes`].
    pub fn volume(&self) -> usize {
        self.volume
    }

    /// The number of its partition.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its leaves in path order.
    pub fn leaves(&self) -> &[LeafRef] {
        &self.leaves
    }

    /// How many entries it has.
    pub fn entries(&self) -> u64 {
        let rows = self.leaves.iter().map(|leaf| u64::from(leaf.rows));
        rows.fold(0, u64::saturating_add)
    }

    /// The entry at exactly this path, if there is one.
    ///
    /// # Errors
    /// The share cannot answer.
    pub fn entry<S: Store>(
        &self,
        share: &Share<S>,
        path: &[u8],
    ) -> Result<Option<Entry>, LookError> {
        let leaf = self.leaf(share, self.leaf_of(path))?;
        let found = leaf.binary_search_by(|entry| entry.path.as_slice().cmp(path));
        Ok(found.ok().and_then(|at| leaf.get(at).cloned()))
    }

    /// What `path` leads to: components between slashes, `.` and `..` as
    /// everywhere, never out of the tree.
    ///
    /// # Errors
    /// [`LookError::NotThere`] and others about the path; the share cannot answer.
    pub fn find<S: Store>(
        &self,
        share: &Share<S>,
        path: &[u8],
        last: Last,
    ) -> Result<Entry, LookError> {
        follow(path, last, &mut |path| self.entry(share, path))
    }

    /// What lies directly in a folder, in path order. What lies deeper is
    /// skipped, so a folder with a million entries below it costs a few leaves.
    ///
    /// # Errors
    /// The share cannot answer.
    pub fn children<S: Store>(
        &self,
        share: &Share<S>,
        folder: &[u8],
    ) -> Result<Vec<Entry>, LookError> {
        let prefix = match folder {
            [] => Vec::new(),
            _ => [folder, b"/"].concat(),
        };
        let mut found: Vec<Entry> = Vec::new();
        // The first path that may still be a child.
        let mut from = prefix.clone();
        let mut at = self.leaf_of(&from);
        while let Some(leaf) = self.leaves.get(at) {
            if leaf.first > from && !leaf.first.starts_with(&prefix) {
                break;
            }
            for entry in self.leaf(share, at)?.iter() {
                let name = entry.path.strip_prefix(prefix.as_slice());
                let Some(name) = name.filter(|name| !name.is_empty() && entry.path >= from) else {
                    continue;
                };
                match name.split(|&byte| byte == b'/').next() {
                    Some(first) if first.len() < name.len() => {
                        // All that is below this child comes before its name and a `0`.
                        from = [&prefix, first, b"0"].concat();
                    }
                    _ => found.push(entry.clone()),
                }
            }
            at = self.leaf_of(&from).max(at.saturating_add(1));
        }
        Ok(found)
    }

    /// All that lies below a folder, at any depth, in path order; the folder
    /// itself is not among it.
    pub fn below<'t, S: Store>(&'t self, share: &'t Share<S>, folder: &[u8]) -> Below<'t, S> {
        Below::new(share, self, folder)
    }

    /// The contents of a file or a volume of sectors, also where another name
    /// of a hard link carries them.
    ///
    /// # Errors
    /// It is neither, or its contents are nowhere.
    pub fn content<S: Store>(&self, share: &Share<S>, entry: &Entry) -> Result<Content, LookError> {
        let path = || entry.display_path();
        match (&entry.kind, entry.link, &entry.content) {
            (Kind::File, Some(link), Content::Empty) => {
                let first = Links::first(share, self, link)?;
                let first = first.ok_or_else(|| LookError::NoContents { path: path() })?;
                Ok(first.content)
            }
            (Kind::File | Kind::RawVolume, _, content) => Ok(content.clone()),
            (kind, _, _) => Err(LookError::NotAFile {
                path: path(),
                kind: kind_word(kind),
            }),
        }
    }

    /// The leaf that holds a path if any does.
    pub(super) fn leaf_of(&self, path: &[u8]) -> usize {
        let after = self
            .leaves
            .partition_point(|leaf| leaf.first.as_slice() <= path);
        after.saturating_sub(1)
    }

    /// The entries of a leaf; none behind the last.
    pub(super) fn leaf<S: Store>(
        &self,
        share: &Share<S>,
        at: usize,
    ) -> Result<Arc<Vec<Entry>>, LookError> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entries) = kept().get(&at) {
            return Ok(entries);
        }
        let Some(leaf) = self.leaves.get(at) else {
            return Ok(Arc::default());
        };
        let id = self.image;
        let entries = share.leaf(leaf);
        let entries = Arc::new(entries.map_err(|source| ShareError::Manifest { id, source })?);
        kept().insert(at, u64::from(leaf.rows), Arc::clone(&entries));
        Ok(entries)
    }
}

/// The number of the partition that holds volume `at`, as its table has it.
fn partition_number(root: &Root, at: usize) -> Option<u32> {
    let index = usize::try_from(root.volumes.get(at)?.partition).ok()?;
    Some(root.disk.partitions.get(index)?.number)
}

fn numbers_there(root: &Root) -> String {
    let all: Vec<String> = (0..root.volumes.len())
        .filter_map(|at| Some(partition_number(root, at)?.to_string()))
        .collect();
    match all.is_empty() {
        true => "none".to_owned(),
        false => all.join(", "),
    }
}

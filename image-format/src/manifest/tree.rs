//! Entries in path order become leaves, directories and a root.
//!
//! Pure: whoever drives it stores the parts as chunks and says what their
//! names are. At most one leaf and one part of a directory are held.

use super::check::TreeCheck;
use super::directory::{LeafRef, PartWriter};
use super::list;
use super::root::{Root, VolumeRoot};
use super::write::{LeafWriter, List};
use super::{ManifestError, Witness, check};
use crate::entry::{Content, Entry};
use crate::ids::ChunkRef;
use crate::layout::DiskLayout;

/// A leaf is cut where the hash of its last path says so: after one path in
/// 1024, or in 128 once it is long, but never below [`ROWS_LEAST`] rows.
const CUT_MASK: u32 = 1023;
const CUT_MASK_LONG: u32 = 127;
const LONG: usize = 256 << 10;
const ROWS_LEAST: u32 = 64;
/// At the latest it is cut here: a leaf is one chunk, read whole for one entry.
const ROWS_MOST: u32 = 8192;
const BYTES_MOST: usize = 1 << 20;

/// A part of the manifest that wants to be stored as a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// About 1024 entries.
    Leaf(&'a [u8]),
    /// A part of a directory.
    Directory(&'a [u8]),
    /// Pieces of a very long file.
    List(&'a [u8]),
    /// Witnesses of a leaf's entries; not part of the image.
    Witnesses(&'a [u8]),
}

impl<'a> Part<'a> {
    /// Its bytes.
    pub fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Leaf(bytes)
            | Self::Directory(bytes)
            | Self::List(bytes)
            | Self::Witnesses(bytes) => bytes,
        }
    }
}

/// Takes entries; gives a root at the end.
#[derive(Debug)]
pub struct ImageBuilder {
    root: Root,
    open: Option<Open>,
    witnesses: Vec<Vec<ChunkRef>>,
}

#[derive(Debug)]
struct Open {
    volume: VolumeRoot,
    check: TreeCheck,
    leaf: LeafWriter,
    first: Vec<u8>,
    bytes: usize,
    parts: PartWriter,
    witnesses: Vec<u8>,
    leaves: Vec<ChunkRef>,
}

impl ImageBuilder {
    /// The beginning of an image of this disk.
    pub fn new(disk: DiskLayout) -> Self {
        Self {
            root: Root {
                disk,
                volumes: Vec::new(),
            },
            open: None,
            witnesses: Vec::new(),
        }
    }

    /// Begins the volume in this partition (index into the layout).
    ///
    /// # Errors
    /// There is no such partition, it is not in order, or `store` failed.
    pub fn volume<E: From<ManifestError>>(
        &mut self,
        partition: u32,
        store: &mut impl FnMut(Part<'_>) -> Result<ChunkRef, E>,
    ) -> Result<(), E> {
        self.close(store)?;
        let so_far = self.root.volumes.iter().map(|volume| volume.partition);
        check::partitions(&self.root.disk, so_far.chain([partition]))?;
        self.open = Some(Open {
            volume: VolumeRoot {
                partition,
                entries: 0,
                contents: 0,
                directory: Vec::new(),
            },
            check: TreeCheck::new(partition),
            leaf: LeafWriter::new(),
            first: Vec::new(),
            bytes: 0,
            parts: PartWriter::default(),
            witnesses: Vec::new(),
            leaves: Vec::new(),
        });
        Ok(())
    }

    /// Takes the next entry of the volume.
    ///
    /// # Errors
    /// It may not follow those before, says what cannot be, or `store` failed.
    pub fn entry<E: From<ManifestError>>(
        &mut self,
        entry: &Entry,
        witness: Option<Witness>,
        store: &mut impl FnMut(Part<'_>) -> Result<ChunkRef, E>,
    ) -> Result<(), E> {
        let outside = || ManifestError::Layout {
            reason: "an entry before the first volume".to_owned(),
        };
        let open = self.open.as_mut().ok_or_else(outside)?;
        open.check.entry(entry)?;
        open.push(entry, witness, store)
    }

    /// The root, and the list of witnesses if every entry had one.
    ///
    /// # Errors
    /// The layout is impossible, or `store` failed.
    pub fn finish<E: From<ManifestError>>(
        mut self,
        store: &mut impl FnMut(Part<'_>) -> Result<ChunkRef, E>,
    ) -> Result<(Root, Option<Vec<u8>>), E> {
        self.close(store)?;
        check::disk(&self.root.disk)?;
        Ok((self.root, super::witness::encode(&self.witnesses)))
    }

    fn close<E: From<ManifestError>>(
        &mut self,
        store: &mut impl FnMut(Part<'_>) -> Result<ChunkRef, E>,
    ) -> Result<(), E> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        open.close_leaf(store)?;
        if let Some(part) = open.parts.close() {
            open.volume.directory.push(store(Part::Directory(&part))?);
        }
        self.root.volumes.push(open.volume);
        self.witnesses.push(open.leaves);
        Ok(())
    }
}

impl Open {
    fn push<E: From<ManifestError>>(
        &mut self,
        entry: &Entry,
        witness: Option<Witness>,
        store: &mut impl FnMut(Part<'_>) -> Result<ChunkRef, E>,
    ) -> Result<(), E> {
        let lists = store_lists(&entry.content, store)?;
        if self.leaf.rows() == 0 {
            self.first.clone_from(&entry.path);
        }
        self.leaf.entry(entry, &lists);
        self.bytes += room(entry, lists.len());
        self.witnesses.extend(witness.unwrap_or_default().0);
        self.volume.entries += 1;
        self.volume.contents = self.volume.contents.saturating_add(entry.content.size());
        if self.is_full(&entry.path) {
            self.close_leaf(store)?;
        }
        Ok(())
    }

    fn is_full(&self, path: &[u8]) -> bool {
        let rows = self.leaf.rows();
        let mask = if self.bytes >= LONG {
            CUT_MASK_LONG
        } else {
            CUT_MASK
        };
        let cuts = || {
            let [a, b, c, d, ..] = *blake3::hash(path).as_bytes();
            u32::from_le_bytes([a, b, c, d]) & mask == 0
        };
        rows >= ROWS_MOST || self.bytes >= BYTES_MOST || (rows >= ROWS_LEAST && cuts())
    }

    fn close_leaf<E: From<ManifestError>>(
        &mut self,
        store: &mut impl FnMut(Part<'_>) -> Result<ChunkRef, E>,
    ) -> Result<(), E> {
        let rows = self.leaf.rows();
        if rows == 0 {
            return Ok(());
        }
        let chunk = store(Part::Leaf(&self.leaf.take()))?;
        let witnesses = std::mem::take(&mut self.witnesses);
        if witnesses.iter().any(|byte| *byte != 0) {
            self.leaves.push(store(Part::Witnesses(&witnesses))?);
        } else {
            self.leaves.push(ChunkRef { length: 0, ..chunk });
        }
        self.bytes = 0;
        let first = std::mem::take(&mut self.first);
        if let Some(part) = self.parts.push(LeafRef { first, rows, chunk }) {
            self.volume.directory.push(store(Part::Directory(&part))?);
        }
        Ok(())
    }
}

/// About how many bytes an entry takes in a leaf.
fn room(entry: &Entry, lists: usize) -> usize {
    let xattrs: usize = entry
        .xattrs
        .iter()
        .map(|xattr| xattr.name.len() + xattr.value.len() + 8)
        .sum();
    let content = match &entry.content {
        Content::Empty => 0,
        Content::Inline(bytes) => bytes.len(),
        Content::Pieces(_) if lists > 0 => 82 * lists,
        Content::Pieces(pieces) => 41 * pieces.len(),
    };
    let target = match &entry.kind {
        crate::entry::Kind::Symlink(target) => target.len(),
        _ => 0,
    };
    120 + entry.path.len() + target + xattrs + content
}

/// Pieces of a very long file go into chunks of their own.
fn store_lists<E: From<ManifestError>>(
    content: &Content,
    store: &mut impl FnMut(Part<'_>) -> Result<ChunkRef, E>,
) -> Result<Vec<List>, E> {
    let Content::Pieces(pieces) = content else {
        return Ok(Vec::new());
    };
    if pieces.len() <= list::DIRECT {
        return Ok(Vec::new());
    }
    let mut lists = Vec::new();
    for group in list::groups(pieces) {
        let chunk = store(Part::List(&list::encode(group)))?;
        let contents = group
            .iter()
            .map(|piece| piece.length())
            .fold(0, u64::saturating_add);
        lists.push(List { chunk, contents });
    }
    Ok(lists)
}

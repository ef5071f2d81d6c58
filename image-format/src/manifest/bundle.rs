//! A whole manifest in one piece: the root, then its chunks in the order in
//! which a reader needs them. So it goes to a machine, and into a single file.
//!
//! ```text
//! root | for each volume: the parts of its directory, then its leaves, each leaf's lists after it
//!        every chunk as: length 4, one zstd frame
//! ```
//! Ids and lengths of the chunks stand in what came before: nothing is trusted.

use super::root::root_of;
use super::{ManifestError, Root, TreeCheck, VolumeRoot, check, directory, read, tree};
use crate::bytes::{CutOff, Fields, length};
use crate::ids::{ChunkId, ChunkRef, ImageId};
use crate::image::{Manifest, VolumeTree};

/// No bundle is longer: ten million entries need far less.
pub const MAX_BUNDLE: u64 = 1 << 30;
/// What all chunks may expand to: whoever reads a bundle holds it in memory.
const MAX_EXPANDED: u64 = 4 << 30;
const LEVEL: i32 = 3;

/// What gives a chunk of the manifest, already compared with its id.
pub type Fetch<'f> = dyn FnMut(&ChunkRef) -> Result<Vec<u8>, ManifestError> + 'f;

/// The bundle of the image with this root (the bytes of its file).
///
/// # Errors
/// The root is not this image's, a chunk cannot be had, or it grows too long.
pub fn pack(id: &ImageId, root: &[u8], fetch: &mut Fetch<'_>) -> Result<Vec<u8>, ManifestError> {
    let mut out = root_of(root)?.to_vec();
    walk(&Root::decode(id, root)?, &mut |chunk| {
        let bytes = fetch(chunk)?;
        let frame = zstd::bulk::compress(&bytes, LEVEL).map_err(|source| ManifestError::Zstd {
            id: chunk.id,
            source,
        })?;
        out.extend(u32::try_from(frame.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend(frame);
        check_length(length(&out), MAX_BUNDLE)?;
        Ok(bytes)
    })?;
    Ok(out)
}

/// Asks for every chunk of a manifest, in the order of a bundle.
///
/// # Errors
/// What `fetch` says, or a chunk is not what it must be.
pub fn walk(root: &Root, fetch: &mut Fetch<'_>) -> Result<(), ManifestError> {
    for volume in &root.volumes {
        for leaf in leaves(&volume.directory, fetch)? {
            for list in read::lists_of(&fetch(&leaf.chunk)?)? {
                fetch(&list)?;
            }
        }
    }
    Ok(())
}

fn leaves(
    parts: &[ChunkRef],
    fetch: &mut Fetch<'_>,
) -> Result<Vec<directory::LeafRef>, ManifestError> {
    let mut leaves = Vec::new();
    for part in parts {
        leaves.extend(directory::decode(&fetch(part)?)?);
    }
    Ok(leaves)
}

/// Reads all entries of an image into memory, every rule of the format checked.
///
/// # Errors
/// What `fetch` says, or the manifest says what no apply could do.
pub fn read_all(root: &Root, fetch: &mut Fetch<'_>) -> Result<Manifest, ManifestError> {
    let mut volumes = Vec::new();
    for volume in &root.volumes {
        let mut check = TreeCheck::new(volume.partition);
        let mut entries = Vec::new();
        for leaf in leaves(&volume.directory, fetch)? {
            let before = entries.len();
            let bytes = fetch(&leaf.chunk)?;
            entries.extend(read::leaf(&bytes, fetch)?);
            let rows = entries.get(before..).unwrap_or_default();
            check::leaf(&leaf, rows)?;
            rows.iter().try_for_each(|entry| check.entry(entry))?;
        }
        let tree = VolumeTree {
            partition: volume.partition,
            entries,
        };
        totals(volume, &tree)?;
        volumes.push(tree);
    }
    Ok(Manifest {
        disk: root.disk.clone(),
        volumes,
    })
}

/// Whether a volume has the entries and contents its root says.
fn totals(root: &VolumeRoot, tree: &VolumeTree) -> Result<(), ManifestError> {
    let contents = tree
        .entries
        .iter()
        .map(|entry| entry.content.size())
        .fold(0, u64::saturating_add);
    if root.entries == tree.entries.len() as u64 && root.contents == contents {
        Ok(())
    } else {
        Err(ManifestError::Row {
            table: "root",
            reason: "a volume has other entries than the root says",
        })
    }
}

/// The bytes of the chunk that was asked for, or why they are not.
///
/// # Errors
/// They are another chunk's.
pub fn checked(chunk: &ChunkRef, bytes: Vec<u8>) -> Result<Vec<u8>, ManifestError> {
    if length(&bytes) == u64::from(chunk.length) && ChunkId::of(&bytes) == chunk.id {
        Ok(bytes)
    } else {
        Err(ManifestError::Chunk { id: chunk.id })
    }
}

impl Manifest {
    /// The image's id and its bundle.
    ///
    /// # Errors
    /// The manifest says something no reader would accept (see [`Manifest::decode`]).
    pub fn encode(&self) -> Result<(ImageId, Vec<u8>), ManifestError> {
        let mut chunks = std::collections::HashMap::new();
        let mut store = |part: tree::Part<'_>| {
            let bytes = part.bytes();
            let too_long = ManifestError::TooLong {
                part: "chunk",
                found: length(bytes),
                limit: MAX_EXPANDED,
            };
            let chunk = ChunkRef::to(bytes).ok_or(too_long)?;
            chunks.insert(chunk.id, bytes.to_vec());
            Ok::<_, ManifestError>(chunk)
        };
        let mut builder = tree::ImageBuilder::new(self.disk.clone());
        for volume in &self.volumes {
            builder.volume(volume.partition, &mut store)?;
            volume
                .entries
                .iter()
                .try_for_each(|entry| builder.entry(entry, None, &mut store))?;
        }
        let (root, _) = builder.finish(&mut store)?;
        let bytes = root.encode()?;
        let id = ImageId::of(&bytes);
        let mut fetch = |chunk: &ChunkRef| {
            chunks
                .get(&chunk.id)
                .cloned()
                .ok_or(ManifestError::Chunk { id: chunk.id })
        };
        Ok((id, pack(&id, &bytes, &mut fetch)?))
    }

    /// Reads a bundle that must be that of the image `id`.
    ///
    /// # Errors
    /// It is another one, damaged, or says what no apply could do: paths that
    /// leave the volume, rows out of order, contents that overflow.
    pub fn decode(id: &ImageId, bytes: &[u8]) -> Result<Self, ManifestError> {
        check_length(length(bytes), MAX_BUNDLE)?;
        let root = Root::decode(id, bytes)?;
        let mut frames = Fields::new(bytes.get(root_of(bytes)?.len()..).unwrap_or_default());
        let mut expanded = 0_u64;
        let mut kept: Vec<Vec<u8>> = Vec::new();
        // First every chunk in the order of the bundle, then the entries.
        walk(&root, &mut |chunk| {
            expanded = expanded.saturating_add(u64::from(chunk.length));
            check_length(expanded, MAX_EXPANDED)?;
            let bytes = frame(&mut frames, chunk)?;
            kept.push(bytes.clone());
            Ok(bytes)
        })?;
        if frames.left() > 0 {
            return Err(ManifestError::Row {
                table: "bundle",
                reason: "bytes after the last chunk",
            });
        }
        let mut next = kept.into_iter();
        read_all(&root, &mut |chunk| {
            checked(chunk, next.next().unwrap_or_default())
        })
    }
}

fn frame(frames: &mut Fields<'_>, chunk: &ChunkRef) -> Result<Vec<u8>, ManifestError> {
    let cut = |source: CutOff| ManifestError::CutOff {
        part: "bundle",
        source,
    };
    let length = usize::try_from(frames.u32().map_err(cut)?).unwrap_or(usize::MAX);
    let frame = frames.take(length).map_err(cut)?;
    let room = usize::try_from(chunk.length)
        .unwrap_or(usize::MAX)
        .min(crate::chunker::MAX_CHUNK);
    let bytes = zstd::bulk::decompress(frame, room).map_err(|source| ManifestError::Zstd {
        id: chunk.id,
        source,
    })?;
    checked(chunk, bytes)
}

fn check_length(found: u64, limit: u64) -> Result<(), ManifestError> {
    if found <= limit {
        Ok(())
    } else {
        Err(ManifestError::TooLong {
            part: "bundle",
            found,
            limit,
        })
    }
}

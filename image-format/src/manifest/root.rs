//! The root: what a manifest's file holds. Its hash is the image's id.
//!
//! ```text
//! magic 8, version 4, features 3 x 4, length of the root 4,
//! length of the layout 4, volumes 4, reserved 4 | disk layout |
//! for each volume: partition 4, parts 4, entries 8, contents 8, parts x (chunk id 32, length 4)
//! ```
//! The parts of a volume's directory, one after another, list its leaves.

use super::{ManifestError, check, disk};
use crate::bytes::{CutOff, Fields};
use crate::chunker::MAX_CHUNK;
use crate::ids::{ChunkId, ChunkRef, ImageId};
use crate::layout::DiskLayout;

/// No root is longer: whoever looks for an image reads one small file.
pub const MAX_ROOT: u64 = 64 << 10;

const MAGIC: [u8; 8] = *b"mimeoman";
const VERSION: u32 = 1;
const HEADER: usize = 40;

/// What a manifest's file says: the disk, and where the entries are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The disk with its partitions.
    pub disk: DiskLayout,
    /// One for each partition that holds entries, ascending.
    pub volumes: Vec<VolumeRoot>,
}

/// Where the entries of one partition are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeRoot {
    /// Index into [`DiskLayout::partitions`].
    pub partition: u32,
    /// How many entries it has.
    pub entries: u64,
    /// Logical bytes of their contents, holes included.
    pub contents: u64,
    /// The parts of its directory, in order: see [`super::directory`].
    pub directory: Vec<ChunkRef>,
}

impl Root {
    /// The bytes of a manifest's file; their hash is the [`ImageId`].
    ///
    /// # Errors
    /// The layout is impossible, or the root would be longer than [`MAX_ROOT`].
    pub fn encode(&self) -> Result<Vec<u8>, ManifestError> {
        self.check()?;
        let layout = disk::encode(&self.disk);
        let rows: usize = self
            .volumes
            .iter()
            .map(|volume| 24 + 36 * volume.directory.len())
            .sum();
        let whole = HEADER + layout.len() + rows;
        let too_long = ManifestError::TooLong {
            part: "root",
            found: whole as u64,
            limit: MAX_ROOT,
        };
        let size = u32::try_from(whole)
            .ok()
            .filter(|size| u64::from(*size) <= MAX_ROOT);
        let size = size.ok_or(too_long)?;
        let mut out = Vec::with_capacity(whole);
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend([0; 12]);
        out.extend(size.to_le_bytes());
        out.extend(count(layout.len()));
        out.extend(count(self.volumes.len()));
        out.extend([0; 4]);
        out.extend(layout);
        for volume in &self.volumes {
            out.extend(volume.partition.to_le_bytes());
            out.extend(count(volume.directory.len()));
            out.extend(volume.entries.to_le_bytes());
            out.extend(volume.contents.to_le_bytes());
            for part in &volume.directory {
                out.extend(part.id.as_bytes());
                out.extend(part.length.to_le_bytes());
            }
        }
        Ok(out)
    }

    /// Reads the root of the image `id`. Bytes that follow it are not looked at.
    ///
    /// # Errors
    /// It is another image's, damaged, of another version, or impossible.
    pub fn decode(id: &ImageId, bytes: &[u8]) -> Result<Self, ManifestError> {
        let bytes = root_of(bytes)?;
        let found = ImageId::of(bytes);
        if found != *id {
            return Err(ManifestError::Id {
                expected: *id,
                found,
            });
        }
        let mut fields = Fields::new(bytes);
        fields.take(28).map_err(cut)?;
        let (layout, volumes) = (fields.u32().map_err(cut)?, fields.u32().map_err(cut)?);
        expect("reserved", 0, fields.u32().map_err(cut)?)?;
        let layout = fields
            .take(usize::try_from(layout).unwrap_or(usize::MAX))
            .map_err(cut)?;
        let disk = disk::decode(layout)?;
        // Nothing is allocated for what is not there: rows are read one by one.
        let volumes = (0..volumes)
            .map(|_| volume(&mut fields))
            .collect::<Result<_, _>>()?;
        expect("bytes after the last volume", 0, fields.left())?;
        let root = Self { disk, volumes };
        root.check()?;
        Ok(root)
    }

    fn check(&self) -> Result<(), ManifestError> {
        check::disk(&self.disk)?;
        check::partitions(
            &self.disk,
            self.volumes.iter().map(|volume| volume.partition),
        )
    }

    /// How many entries all volumes have.
    pub fn entry_count(&self) -> u64 {
        self.volumes
            .iter()
            .map(|volume| volume.entries)
            .fold(0, u64::saturating_add)
    }

    /// Logical bytes of all contents, holes included.
    pub fn logical_size(&self) -> u64 {
        self.volumes
            .iter()
            .map(|volume| volume.contents)
            .fold(0, u64::saturating_add)
    }
}

fn volume(fields: &mut Fields<'_>) -> Result<VolumeRoot, ManifestError> {
    let (partition, parts) = (fields.u32().map_err(cut)?, fields.u32().map_err(cut)?);
    let (entries, contents) = (fields.u64().map_err(cut)?, fields.u64().map_err(cut)?);
    let directory = (0..parts).map(|_| part(fields)).collect::<Result<_, _>>()?;
    Ok(VolumeRoot {
        partition,
        entries,
        contents,
        directory,
    })
}

fn part(fields: &mut Fields<'_>) -> Result<ChunkRef, ManifestError> {
    let id = ChunkId::new(fields.array().map_err(cut)?);
    let length = fields.u32().map_err(cut)?;
    if length == 0 || length as usize > MAX_CHUNK {
        return Err(ManifestError::Root {
            field: "length of a directory's part",
            expected: format!("1 to {MAX_CHUNK}"),
            found: length.to_string(),
        });
    }
    Ok(ChunkRef { id, length })
}

/// The bytes of the root at the beginning of a manifest.
pub(super) fn root_of(bytes: &[u8]) -> Result<&[u8], ManifestError> {
    let mut fields = Fields::new(bytes);
    let magic = fields.array::<8>().map_err(cut)?;
    expect("magic", MAGIC.escape_ascii(), magic.escape_ascii())?;
    let version = fields.u32().map_err(cut)?;
    if version != VERSION {
        let advice = if version < VERSION {
            "capture again"
        } else {
            "use a newer program"
        };
        let (expected, found) = (VERSION.to_string(), format!("{version}: {advice}"));
        return Err(ManifestError::Root {
            field: "version",
            expected,
            found,
        });
    }
    let _compatible = fields.u32().map_err(cut)?;
    expect(
        "features without which it is only read",
        0,
        fields.u32().map_err(cut)?,
    )?;
    expect(
        "features without which it is not read",
        0,
        fields.u32().map_err(cut)?,
    )?;
    let size = fields.u32().map_err(cut)?;
    if u64::from(size) > MAX_ROOT {
        return Err(ManifestError::TooLong {
            part: "root",
            found: u64::from(size),
            limit: MAX_ROOT,
        });
    }
    Fields::new(bytes)
        .take(usize::try_from(size).unwrap_or(usize::MAX))
        .map_err(cut)
}

fn cut(source: CutOff) -> ManifestError {
    ManifestError::CutOff {
        part: "manifest root",
        source,
    }
}

/// A number below 2^16: more would not fit into a root.
fn count(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

fn expect<T: ToString>(field: &'static str, expected: T, found: T) -> Result<(), ManifestError> {
    let (expected, found) = (expected.to_string(), found.to_string());
    if expected == found {
        Ok(())
    } else {
        Err(ManifestError::Root {
            field,
            expected,
            found,
        })
    }
}

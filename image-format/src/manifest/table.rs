//! Columns to bytes and back; every column hashed on its own.

use std::io::Read;

use super::{MAX_MANIFEST, ManifestError};
use crate::bytes::{CutOff, Fields, length};

const MAGIC: [u8; 8] = *b"mimeoman";
const VERSION: u32 = 0;
const ROOT_HEADER: usize = 16;
const ROOT_ROW: usize = 48;
/// What all tables may expand to: an apply holds them in memory.
const MAX_EXPANDED: u64 = 2 << 30;
/// A frame may ask for no more window than this (8 MiB).
const WINDOW_LOG_MAX: u32 = 23;
const LEVEL: i32 = 3;

/// A column of the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    tag: u32,
    width: u32,
    pub(super) name: &'static str,
}

macro_rules! columns {
    ($($name:ident = $tag:literal, $width:literal;)*) => {
        $(pub(super) const $name: Column = Column { tag: $tag, width: $width, name: stringify!($name) };)*
        /// Every column there is, by ascending tag: all of them are always there.
        const ALL: &[Column] = &[$($name),*];
    };
}

columns! {
    DISK = 0x01, 1;
    VOLUME_PARTITION = 0x10, 4;
    VOLUME_ENTRIES_END = 0x11, 8;
    PATH_END = 0x20, 8;
    PATH_BYTES = 0x21, 1;
    KIND = 0x22, 1;
    MODE = 0x23, 4;
    UID = 0x24, 4;
    GID = 0x25, 4;
    FLAGS = 0x26, 4;
    TIME_SECONDS = 0x27, 32;
    TIME_NANOSECONDS = 0x28, 16;
    LINK = 0x29, 8;
    SHORT_NAME = 0x2a, 12;
    TARGET_END = 0x2b, 8;
    TARGET_BYTES = 0x2c, 1;
    DEVICE = 0x2d, 8;
    XATTRS_END = 0x30, 8;
    XATTR_NAME_END = 0x31, 8;
    XATTR_NAME_BYTES = 0x32, 1;
    XATTR_VALUE_END = 0x33, 8;
    XATTR_VALUE_BYTES = 0x34, 1;
    CONTENT = 0x40, 1;
    INLINE_END = 0x41, 8;
    INLINE_BYTES = 0x42, 1;
    PIECES_END = 0x43, 8;
    PIECE_LENGTH = 0x44, 8;
    PIECE_KIND = 0x45, 1;
    PIECE_CHUNK = 0x46, 32;
}

/// The rows of all columns, in the order of [`ALL`].
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) rows: Vec<Vec<u8>>,
}

impl Tables {
    pub(super) fn new() -> Self {
        Self {
            rows: vec![Vec::new(); ALL.len()],
        }
    }

    /// Appends to a column.
    pub(super) fn put(&mut self, column: Column, bytes: &[u8]) {
        let place = ALL.iter().position(|known| *known == column);
        if let Some(rows) = place.and_then(|place| self.rows.get_mut(place)) {
            rows.extend_from_slice(bytes);
        }
    }

    /// A column's bytes.
    pub(super) fn get(&self, column: Column) -> &[u8] {
        let place = ALL.iter().position(|known| *known == column);
        place
            .and_then(|place| self.rows.get(place))
            .map_or(&[], Vec::as_slice)
    }

    /// The root, and the whole file that begins with it.
    pub(super) fn encode(&self) -> Result<(Vec<u8>, Vec<u8>), ManifestError> {
        let mut root = Vec::with_capacity(ROOT_HEADER + ALL.len() * ROOT_ROW);
        root.extend(MAGIC);
        root.extend(VERSION.to_le_bytes());
        root.extend(u32::try_from(ALL.len()).unwrap_or(u32::MAX).to_le_bytes());
        let mut frames = Vec::new();
        for (column, rows) in ALL.iter().zip(&self.rows) {
            check_length(column.name, length(rows), MAX_EXPANDED)?;
            root.extend(column.tag.to_le_bytes());
            root.extend(column.width.to_le_bytes());
            root.extend((length(rows) / u64::from(column.width)).to_le_bytes());
            root.extend(blake3::hash(rows).as_bytes());
            let frame =
                zstd::bulk::compress(rows, LEVEL).map_err(|source| ManifestError::Zstd {
                    table: column.name,
                    source,
                })?;
            frames.extend(length(&frame).to_le_bytes());
            frames.extend(frame);
        }
        let bytes = [root.as_slice(), &frames].concat();
        check_length("all", length(&bytes), MAX_MANIFEST)?;
        Ok((root, bytes))
    }

    /// Expands every column and checks it against the root.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        check_length("all", length(bytes), MAX_MANIFEST)?;
        let root = root_of(bytes)?;
        let mut rows_of_root = Fields::new(root.get(ROOT_HEADER..).unwrap_or_default());
        let mut frames = Fields::new(bytes.get(root.len()..).unwrap_or_default());
        let mut expanded = 0_u64;
        let mut tables = Self::default();
        for column in ALL {
            let (wanted, hash) = root_row(&mut rows_of_root, *column)?;
            expanded = expanded.saturating_add(wanted);
            check_length(column.name, expanded, MAX_EXPANDED)?;
            let rows = expand(frame(&mut frames, column.name)?, wanted, column.name)?;
            if blake3::hash(&rows) != hash {
                return Err(ManifestError::Table { table: column.name });
            }
            tables.rows.push(rows);
        }
        if frames.left() > 0 {
            return Err(ManifestError::Row {
                table: "all",
                reason: "bytes after the last table",
            });
        }
        Ok(tables)
    }
}

/// The bytes of the root at the beginning of a manifest.
pub(super) fn root_of(bytes: &[u8]) -> Result<&[u8], ManifestError> {
    let cut = |source| ManifestError::CutOff {
        part: "manifest root",
        source,
    };
    let mut fields = Fields::new(bytes);
    let magic = fields.array::<8>().map_err(cut)?;
    expect("magic", MAGIC.escape_ascii(), magic.escape_ascii())?;
    let version = fields.u32().map_err(cut)?;
    if version != VERSION {
        let found = format!("{version}: capture again with this program");
        return Err(ManifestError::Root {
            field: "version",
            expected: VERSION.to_string(),
            found,
        });
    }
    let tables = fields.u32().map_err(cut)?;
    expect("tables", ALL.len() as u64, u64::from(tables))?;
    Fields::new(bytes)
        .take(ROOT_HEADER + ALL.len() * ROOT_ROW)
        .map_err(cut)
}

/// One row of the root: how many bytes the column has, and their hash.
fn root_row(fields: &mut Fields<'_>, column: Column) -> Result<(u64, [u8; 32]), ManifestError> {
    let cut = |source| ManifestError::CutOff {
        part: "manifest root",
        source,
    };
    expect("table", column.tag, fields.u32().map_err(cut)?)?;
    expect("width", column.width, fields.u32().map_err(cut)?)?;
    let rows = fields.u64().map_err(cut)?;
    let wanted = rows.saturating_mul(u64::from(column.width));
    Ok((wanted, fields.array().map_err(cut)?))
}

fn frame<'a>(frames: &mut Fields<'a>, table: &'static str) -> Result<&'a [u8], ManifestError> {
    let cut = |source: CutOff| ManifestError::CutOff {
        part: table,
        source,
    };
    let length = frames.u64().map_err(cut)?;
    frames
        .take(usize::try_from(length).unwrap_or(usize::MAX))
        .map_err(cut)
}

fn expand(frame: &[u8], wanted: u64, table: &'static str) -> Result<Vec<u8>, ManifestError> {
    let zstd = |source| ManifestError::Zstd { table, source };
    let mut decoder = zstd::stream::read::Decoder::with_buffer(frame).map_err(zstd)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(zstd)?;
    let mut rows = Vec::new();
    // Grows with what is really there, never with what the root claims.
    decoder
        .take(wanted.saturating_add(1))
        .read_to_end(&mut rows)
        .map_err(zstd)?;
    if length(&rows) == wanted {
        Ok(rows)
    } else {
        Err(ManifestError::Table { table })
    }
}

fn check_length(table: &'static str, found: u64, limit: u64) -> Result<(), ManifestError> {
    if found <= limit {
        Ok(())
    } else {
        Err(ManifestError::TooLong {
            table,
            found,
            limit,
        })
    }
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

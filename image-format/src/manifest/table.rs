//! The columns of a leaf, to bytes and back.
//!
//! ```text
//! magic 8, version 4, rows 4, lengths of the 26 columns 4 each | the columns, one after another
//! ```
//! Nothing is compressed here: leaves are chunks, and blocks compress.

use super::ManifestError;
use crate::bytes::{CutOff, Fields};

const MAGIC: [u8; 8] = *b"mimeolef";
const VERSION: u32 = 1;

/// A column of a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    place: usize,
    pub(super) name: &'static str,
}

macro_rules! columns {
    ($($name:ident = $place:literal;)*) => {
        $(pub(super) const $name: Column = Column { place: $place, name: stringify!($name) };)*
        /// Every column there is, in the order of their places: all of them are always there.
        const ALL: &[Column] = &[$($name),*];
    };
}

columns! {
    PATH_END = 0;
    PATH_BYTES = 1;
    KIND = 2;
    MODE = 3;
    UID = 4;
    GID = 5;
    FLAGS = 6;
    TIME_SECONDS = 7;
    TIME_NANOSECONDS = 8;
    LINK = 9;
    SHORT_NAME = 10;
    TARGET_END = 11;
    TARGET_BYTES = 12;
    DEVICE = 13;
    XATTRS_END = 14;
    XATTR_NAME_END = 15;
    XATTR_NAME_BYTES = 16;
    XATTR_VALUE_END = 17;
    XATTR_VALUE_BYTES = 18;
    CONTENT = 19;
    INLINE_END = 20;
    INLINE_BYTES = 21;
    PIECES_END = 22;
    PIECE_LENGTH = 23;
    PIECE_KIND = 24;
    PIECE_CHUNK = 25;
}

/// The rows of all columns, in the order of [`ALL`].
#[derive(Debug)]
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
        if let Some(rows) = self.rows.get_mut(column.place) {
            rows.extend_from_slice(bytes);
        }
    }

    /// A column's bytes.
    pub(super) fn get(&self, column: Column) -> &[u8] {
        self.rows.get(column.place).map_or(&[], Vec::as_slice)
    }

    /// The leaf's bytes. Every column is far below 4 GiB: a leaf is one chunk.
    pub(super) fn encode(&self, rows: u32) -> Vec<u8> {
        let body: usize = self.rows.iter().map(Vec::len).sum();
        let mut out = Vec::with_capacity(16 + 4 * ALL.len() + body);
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(rows.to_le_bytes());
        for rows in &self.rows {
            out.extend(u32::try_from(rows.len()).unwrap_or(u32::MAX).to_le_bytes());
        }
        self.rows.iter().for_each(|rows| out.extend(rows));
        out
    }

    /// The columns of a leaf, and how many rows it says it has.
    pub(super) fn decode(bytes: &[u8]) -> Result<(u32, Self), ManifestError> {
        let cut = |source: CutOff| ManifestError::CutOff {
            part: "leaf",
            source,
        };
        let wrong = |reason| ManifestError::Row {
            table: "leaf",
            reason,
        };
        let mut fields = Fields::new(bytes);
        let (magic, version) = (
            fields.array::<8>().map_err(cut)?,
            fields.u32().map_err(cut)?,
        );
        if magic != MAGIC || version != VERSION {
            return Err(wrong("neither its magic nor its version is known"));
        }
        let rows = fields.u32().map_err(cut)?;
        let lengths = ALL
            .iter()
            .map(|_| fields.u32())
            .collect::<Result<Vec<_>, _>>()
            .map_err(cut)?;
        let mut tables = Self {
            rows: Vec::with_capacity(ALL.len()),
        };
        for length in lengths {
            let column = fields
                .take(usize::try_from(length).unwrap_or(usize::MAX))
                .map_err(cut)?;
            tables.rows.push(column.to_vec());
        }
        if fields.left() > 0 {
            return Err(wrong("bytes after its last column"));
        }
        Ok((rows, tables))
    }
}

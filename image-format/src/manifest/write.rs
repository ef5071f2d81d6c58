//! Entries become the columns of a leaf.

use super::table::{self as column, Column, Tables};
use super::{kinds, list};
use crate::entry::{Content, Entry, Kind, Times};
use crate::ids::ChunkRef;

/// A list of pieces that was stored as a chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    /// The chunk.
    pub(super) chunk: ChunkRef,
    /// Bytes of the file its pieces cover.
    pub(super) contents: u64,
}

/// Entries on their way into one leaf.
#[derive(Debug)]
pub(super) struct LeafWriter {
    out: Tables,
    rows: u32,
    xattrs: u32,
    pieces: u32,
}

impl LeafWriter {
    pub(super) fn new() -> Self {
        Self {
            out: Tables::new(),
            rows: 0,
            xattrs: 0,
            pieces: 0,
        }
    }

    pub(super) fn rows(&self) -> u32 {
        self.rows
    }

    /// The leaf's bytes; begins the next one.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let full = std::mem::replace(self, Self::new());
        full.out.encode(full.rows)
    }

    /// Takes an entry; `lists` stand for its pieces where there are too many.
    pub(super) fn entry(&mut self, entry: &Entry, lists: &[List]) {
        self.rows += 1;
        self.bytes(column::PATH_BYTES, column::PATH_END, &entry.path);
        self.kind(&entry.kind);
        self.number(column::MODE, entry.mode);
        self.number(column::UID, entry.uid);
        self.number(column::GID, entry.gid);
        self.number(column::FLAGS, entry.flags);
        self.times(&entry.times);
        // 0 says there is none.
        let link = entry.link.map_or(0, |link| u64::from(link) + 1);
        self.out.put(column::LINK, &link.to_le_bytes());
        let mut short_name = [0; 12];
        if let Some(name) = entry.short_name {
            short_name[0] = 1;
            short_name[1..].copy_from_slice(&name);
        }
        self.out.put(column::SHORT_NAME, &short_name);
        self.xattrs(entry);
        self.content(&entry.content, lists);
    }

    fn number(&mut self, column: Column, value: u32) {
        self.out.put(column, &value.to_le_bytes());
    }

    /// Bytes of any length: into a heap, and where they end into a column.
    fn bytes(&mut self, heap: Column, ends: Column, bytes: &[u8]) {
        self.out.put(heap, bytes);
        let end = number(self.out.get(heap).len());
        self.out.put(ends, &end.to_le_bytes());
    }

    fn kind(&mut self, kind: &Kind) {
        let (number, target, major, minor) = match kind {
            Kind::Directory => (kinds::DIRECTORY, &[][..], 0, 0),
            Kind::File => (kinds::FILE, &[][..], 0, 0),
            Kind::Symlink(target) => (kinds::SYMLINK, target.as_slice(), 0, 0),
            Kind::CharDevice { major, minor } => (kinds::CHAR_DEVICE, &[][..], *major, *minor),
            Kind::BlockDevice { major, minor } => (kinds::BLOCK_DEVICE, &[][..], *major, *minor),
            Kind::Fifo => (kinds::FIFO, &[][..], 0, 0),
            Kind::Socket => (kinds::SOCKET, &[][..], 0, 0),
            Kind::RawVolume => (kinds::RAW_VOLUME, &[][..], 0, 0),
        };
        self.out.put(column::KIND, &[number]);
        self.bytes(column::TARGET_BYTES, column::TARGET_END, target);
        let device = u64::from(major) << 32 | u64::from(minor);
        self.out.put(column::DEVICE, &device.to_le_bytes());
    }

    fn times(&mut self, times: &Times) {
        for time in [times.modified, times.accessed, times.changed, times.created] {
            self.out
                .put(column::TIME_SECONDS, &time.seconds.to_le_bytes());
            self.out
                .put(column::TIME_NANOSECONDS, &time.nanoseconds.to_le_bytes());
        }
    }

    fn xattrs(&mut self, entry: &Entry) {
        for xattr in &entry.xattrs {
            self.bytes(
                column::XATTR_NAME_BYTES,
                column::XATTR_NAME_END,
                &xattr.name,
            );
            self.bytes(
                column::XATTR_VALUE_BYTES,
                column::XATTR_VALUE_END,
                &xattr.value,
            );
            self.xattrs += 1;
        }
        self.out.put(column::XATTRS_END, &self.xattrs.to_le_bytes());
    }

    fn content(&mut self, content: &Content, lists: &[List]) {
        let (kind, inline, pieces) = match content {
            Content::Empty => (kinds::EMPTY, &[][..], &[][..]),
            Content::Inline(bytes) => (kinds::INLINE, bytes.as_slice(), &[][..]),
            Content::Pieces(_) if !lists.is_empty() => (kinds::LISTS, &[][..], &[][..]),
            Content::Pieces(pieces) => (kinds::PIECES, &[][..], pieces.as_slice()),
        };
        self.out.put(column::CONTENT, &[kind]);
        self.bytes(column::INLINE_BYTES, column::INLINE_END, inline);
        for piece in pieces {
            let (kind, id) = list::number(piece);
            self.piece(piece.length(), kind, &id);
        }
        for part in lists {
            self.piece(part.contents, kinds::LIST, part.chunk.id.as_bytes());
            self.piece(u64::from(part.chunk.length), kinds::LIST_LENGTH, &[0; 32]);
        }
        self.out.put(column::PIECES_END, &self.pieces.to_le_bytes());
    }

    fn piece(&mut self, length: u64, kind: u8, id: &[u8; 32]) {
        self.out.put(column::PIECE_LENGTH, &length.to_le_bytes());
        self.out.put(column::PIECE_KIND, &[kind]);
        self.out.put(column::PIECE_CHUNK, id);
        self.pieces += 1;
    }
}

/// A leaf is one chunk, so every end is far below 4 GiB.
fn number(end: usize) -> u32 {
    u32::try_from(end).unwrap_or(u32::MAX)
}

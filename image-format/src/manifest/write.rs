//! A manifest becomes columns.

use super::disk;
use super::read::kinds;
use super::table::{self as column, Column, Tables};
use crate::bytes::length;
use crate::entry::{Content, Entry, Kind, Piece, Times};
use crate::image::Manifest;

pub(super) fn tables(manifest: &Manifest) -> Tables {
    let mut out = Tables::new();
    out.put(column::DISK, &disk::encode(&manifest.disk));
    let mut writer = Writer {
        out,
        entries: 0,
        xattrs: 0,
        pieces: 0,
    };
    for volume in &manifest.volumes {
        volume.entries.iter().for_each(|entry| writer.entry(entry));
        writer
            .out
            .put(column::VOLUME_PARTITION, &volume.partition.to_le_bytes());
        writer
            .out
            .put(column::VOLUME_ENTRIES_END, &writer.entries.to_le_bytes());
    }
    writer.out
}

struct Writer {
    out: Tables,
    entries: u64,
    xattrs: u64,
    pieces: u64,
}

impl Writer {
    fn entry(&mut self, entry: &Entry) {
        self.entries += 1;
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
        self.content(&entry.content);
    }

    fn number(&mut self, column: Column, value: u32) {
        self.out.put(column, &value.to_le_bytes());
    }

    /// Bytes of any length: into a heap, and where they end into a column.
    fn bytes(&mut self, heap: Column, ends: Column, bytes: &[u8]) {
        self.out.put(heap, bytes);
        let end = length(self.out.get(heap));
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

    fn content(&mut self, content: &Content) {
        let (number, inline, pieces) = match content {
            Content::Empty => (kinds::EMPTY, &[][..], &[][..]),
            Content::Inline(bytes) => (kinds::INLINE, bytes.as_slice(), &[][..]),
            Content::Pieces(pieces) => (kinds::PIECES, &[][..], pieces.as_slice()),
        };
        self.out.put(column::CONTENT, &[number]);
        self.bytes(column::INLINE_BYTES, column::INLINE_END, inline);
        for piece in pieces {
            let (number, id) = match piece {
                Piece::Hole { .. } => (kinds::HOLE, [0; 32]),
                Piece::Chunk { id, .. } => (kinds::CHUNK, *id.as_bytes()),
            };
            self.out
                .put(column::PIECE_LENGTH, &piece.length().to_le_bytes());
            self.out.put(column::PIECE_KIND, &[number]);
            self.out.put(column::PIECE_CHUNK, &id);
            self.pieces += 1;
        }
        self.out.put(column::PIECES_END, &self.pieces.to_le_bytes());
    }
}

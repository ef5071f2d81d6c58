//! Trees made by hand.

use std::collections::HashMap;

use image_format::entry::{Content, Entry, Kind, Piece};
use image_format::ids::ChunkId;
use image_format::image::VolumeTree;
use image_format::layout::Ext4Facts;

use super::{Captured, entry, partition};

/// A tree to grow: root and `lost+found` are there.
pub(crate) struct Grower {
    pub(crate) entries: Vec<Entry>,
    pub(crate) chunks: HashMap<ChunkId, Vec<u8>>,
}

impl Grower {
    pub(crate) fn new() -> Self {
        let entries = vec![
            entry("", Kind::Directory),
            entry("lost+found", Kind::Directory),
        ];
        Self {
            entries,
            chunks: HashMap::new(),
        }
    }

    pub(crate) fn add(&mut self, path: impl Into<Vec<u8>>, kind: Kind) -> &mut Entry {
        self.entries.push(entry(path, kind));
        self.entries.last_mut().unwrap()
    }

    pub(crate) fn chunk(&mut self, bytes: Vec<u8>) -> Piece {
        let id = ChunkId::of(&bytes);
        let length = u32::try_from(bytes.len()).unwrap();
        self.chunks.insert(id, bytes);
        Piece::Chunk { id, length }
    }

    pub(crate) fn file(&mut self, path: impl Into<Vec<u8>>, pieces: Vec<Piece>) -> &mut Entry {
        let entry = self.add(path, Kind::File);
        entry.content = Content::Pieces(pieces);
        entry
    }

    pub(crate) fn finish(mut self, facts: Ext4Facts) -> Captured {
        self.entries.sort_by(|one, other| one.path.cmp(&other.path));
        Captured {
            partition: partition(facts),
            tree: VolumeTree {
                partition: 0,
                entries: self.entries,
            },
            chunks: self.chunks,
        }
    }
}

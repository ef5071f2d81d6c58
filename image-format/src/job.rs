//! Which block, and which chunks in it: what is indexed, fetched and opened.

use std::fmt;

use crate::ids::{BlockId, ChunkId, ChunkRef, PackId};

/// Where a block lies and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockPlace {
    /// The pack that holds it.
    pub pack: PackId,
    /// The block.
    pub block: BlockId,
    /// First byte of its header in the pack.
    pub offset: u64,
    /// Stored bytes, header included.
    pub stored: u32,
    /// Bytes after expanding.
    pub raw: u32,
}

impl fmt::Display for BlockPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "block {} at byte {} of pack {}",
            self.block.short(),
            self.offset,
            self.pack.short()
        )
    }
}

/// Where a chunk lies in the raw bytes of its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkInBlock {
    /// The chunk.
    pub id: ChunkId,
    /// Its first byte in the expanded block.
    pub offset: u32,
    /// Its length in bytes.
    pub length: u32,
}

/// A block to fetch and the chunks wanted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockJob {
    /// Where it lies.
    pub place: BlockPlace,
    /// Wanted chunks in block order, each once.
    pub chunks: Vec<ChunkInBlock>,
    /// The chunks that must be at hand to open it; none for most blocks.
    pub bases: Vec<ChunkRef>,
}

impl BlockJob {
    /// A block without bases of which nothing is wanted yet.
    pub fn new(place: BlockPlace) -> Self {
        Self {
            place,
            chunks: Vec::new(),
            bases: Vec::new(),
        }
    }
}

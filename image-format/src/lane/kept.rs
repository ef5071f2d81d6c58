//! Chunks that wait for their block, and what remembers them small.

use zstd::bulk::{Compressor, Decompressor};

use super::alike::Sketch;
use crate::block::SealError;
use crate::ids::ChunkId;

/// Quick, and still a third of what most files take.
const LEVEL: i32 = 1;
/// Shorter chunks stay as they are: they are few bytes.
const LEAST_PACKED: usize = 1 << 10;

/// A chunk that waits.
pub(super) struct Waiting {
    /// The file's base name.
    pub(super) base: Vec<u8>,
    pub(super) id: ChunkId,
    /// Of its bytes, before they were packed.
    pub(super) length: usize,
    pub(super) sketch: Option<Sketch>,
    bytes: Vec<u8>,
    packed: bool,
}

impl Waiting {
    pub(super) fn plain(base: Vec<u8>, id: ChunkId, bytes: Vec<u8>) -> Self {
        Self {
            base,
            id,
            length: bytes.len(),
            sketch: None,
            bytes,
            packed: false,
        }
    }

    /// Bytes it takes while it waits.
    pub(super) fn held(&self) -> usize {
        self.bytes.len()
    }
}

/// Packs chunks that wait long, and unpacks them.
#[derive(Default)]
pub(super) struct Keeper {
    compressor: Compressor<'static>,
    decompressor: Decompressor<'static>,
}

impl Keeper {
    /// Makes a chunk small, with a sketch of what it was.
    pub(super) fn pack(&mut self, chunk: &mut Waiting) {
        if chunk.packed {
            return;
        }
        chunk.sketch = Sketch::of(&chunk.bytes);
        if chunk.length < LEAST_PACKED {
            return;
        }
        let level = self.compressor.set_compression_level(LEVEL);
        // What cannot be packed waits as it is.
        let packed = level.and_then(|()| self.compressor.compress(&chunk.bytes));
        if let Ok(mut packed) = packed
            && packed.len() < chunk.length - chunk.length / 8
        {
            packed.shrink_to_fit();
            chunk.bytes = packed;
            chunk.packed = true;
        }
    }

    /// Adds a chunk's bytes to a block's; for what was packed they are hashed
    /// again, since they will be stored under that hash.
    pub(super) fn unpack(&mut self, chunk: &Waiting, raw: &mut Vec<u8>) -> Result<(), SealError> {
        if !chunk.packed {
            raw.extend_from_slice(&chunk.bytes);
            return Ok(());
        }
        let expanded = self.decompressor.decompress(&chunk.bytes, chunk.length);
        let bytes = expanded.map_err(|_| SealError::Mismatch)?;
        if ChunkId::of(&bytes) != chunk.id {
            return Err(SealError::Mismatch);
        }
        raw.extend_from_slice(&bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(bytes: &[u8]) -> Waiting {
        Waiting::plain(b"name".to_vec(), ChunkId::of(bytes), bytes.to_vec())
    }

    #[test]
    fn what_waits_is_small_and_comes_back() {
        let mut keeper = Keeper::default();
        for bytes in [b"again and ".repeat(10_000), b"short".to_vec()] {
            let mut chunk = waiting(&bytes);
            keeper.pack(&mut chunk);
            assert!(chunk.held() <= 1000, "{}", chunk.held());
            let mut raw = b"before".to_vec();
            keeper.unpack(&chunk, &mut raw).unwrap();
            assert_eq!(raw[6..], bytes);
        }
    }

    #[test]
    fn what_memory_changed_meanwhile_is_an_error() {
        let mut keeper = Keeper::default();
        let bytes: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut chunk = waiting(&bytes);
        keeper.pack(&mut chunk);
        assert!(chunk.held() < bytes.len());
        for at in (0..chunk.held()).step_by(97) {
            chunk.bytes[at] ^= 4;
            let found = keeper.unpack(&chunk, &mut Vec::new());
            assert!(matches!(found, Err(SealError::Mismatch)), "byte {at}");
            chunk.bytes[at] ^= 4;
        }
        keeper.unpack(&chunk, &mut Vec::new()).unwrap();
    }
}

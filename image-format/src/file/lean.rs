//! Blocks that lean on others: opened with their bases, and made to stand alone
//! where their bases do not come along.

use super::BlockHead;
use crate::block::{self, BlockError, OpenBlock, SealError, SealOptions};
use crate::ids::ChunkRef;
use crate::index::Index;
use crate::job::BlockJob;
use crate::lane::Class;
use crate::profile::Profile;
use crate::store::Source;

/// Opens a block, its bases taken from wherever the index knows them.
pub(super) fn open<S: Source + ?Sized>(
    index: &Index,
    source: &S,
    job: &BlockJob,
    stored: &[u8],
) -> Result<OpenBlock, BlockError> {
    block::open_with(&job.place, stored, &mut |base| {
        base_bytes(index, source, base)
    })
}

/// A base from a block that stands alone, or from one that leans on such blocks.
fn base_bytes<S: Source + ?Sized>(index: &Index, source: &S, base: &ChunkRef) -> Option<Vec<u8>> {
    if let Some(bytes) = plain_bytes(index, source, base) {
        return Some(bytes);
    }
    let (place, chunk) = index.find(&base.id)?;
    let stored = source.block(&place).ok()?;
    let plain = &mut |base: &ChunkRef| plain_bytes(index, source, base);
    let open = block::open_with(&place, &stored, plain).ok()?;
    open.chunk(&chunk).ok().map(<[u8]>::to_vec)
}

fn plain_bytes<S: Source + ?Sized>(index: &Index, source: &S, base: &ChunkRef) -> Option<Vec<u8>> {
    let (place, chunk) = index.find_plain(&base.id)?;
    let stored = source.block(&place).ok()?;
    let open = block::open(&place, &stored).ok()?;
    open.chunk(&chunk).ok().map(<[u8]>::to_vec)
}

/// The same chunks in a block that stands alone.
pub(super) fn stand_alone(
    head: &BlockHead,
    open: &OpenBlock,
) -> Result<(BlockHead, Vec<u8>), SealError> {
    let chunks = u32::try_from(head.chunks.len()).map_err(|_| SealError::Length {
        found: open.raw().len(),
    })?;
    let options = SealOptions {
        chunks,
        profile: Profile::Balanced,
        filter: Class::of(open.raw()).filter(),
        bases: &[],
        verify: true,
    };
    let sealed = block::seal(open.raw(), &options)?;
    let stored = u32::try_from(sealed.bytes.len()).map_err(|_| SealError::Length {
        found: sealed.bytes.len(),
    })?;
    let head = BlockHead {
        block: sealed.id,
        stored,
        bases: Vec::new(),
        ..head.clone()
    };
    Ok((head, sealed.bytes))
}

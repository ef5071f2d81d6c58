//! A block is fetched, checked and expanded.

use image_format::block::{self, OpenBlock};
use image_format::ids::ChunkRef;
use image_format::job::ChunkInBlock;
use image_format::store::BlockPlace;

use super::run::Run;
use crate::tree::error::TreeError;
use crate::tree::place::Deposit;

/// Fetches a block and checks it with all chunks that are wanted of it.
pub(super) fn fetch(
    run: &Run<'_>,
    place: &BlockPlace,
    deposits: &[Deposit],
) -> Result<OpenBlock, TreeError> {
    // A bit may flip on the wire once; the same damage twice lies in the store.
    match fetch_once(run, place, deposits) {
        Err(TreeError::Corrupt { .. }) => fetch_once(run, place, deposits),
        other => other,
    }
}

fn fetch_once(
    run: &Run<'_>,
    place: &BlockPlace,
    deposits: &[Deposit],
) -> Result<OpenBlock, TreeError> {
    let stored = run.blocks.source.block(place);
    let stored = stored.map_err(|source| TreeError::Fetch {
        place: *place,
        source,
    })?;
    let corrupt = |source| TreeError::Corrupt {
        place: *place,
        source: Box::new(source),
    };
    let mut base = |at: &ChunkRef| (run.blocks.base)(at);
    let block = block::open_with(place, &stored, &mut base).map_err(corrupt)?;
    let mut before = None;
    for deposit in deposits {
        let chunk = ChunkInBlock {
            id: deposit.chunk,
            offset: deposit.from,
            length: deposit.length,
        };
        // One chunk may have many places; they stand together.
        if before != Some(chunk) {
            block.chunk(&chunk).map_err(corrupt)?;
            before = Some(chunk);
        }
    }
    Ok(block)
}

/// The bytes of a deposit in a block that was checked.
pub(super) fn bytes<'b>(block: &'b OpenBlock, deposit: &Deposit) -> &'b [u8] {
    let from = deposit.from as usize;
    let to = from.saturating_add(deposit.length as usize);
    block.raw().get(from..to).unwrap_or_default()
}

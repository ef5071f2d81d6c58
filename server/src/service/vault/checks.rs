//! What a share takes in: nothing that is not what it is called.

use std::collections::HashMap;

use image_format::store::{RefName, Store, StoreError};
use image_format::{BlockJob, ChunkReader, Index, PackId, Segment, Share, pack, refs};

use super::Asker;
use super::shelf::Shelf;
use crate::error::chain;

/// How far ahead of the newest version a token may number its own. An import
/// keeps the number of the file it comes from; the last number there is would
/// end the name for ever.
const FARTHEST_AHEAD: u64 = 1_000_000;

/// The pack has this id, and every chunk in it is what its own says.
///
/// # Errors
/// In words: what is not so.
pub(super) fn pack(
    store: &dyn Store,
    shelf: &Shelf,
    id: &PackId,
    bytes: &[u8],
) -> Result<(), String> {
    // Cheap, and most damage shows here.
    let found = PackId::of(bytes);
    if found != *id {
        return Err(format!("its bytes hash to {}", found.short()));
    }
    let jobs = pack::decode(id, bytes).map_err(|error| chain(&error))?;
    let index = match jobs.iter().any(|job| !job.bases.is_empty()) {
        true => shelf.to_read(store).map_err(|error| chain(&error))?,
        false => Index::default(),
    };
    let reader = ChunkReader::default();
    for job in &jobs {
        let range = usize::try_from(job.place.offset).ok().and_then(|start| {
            let end = start.checked_add(usize::try_from(job.place.stored).ok()?)?;
            bytes.get(start..end)
        });
        let stored = range.ok_or_else(|| format!("{} lies outside of it", job.place))?;
        let open = reader
            .open(&index, store, &job.place, stored)
            .map_err(|error| chain(&error))?;
        for chunk in &job.chunks {
            open.chunk(chunk).map_err(|error| chain(&error))?;
        }
    }
    Ok(())
}

/// The segment says of its packs only what their own tables say.
///
/// # Errors
/// In words: what is not so.
pub(super) fn segment(store: &dyn Store, by: &Asker, bytes: &[u8]) -> Result<(), String> {
    let segment = Segment::decode(bytes.to_vec()).map_err(|error| chain(&error))?;
    if segment.generation() > 0 && !by.is_operator {
        return Err(format!(
            "it is of generation {}, which only who optimizes the share writes",
            segment.generation()
        ));
    }
    // Jobs come in pack order: one pack's tables are in memory at a time.
    let mut tables: Option<(PackId, HashMap<u64, BlockJob>)> = None;
    for job in segment.jobs() {
        let pack = job.place.pack;
        if tables.as_ref().is_none_or(|(known, _)| *known != pack) {
            let blocks = pack_tables(store, &pack)?.into_iter();
            let by_offset = blocks.map(|block| (block.place.offset, block)).collect();
            tables = Some((pack, by_offset));
        }
        let blocks = tables.as_ref().map(|(_, blocks)| blocks);
        let block = blocks.and_then(|blocks| blocks.get(&job.place.offset));
        if !block.is_some_and(|block| agrees(block, &job)) {
            return Err(format!(
                "{} is not in its pack as the segment says",
                job.place
            ));
        }
    }
    Ok(())
}

/// Whether a block of a pack is at least what the segment says of it.
fn agrees(block: &BlockJob, said: &BlockJob) -> bool {
    // A block's chunks lie one after another, none of them empty.
    let holds = |chunk| {
        let at = |probe: &image_format::ChunkInBlock| probe.offset;
        let row = block.chunks.binary_search_by_key(&at(chunk), at);
        row.ok().and_then(|row| block.chunks.get(row)) == Some(chunk)
    };
    block.place == said.place && block.bases == said.bases && said.chunks.iter().all(holds)
}

fn pack_tables(store: &dyn Store, pack: &PackId) -> Result<Vec<BlockJob>, String> {
    let words = |error: StoreError| chain(&error);
    let length = store.pack_facts(pack).map_err(words)?.length;
    let read = |from_end: u64| {
        let wanted = from_end.min(length);
        let part = u32::try_from(wanted).map_err(|_| "its tables are too long".to_owned())?;
        store
            .read_pack_part(pack, length - wanted, part)
            .map_err(words)
    };
    let trailer = read(pack::TRAILER_LENGTH as u64)?;
    let tail = pack::tail_length(length, &trailer).map_err(|error| chain(&error))?;
    pack::reindex(pack, length, &read(tail)?).map_err(|error| chain(&error))
}

/// The ref is this one's, and all of its image is there.
///
/// # Errors
/// In words: what is not so.
pub(super) fn reference(
    store: &dyn Store,
    shelf: &Shelf,
    by: &Asker,
    at: &RefName,
    bytes: &[u8],
) -> Result<(), String> {
    let record = refs::decode(bytes, at.sequence, None)
        .map_err(|error| chain(&error))?
        .record;
    if (&record.name, record.sequence) != (&at.name, at.sequence) {
        return Err(format!(
            "it says it is {} ({})",
            record.name, record.sequence
        ));
    }
    if !by.is_operator {
        is_near(store, at)?;
    }
    let index = shelf.to_read(store).map_err(|error| chain(&error))?;
    let share = Share::over(store, index);
    let chunks = share.image_chunks(&record).map_err(|error| chain(&error))?;
    for chunk in chunks {
        match share.index().find(&chunk.id) {
            Some((_, there)) if there.length == chunk.length => {}
            Some(_) => return Err(format!("chunk {} has another length", chunk.id)),
            None => return Err(format!("chunk {} is not there", chunk.id)),
        }
    }
    Ok(())
}

/// The number is not so high that nobody can follow.
fn is_near(store: &dyn Store, at: &RefName) -> Result<(), String> {
    let words = |error: StoreError| chain(&error);
    let mut known = store.list_refs().map_err(words)?;
    known.extend(store.list_deleted_refs().map_err(words)?);
    let same = known.iter().filter(|known| known.name == at.name);
    let newest = same.map(|known| known.sequence).max().unwrap_or(0);
    match at.sequence.saturating_sub(newest) > FARTHEST_AHEAD {
        true => Err(format!(
            "version {} is too far from the newest there is, {newest}",
            at.sequence
        )),
        false => Ok(()),
    }
}

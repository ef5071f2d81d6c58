//! Many small index segments become one.
//!
//! A segment is removed only when all its rows stand in another one, durably,
//! but for rows of packs that are gone. Segments are salted, so nobody can have
//! written the very same one meanwhile and count on it.

use std::collections::BTreeMap;

use super::{GcError, GcOptions};
use crate::ids::{PackId, SegmentId};
use crate::index::{Index, Presence, Segment};
use crate::job::BlockJob;
use crate::store::Store;
use crate::store::trash::unlike;

/// A segment of so many chunk rows is left alone: merging it again and again
/// would cost more than a look-up in one segment more.
const LARGE: u32 = 1 << 20;

/// Merges small segments when there are many, and those that mostly tell of
/// packs that are gone; says how many were merged.
pub(super) fn merge(store: &dyn Store, index: &Index, options: &GcOptions) -> Result<u64, GcError> {
    let numbers = 0..index.segments().len();
    let rows = |number: usize| index.segments().get(number).map_or(0, Segment::chunks);
    let stale = |number: usize| {
        let packs = index.presence(number);
        let gone = packs.iter().filter(|pack| **pack == Presence::Gone).count();
        gone * 2 > packs.len()
    };
    let small = numbers
        .clone()
        .filter(|number| rows(*number) < LARGE)
        .count();
    let many = small >= options.merge_at.max(2);
    let chosen = numbers.filter(|number| stale(*number) || (many && rows(*number) < LARGE));
    let mut merged = 0;
    let mut batch = Vec::new();
    let mut sum = 0_u32;
    let generation = |number: usize| index.segments().get(number).map(Segment::generation);
    for number in chosen {
        // Which of two rows counts is told by the generation: it must stay.
        if let Some(last) = batch.last()
            && generation(*last) != generation(number)
        {
            merged += merge_batch(store, index, &std::mem::take(&mut batch))?;
            sum = 0;
        }
        batch.push(number);
        sum = sum.saturating_add(rows(number));
        if sum >= LARGE {
            merged += merge_batch(store, index, &std::mem::take(&mut batch))?;
            sum = 0;
        }
    }
    Ok(merged + merge_batch(store, index, &batch)?)
}

fn merge_batch(store: &dyn Store, index: &Index, batch: &[usize]) -> Result<u64, GcError> {
    let mut generation = 0;
    let mut jobs: BTreeMap<(PackId, u64), BlockJob> = BTreeMap::new();
    for number in batch {
        let Some(segment) = index.segments().get(*number) else {
            continue;
        };
        generation = segment.generation();
        let gone: Vec<PackId> = segment
            .packs()
            .zip(index.presence(*number))
            .filter(|(_, presence)| **presence == Presence::Gone)
            .map(|(pack, _)| pack)
            .collect();
        let there = |job: &BlockJob| gone.binary_search(&job.place.pack).is_err();
        for job in segment.jobs().into_iter().filter(there) {
            let known = jobs.entry((job.place.pack, job.place.offset));
            let known = known.or_insert_with(|| job.clone());
            // A segment need not list all chunks of a block.
            if job.chunks.len() > known.chunks.len() {
                *known = job;
            }
        }
    }
    let jobs: Vec<BlockJob> = jobs.into_values().collect();
    if !jobs.is_empty() {
        let bytes = Segment::encode_salted(&jobs, generation, unlike())?;
        store.put_index(&SegmentId::of(&bytes), &bytes)?;
    }
    let mut merged = 0;
    for number in batch {
        if let Some(segment) = index.segments().get(*number) {
            let id = SegmentId::of(segment.bytes());
            merged += u64::from(store.remove_index(&id)?);
        }
    }
    Ok(merged)
}

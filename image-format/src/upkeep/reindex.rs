//! The index is made again from what the packs say of themselves.

use std::collections::BTreeMap;

use thiserror::Error;

use super::leases::Lease;
use super::tables::{self, TableError};
use crate::ids::{PackId, SegmentId};
use crate::index::{Segment, SegmentError, read_segment};
use crate::job::BlockJob;
use crate::share::chain;
use crate::store::trash::unlike;
use crate::store::{Object, Store, StoreError};

/// A segment is closed at so many chunks, which bounds the memory this takes.
const CHUNKS_A_SEGMENT: usize = 1 << 20;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReindexReport {
    /// Packs whose tables were read.
    pub packs: u64,
    /// Chunks they hold.
    pub chunks: u64,
    /// Segments that were written.
    pub written: u64,
    /// Segments that were removed.
    pub removed: u64,
    /// Packs whose tables cannot be used, and why. Where an old segment told
    /// of one, its rows were kept.
    pub damaged: Vec<(PackId, String)>,
}

/// The index could not be made; the old one is untouched.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReindexError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A segment could not be made.
    #[error("making an index segment")]
    Segment(#[from] SegmentError),
}

/// Reads the tables of all packs, writes an index over them, and removes the
/// segments that were there. May run beside everything else.
///
/// # Errors
/// The store failed.
pub fn reindex(store: &dyn Store) -> Result<ReindexReport, ReindexError> {
    let mut lease = Lease::take(store, "reindex")?;
    let mut report = ReindexReport::default();
    // Segments first: every pack that one of them tells of is then found.
    let old = store.list_indexes()?;
    let mut packs = store.list_packs()?;
    packs.extend(
        store
            .list_trash()?
            .into_iter()
            .filter_map(|what| match what.object {
                Object::Pack(id) => Some(id),
                Object::Manifest(_) => None,
            }),
    );
    packs.extend(store.list_packs()?);
    packs.sort();
    packs.dedup();
    let known = read_old(store, &old)?;
    let mut writer = Writer::default();
    for id in packs {
        lease.beat()?;
        let generation = known.generation.get(&id).copied().unwrap_or(0);
        let jobs = match tables::read(store, &id) {
            Ok(tables) => {
                report.packs += 1;
                tables.jobs
            }
            // Destroyed meanwhile.
            Err(TableError::Store(StoreError::Missing { .. })) => continue,
            Err(TableError::Store(error @ StoreError::Stopped { .. })) => return Err(error.into()),
            Err(error) => {
                report.damaged.push((id, chain(&error)));
                tables::of_index(&known.segments, &id)
            }
        };
        report.chunks += jobs.iter().map(|job| job.chunks.len() as u64).sum::<u64>();
        writer.push(store, generation, jobs)?;
    }
    report.written = writer.finish(store)?;
    for id in &old {
        report.removed += u64::from(store.remove_index(id)?);
    }
    store.settle()?;
    Ok(report)
}

/// What the old index still tells.
struct Old {
    segments: Vec<Segment>,
    generation: BTreeMap<PackId, u64>,
}

fn read_old(store: &dyn Store, ids: &[SegmentId]) -> Result<Old, StoreError> {
    let mut old = Old {
        segments: Vec::new(),
        generation: BTreeMap::new(),
    };
    for id in ids {
        let Ok(segment) = read_segment(store, *id) else {
            continue;
        };
        for pack in segment.packs() {
            let newest = old.generation.entry(pack).or_default();
            *newest = segment.generation().max(*newest);
        }
        old.segments.push(segment);
    }
    Ok(old)
}

/// Gathers rows by generation, and writes a segment when there are enough.
#[derive(Default)]
struct Writer {
    waiting: BTreeMap<u64, (usize, Vec<BlockJob>)>,
    written: u64,
}

impl Writer {
    fn push(
        &mut self,
        store: &dyn Store,
        generation: u64,
        jobs: Vec<BlockJob>,
    ) -> Result<(), ReindexError> {
        let (chunks, waiting) = self.waiting.entry(generation).or_default();
        *chunks += jobs.iter().map(|job| job.chunks.len()).sum::<usize>();
        waiting.extend(jobs);
        match *chunks >= CHUNKS_A_SEGMENT {
            true => self.write(store, generation),
            false => Ok(()),
        }
    }

    fn write(&mut self, store: &dyn Store, generation: u64) -> Result<(), ReindexError> {
        let Some((_, jobs)) = self.waiting.remove(&generation) else {
            return Ok(());
        };
        if !jobs.is_empty() {
            let bytes = Segment::encode_salted(&jobs, generation, unlike())?;
            store.put_index(&SegmentId::of(&bytes), &bytes)?;
            self.written += 1;
        }
        Ok(())
    }

    fn finish(mut self, store: &dyn Store) -> Result<u64, ReindexError> {
        let generations: Vec<u64> = self.waiting.keys().copied().collect();
        for generation in generations {
            self.write(store, generation)?;
        }
        Ok(self.written)
    }
}

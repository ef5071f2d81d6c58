//! Packs against the index, and on demand to their last byte.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::finding::Finding;
use crate::ids::{BlockId, PackId};
use crate::index::{Index, Segment};
use crate::job::BlockJob;
use crate::share::{Expander, Share, chain};
use crate::store::{BlockPlace, Store, StoreError};
use crate::upkeep::mark::Marks;
use crate::upkeep::tables::{self, TableError, Tables};

/// Threads that read and expand; a disk gains nothing from more.
const MAX_THREADS: usize = 8;
/// Bytes before the first block of a pack.
const PACK_HEADER: u32 = 64;

/// A finding, and what is damaged: a block, or the whole pack.
pub(super) struct Wrong {
    pub(super) pack: PackId,
    pub(super) block: Option<u64>,
    pub(super) harm: Harm,
    pub(super) finding: Finding,
}

/// What kind of damage it is, for those who mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Bytes of the pack are not what they were: of this block, or beside all blocks.
    Bytes,
    /// The block is as it was stored, but a base it leans on cannot be read.
    Base,
    /// The index tells of something else than the pack itself.
    Row,
}

/// What was looked at.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) blocks: u64,
    pub(super) stored: u64,
    pub(super) read: u64,
    pub(super) wrong: Vec<Wrong>,
}

/// The packs of which an image needs something.
pub(super) fn needed(index: &Index, marks: &Marks) -> BTreeSet<PackId> {
    let mut packs = BTreeSet::new();
    for (number, segment) in index.segments().iter().enumerate() {
        let blocks: BTreeSet<u32> = marks
            .rows(number)
            .filter_map(|row| segment.chunk_row(row))
            .map(|(_, block)| block)
            .collect();
        let places = blocks.iter().filter_map(|block| segment.block_row(*block));
        packs.extend(places.map(|(place, _)| place.pack));
    }
    packs
}

/// Looks at packs on several threads; `read_data` says which are read whole.
pub(super) fn look(
    share: &Share<&dyn Store>,
    packs: &[PackId],
    read_data: &(dyn Fn(&PackId) -> bool + Sync),
) -> Outcome {
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Outcome::default());
    let expander = Expander::new(share.index(), *share.store());
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(pack) = packs.get(at) else { return };
            let mut look = Look {
                share,
                expander: &expander,
                pack: *pack,
                outcome: Outcome::default(),
            };
            look.whole(read_data(pack));
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.blocks += look.outcome.blocks;
            all.stored += look.outcome.stored;
            all.read += look.outcome.read;
            all.wrong.append(&mut look.outcome.wrong);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        (0..threads.min(MAX_THREADS)).for_each(|_| drop(scope.spawn(work)));
    });
    all.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A look at one pack.
struct Look<'a, 's> {
    share: &'a Share<&'s dyn Store>,
    expander: &'a Expander<'a>,
    pack: PackId,
    outcome: Outcome,
}

impl Look<'_, '_> {
    fn wrong(
        &mut self,
        offset: Option<u64>,
        harm: Harm,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        self.outcome.wrong.push(Wrong {
            pack: self.pack,
            block: offset,
            harm,
            finding: Finding::of_pack(&self.pack, offset, expected, found),
        });
    }

    fn failed(&mut self, expected: &str, error: &dyn Error) {
        self.wrong(None, Harm::Bytes, expected, chain(error));
    }

    fn whole(&mut self, read_data: bool) {
        let store = *self.share.store();
        if !store.packs_have_tables() {
            return self.blocks_of_index(read_data);
        }
        let found = match tables::read(store, &self.pack) {
            Ok(tables) => tables,
            // Destroyed since the list was read, or missing: who needs it says so.
            Err(TableError::Store(StoreError::Missing { .. })) => return,
            Err(error) => {
                self.failed("tables that tell what it holds", &error);
                return self.blocks_of_index(read_data);
            }
        };
        self.outcome.blocks += found.jobs.len() as u64;
        self.outcome.stored += found.length;
        self.against_index(&found.jobs);
        if read_data {
            self.read(&found);
        }
    }

    /// Every row that tells of this pack must be one of its own.
    fn against_index(&mut self, jobs: &[BlockJob]) {
        let share = self.share;
        for segment in share.index().segments() {
            let pack = self.pack;
            for place in segment.blocks_of(&pack) {
                let own = jobs.binary_search_by_key(&place.offset, |job| job.place.offset);
                let own = own.ok().and_then(|at| jobs.get(at));
                match own {
                    Some(job) if job.place == place => {}
                    Some(job) => self.differs(&place, &words(&job.place)),
                    None => self.differs(&place, "no block here"),
                }
            }
            for job in jobs {
                self.chunks_against(segment, job);
            }
        }
    }

    fn chunks_against(&mut self, segment: &Segment, job: &BlockJob) {
        for chunk in &job.chunks {
            for row in segment.rows_of(&chunk.id) {
                let Some((told, block)) = segment.chunk_row(row) else {
                    continue;
                };
                let here = segment
                    .block_row(block)
                    .is_some_and(|(place, _)| place == job.place);
                let twin = |own: &crate::job::ChunkInBlock| *own == told;
                if here && !job.chunks.iter().any(twin) {
                    let told = format!(
                        "chunk {} at {}+{} of block {}, as the index tells",
                        told.id.short(),
                        told.offset,
                        told.length,
                        job.place.block.short()
                    );
                    let own = format!("it at {}+{}", chunk.offset, chunk.length);
                    self.wrong(Some(job.place.offset), Harm::Row, told, own);
                }
            }
        }
    }

    fn differs(&mut self, place: &BlockPlace, found: &str) {
        let expected = format!("{}, as the index tells", words(place));
        self.wrong(Some(place.offset), Harm::Row, expected, found);
    }

    /// Reads it from its first byte to its last, once.
    fn read(&mut self, tables: &Tables) {
        let mut hasher = blake3::Hasher::new();
        let before = self.outcome.wrong.len();
        if let Some(header) = self.part(0, PACK_HEADER) {
            hasher.update(&header);
        }
        for job in &tables.jobs {
            if let Some(stored) = self.part(job.place.offset, job.place.stored) {
                hasher.update(&stored);
                self.block(job, &stored);
            }
        }
        hasher.update(&tables.tail);
        self.outcome.read += tables.length;
        let found = PackId::from(hasher.finalize());
        // Where a block was found damaged, the hash of the whole says no more.
        if found != self.pack && self.outcome.wrong.len() == before {
            let found = format!("bytes with the hash {}", found.short());
            self.wrong(None, Harm::Bytes, "bytes whose hash is its name", found);
        }
    }

    /// It has no tables, or they are lost: what the index tells of it is read.
    fn blocks_of_index(&mut self, read_data: bool) {
        let jobs = tables::of_index(self.share.index().segments(), &self.pack);
        self.outcome.blocks += jobs.len() as u64;
        for job in &jobs {
            self.outcome.stored += u64::from(job.place.stored);
        }
        for job in jobs.iter().filter(|_| read_data) {
            self.outcome.read += u64::from(job.place.stored);
            if let Some(stored) = self.part(job.place.offset, job.place.stored) {
                self.block(job, &stored);
            }
        }
    }

    fn part(&mut self, offset: u64, length: u32) -> Option<Vec<u8>> {
        let store = *self.share.store();
        match store.read_pack_part(&self.pack, offset, length) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                let expected = format!("{length} bytes");
                self.wrong(Some(offset), Harm::Bytes, expected, chain(&error));
                None
            }
        }
    }

    fn block(&mut self, job: &BlockJob, stored: &[u8]) {
        let offset = job.place.offset;
        let found = BlockId::of(stored);
        if found != job.place.block {
            let expected = words(&job.place);
            let found = format!("bytes with the hash {}", found.short());
            return self.wrong(Some(offset), Harm::Bytes, expected, found);
        }
        let open = match self.expander.open(&job.place, stored) {
            Ok(open) => open,
            Err(error) => {
                let harm = match job.bases.is_empty() {
                    true => Harm::Bytes,
                    false => Harm::Base,
                };
                return self.wrong(Some(offset), harm, words(&job.place), chain(&error));
            }
        };
        for chunk in &job.chunks {
            if let Err(error) = open.chunk(chunk) {
                let expected = format!("chunk {}", chunk.id.short());
                self.wrong(Some(offset), Harm::Bytes, expected, chain(&error));
            }
        }
    }
}

fn words(place: &BlockPlace) -> String {
    format!("block {} of {} bytes", place.block.short(), place.stored)
}

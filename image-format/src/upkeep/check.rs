//! Does every ref reach every byte?

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::fetch::fetch_list;
use crate::ids::{ChunkId, ChunkRef, ImageId, PackId};
use crate::index::{Index, read_segment};
use crate::job::BlockJob;
use crate::manifest::{Root, bundle};
use crate::share::{ChunkReader, chain, read_ref};
use crate::store::{RefName, Store, StoreError};

/// Threads that read and expand; a disk gains nothing from more.
const MAX_THREADS: usize = 8;

/// What was looked at and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// How many refs were followed.
    pub refs: u64,
    /// How many different images they name.
    pub images: u64,
    /// How many blocks were read, expanded and compared chunk by chunk.
    pub blocks: u64,
    /// Their stored bytes.
    pub stored: u64,
    /// Packs that no ref reaches: left by captures that did not end. Harmless.
    pub unreached_packs: Vec<PackId>,
    /// What is wrong; empty for a healthy share.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Images that cannot be applied because of it, as name and sequence.
    pub images: Vec<RefName>,
    /// What is wrong; for a block with pack, block and offset.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let images: Vec<String> = self.images.iter().map(ToString::to_string).collect();
        write!(f, "{}; needed by {}", self.what, images.join(", "))
    }
}

/// Follows every ref to every byte. Findings are part of the report; an error
/// means that the store could not even be listed.
///
/// # Errors
/// The store's refs or packs cannot be listed.
pub fn check<S: Store + ?Sized>(store: &S) -> Result<CheckReport, StoreError> {
    let mut report = CheckReport::default();
    let images = images(store, &mut report)?;
    let index = read_index(store, &mut report)?;
    let mut needed_by: BTreeMap<ChunkId, BTreeSet<ImageId>> = BTreeMap::new();
    for (id, names) in &images {
        match chunks_of(store, &index, id) {
            Ok(chunks) => chunks.into_iter().for_each(|chunk| {
                needed_by.entry(chunk.id).or_default().insert(*id);
            }),
            Err(what) => report.findings.push(Finding {
                images: names.clone(),
                what,
            }),
        }
    }
    let names = |chunks: &mut dyn Iterator<Item = ChunkId>| -> Vec<RefName> {
        let ids: BTreeSet<ImageId> = chunks
            .filter_map(|chunk| needed_by.get(&chunk))
            .flatten()
            .copied()
            .collect();
        ids.iter()
            .filter_map(|id| images.get(id))
            .flatten()
            .cloned()
            .collect()
    };
    let (there, missing): (Vec<ChunkId>, Vec<ChunkId>) =
        needed_by.keys().partition(|id| index.find(id).is_some());
    for chunk in missing {
        let what = format!("chunk {chunk} is in no block of the index");
        report.findings.push(Finding {
            images: names(&mut [chunk].into_iter()),
            what,
        });
    }
    let jobs = fetch_list(&index, there.into_iter()).unwrap_or_default();
    for (at, what) in read_blocks(store, &index, &jobs) {
        let chunks = jobs.get(at).map_or(&[][..], |job| &job.chunks);
        report.findings.push(Finding {
            images: names(&mut chunks.iter().map(|chunk| chunk.id)),
            what,
        });
    }
    report.images = images.len() as u64;
    report.blocks = jobs.len() as u64;
    report.stored = jobs.iter().map(|job| u64::from(job.place.stored)).sum();
    let bases = jobs.iter().flat_map(|job| &job.bases);
    let reached: BTreeSet<PackId> = bases
        .filter_map(|base| index.find_plain(&base.id))
        .map(|(place, _)| place.pack)
        .chain(jobs.iter().map(|job| job.place.pack))
        .collect();
    report.unreached_packs = store
        .list_packs()?
        .into_iter()
        .filter(|pack| !reached.contains(pack))
        .collect();
    Ok(report)
}

fn images<S: Store + ?Sized>(
    store: &S,
    report: &mut CheckReport,
) -> Result<BTreeMap<ImageId, Vec<RefName>>, StoreError> {
    let mut images: BTreeMap<ImageId, Vec<RefName>> = BTreeMap::new();
    for at in store.list_refs()? {
        report.refs += 1;
        match read_ref(store, &at, None) {
            Ok(read) => images.entry(read.record.image).or_default().push(at),
            Err(error) => report.findings.push(Finding {
                images: vec![at],
                what: chain(&error),
            }),
        }
    }
    Ok(images)
}

/// All segments that can be read: a damaged one is a finding, not the end.
fn read_index<S: Store + ?Sized>(store: &S, report: &mut CheckReport) -> Result<Index, StoreError> {
    let mut index = Index::default();
    for id in store.list_indexes()? {
        match read_segment(store, id) {
            Ok(segment) => index.add(segment),
            Err(error) => {
                let why = chain(&error);
                let what = format!("index segment {} cannot be used: {why}", id.short());
                report.findings.push(Finding {
                    images: Vec::new(),
                    what,
                });
            }
        }
    }
    Ok(index)
}

/// All chunks of an image: its manifest's and those of its contents.
fn chunks_of<S: Store + ?Sized>(
    store: &S,
    index: &Index,
    id: &ImageId,
) -> Result<Vec<ChunkRef>, String> {
    let bytes = store.read_manifest(id).map_err(|error| chain(&error))?;
    let reader = ChunkReader::default();
    let mut chunks = Vec::new();
    let manifest = Root::decode(id, &bytes).and_then(|root| {
        bundle::read_all(&root, &mut |chunk| {
            chunks.push(*chunk);
            reader.manifest_chunk(index, store, chunk)
        })
    });
    let manifest = manifest
        .map_err(|error| format!("manifest {} cannot be used: {}", id.short(), chain(&error)))?;
    chunks.extend(
        manifest
            .chunks()
            .map(|(id, length)| ChunkRef { id, length }),
    );
    Ok(chunks)
}

/// What is wrong with which job, in their order.
fn read_blocks<S: Store + ?Sized>(
    store: &S,
    index: &Index,
    jobs: &[BlockJob],
) -> Vec<(usize, String)> {
    let next = AtomicUsize::new(0);
    let reader = ChunkReader::default();
    let found = Mutex::new(Vec::new());
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(at) else { return };
            if let Err(what) = read_block(store, index, &reader, job) {
                found
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push((at, what));
            }
        }
    };
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MAX_THREADS);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort();
    found
}

fn read_block<S: Store + ?Sized>(
    store: &S,
    index: &Index,
    reader: &ChunkReader,
    job: &BlockJob,
) -> Result<(), String> {
    let stored = store
        .block(&job.place)
        .map_err(|error| format!("{}: {}", job.place, chain(&error)))?;
    let open = reader
        .open(index, store, &job.place, &stored)
        .map_err(|error| chain(&error))?;
    job.chunks
        .iter()
        .try_for_each(|chunk| open.chunk(chunk).map(drop))
        .map_err(|error| chain(&error))
}

//! What is done to a share, step by step, and what each step promises.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use image_format::Profile;
use image_format::ingest::IngestOptions;
use image_format::share::Share;
use image_format::store::{DirStore, Store};
use image_format::upkeep::gc::{GcOptions, gc};
use image_format::upkeep::leases::STALE;
use image_format::upkeep::names;
use image_format::upkeep::optimize::{OptimizeOptions, optimize};

use crate::disk::Disk;
use crate::kit::{self, noise};

pub(crate) const SHARE: &str = "/share";
const DAY: u64 = 24 * 3600;

/// Name and sequence.
pub(crate) type At = (&'static str, u64);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Init,
    Capture(At, u64),
    Delete(At),
    /// An image that lost its name gets another one.
    Tag(u64, At),
    Optimize,
    /// Collects with a grace of so many seconds, when so many have passed.
    Collect {
        passed: u64,
        grace: u64,
    },
}

use Step::{Capture, Collect, Delete, Init, Optimize, Tag};

const AT_ONCE: Step = Collect {
    passed: 60,
    grace: 0,
};

const AFTER_STALE: Step = Collect {
    passed: STALE,
    grace: 0,
};

/// All that writers do: new packs and shared ones, deletions with a later
/// capture and without, packs that are dropped, rewritten, moved back, replaced.
pub(crate) const HISTORY: [Step; 15] = [
    Init,
    Capture(("pc", 1), 1),
    Capture(("pc", 2), 2),
    Capture(("other", 1), 3),
    Delete(("pc", 1)),
    AT_ONCE,
    Delete(("other", 1)),
    // Into the trash, back from there, and there again.
    Collect {
        passed: 60,
        grace: DAY,
    },
    Tag(3, ("again", 1)),
    AT_ONCE,
    Delete(("again", 1)),
    AT_ONCE,
    Capture(("again", 2), 4),
    Optimize,
    AT_ONCE,
];

/// What must be there, and what may be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Promises {
    /// The version of the files that each image holds.
    pub(crate) images: BTreeMap<At, u64>,
    /// Of a step that was cut off: it may be there or not.
    pub(crate) perhaps: BTreeMap<At, u64>,
}

impl Promises {
    /// What holds when the step has returned.
    pub(crate) fn keep(&mut self, step: Step) {
        match step {
            Capture(at, version) | Tag(version, at) => drop(self.images.insert(at, version)),
            Delete(at) => drop(self.images.remove(&at)),
            Init | Optimize | Collect { .. } => {}
        }
    }

    /// What holds when it was cut off.
    pub(crate) fn doubt(&mut self, step: Step) {
        match step {
            Capture(at, version) | Tag(version, at) => drop(self.perhaps.insert(at, version)),
            Delete(at) => self.perhaps.extend(self.images.remove_entry(&at)),
            Init | Optimize | Collect { .. } => {}
        }
    }
}

/// Does a step; makes the share or opens it first.
pub(crate) fn take(step: Step, disk: &Disk) -> Result<(), Box<dyn Error>> {
    if matches!(step, Init) {
        DirStore::init_on(Arc::new(disk.clone()), Path::new(SHARE))?;
        return Ok(());
    }
    let store = open(disk)?;
    match step {
        Init => {}
        Capture(at, version) => capture(&store, at, version)?,
        Delete((name, sequence)) => {
            let share = Share::open(&store)?;
            names::delete(
                &store,
                &names::chosen(&share, &format!("{name}@{sequence}"), false)?,
            )?;
        }
        Tag(_, (name, _)) => {
            let gone = store.list_trash()?;
            let mut ids = gone.iter().filter_map(|what| match what.object {
                image_format::store::Object::Manifest(id) => Some(id),
                image_format::store::Object::Pack(_) => None,
            });
            let id = ids.next_back().ok_or("no image is in the trash")?;
            names::tag(&store, &id.to_string(), name, None)?;
        }
        Optimize => {
            let options = OptimizeOptions {
                profile: Profile::Fast,
                threads: 1,
                pack_target: 1,
            };
            optimize(&store, options, &mut |_| ControlFlow::Continue(()))?;
        }
        Collect { passed, grace } => {
            disk.advance(passed);
            collect(&store, grace)?;
        }
    }
    Ok(())
}

/// Only the process of a step was killed: the next one sees what it did, durable
/// or not, captures the same and collects.
pub(crate) fn go_on(step: Step, disk: Disk, mut promises: Promises) -> (Disk, Promises) {
    let version = match step {
        Capture(_, version) | Tag(version, _) => version,
        _ => 2,
    };
    let next = Capture(("next", 1), version);
    for step in [next, AFTER_STALE, AFTER_STALE] {
        take(step, &disk).unwrap();
        promises.keep(step);
    }
    (disk, promises)
}

pub(crate) fn open(disk: &Disk) -> Result<DirStore, Box<dyn Error>> {
    Ok(DirStore::open_on(Arc::new(disk.clone()), Path::new(SHARE))?)
}

pub(crate) fn capture(store: &DirStore, at: At, version: u64) -> Result<(), Box<dyn Error>> {
    let options = IngestOptions {
        threads: 1,
        pack_target: 1,
        ..IngestOptions::default()
    };
    let record = kit::ingest_with(store, at.0, &files(version), options)?;
    assert_eq!(record.sequence, at.1, "{at:?}");
    Ok(())
}

pub(crate) fn collect(
    store: &DirStore,
    grace: u64,
) -> Result<image_format::upkeep::gc::GcReport, Box<dyn Error>> {
    let options = GcOptions {
        grace: Duration::from_secs(grace),
        profile: Profile::Fast,
        pack_target: 1,
        merge_at: 2,
        ..GcOptions::default()
    };
    Ok(gc(store, &options)?)
}

/// A few small files in lanes, and so packs, of their own; every version shares
/// something with each other one.
pub(crate) fn files(version: u64) -> Vec<kit::File> {
    let packed = [b"\x1f\x8b\x08".to_vec(), noise(1, 3000)].concat();
    let changed = [b"\x1f\x8b\x08".to_vec(), noise(version + 10, 9000)].concat();
    let program = |seed| {
        let mut program = b"\x7fELF\x02\x01\x01".to_vec();
        program.resize(18, 0);
        program.extend([62, 0]);
        program.extend(noise(seed, 2000));
        program
    };
    [
        ("a.gz", packed),
        ("b.gz", changed),
        ("c", program(3)),
        ("d.txt", noise(version % 2 + 20, 4000)),
        ("e.txt", noise(4, 1500)),
    ]
    .map(|(name, bytes)| (name.to_owned(), vec![Some(bytes)]))
    .to_vec()
}

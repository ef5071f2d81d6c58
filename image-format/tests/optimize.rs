//! Optimizing makes a share smaller and loses nothing, wherever it stops.

mod kit;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use image_format::ids::{ChunkRef, PackId};
use image_format::share::{Expander, Share};
use image_format::store::{Fault, MemoryStore, Store};
use image_format::upkeep::check::check;
use image_format::upkeep::optimize::{OptimizeError, OptimizeOptions, OptimizeReport, optimize};
use image_format::{DirStore, block, with_bases};

fn options() -> OptimizeOptions {
    OptimizeOptions {
        threads: 2,
        pack_target: 1 << 20,
        ..OptimizeOptions::default()
    }
}

fn run(store: &dyn Store) -> Result<OptimizeReport, OptimizeError> {
    optimize(store, options(), &mut |_| ControlFlow::Continue(()))
}

/// A program, a module whose directory has a number, and a long file; each
/// version is nearly the one before.
fn files(version: u64) -> Vec<kit::File> {
    let mut program = kit::noise(1, 300_000);
    let mut module = kit::noise(2, 60_000);
    let mut long = kit::noise(3, 5 << 20);
    for change in 0..version {
        let at = usize::try_from(change).unwrap() * 10_000 + 500;
        program.splice(at..at + 3, *b"changed");
        module.splice(at..at + 3, *b"other words");
        long.splice(at * 40..at * 40 + 9, *b"a word");
    }
    let mut files: Vec<kit::File> = vec![
        ("long".into(), vec![Some(long)]),
        (format!("module-{version}.ko"), vec![Some(module)]),
        ("program".into(), vec![Some(program)]),
    ];
    files.extend(
        kit::files(version)
            .into_iter()
            .filter(|file| file.0.starts_with('t')),
    );
    files.sort();
    files
}

fn store_of(versions: u64) -> MemoryStore {
    let store = MemoryStore::new();
    for version in 0..versions {
        kit::ingest(&store, "pc", &files(version)).unwrap();
    }
    store
}

/// All chunks of all images.
fn all_chunks(share: &Share<&MemoryStore>) -> BTreeSet<ChunkRef> {
    let records = share.history("pc").iter();
    records
        .flat_map(|record| share.image_chunks(record).unwrap())
        .collect()
}

/// Every byte of every image is as it was captured.
fn assert_whole(store: &MemoryStore, versions: u64) {
    assert_eq!(check(store).unwrap().findings, []);
    let share = Share::open(store).unwrap();
    assert_eq!(share.history("pc").len() as u64, versions);
    for chunk in all_chunks(&share) {
        share.chunk(&chunk).unwrap();
    }
}

/// The packs of these chunks and of the bases of their blocks.
fn live_packs(share: &Share<&MemoryStore>) -> BTreeSet<PackId> {
    let ids = all_chunks(share).into_iter().map(|chunk| chunk.id);
    let jobs = image_format::fetch_list(share.index(), ids).unwrap();
    let jobs = with_bases(share.index(), jobs).unwrap();
    jobs.iter().map(|job| job.place.pack).collect()
}

/// Removes every pack that optimizing has superseded; says how many bytes are left.
fn collect(store: &MemoryStore) -> u64 {
    let share = Share::open(store).unwrap();
    let live = live_packs(&share);
    for pack in store.list_packs().unwrap() {
        if !live.contains(&pack) {
            assert!(store.lose_pack(&pack));
        }
    }
    let packs = store.list_packs().unwrap();
    let lengths = packs
        .iter()
        .map(|id| store.read_pack(id).unwrap().len() as u64);
    lengths.sum()
}

#[test]
fn older_versions_cost_next_to_nothing_and_every_byte_is_there() {
    let one = {
        let store = store_of(1);
        run(&store).unwrap();
        collect(&store)
    };
    let store = store_of(4);
    let report = run(&store).unwrap();
    assert!(report.finished && report.progress.based >= 9, "{report:?}");
    let left = collect(&store);
    assert!(left < one + one / 20, "one version {one}, four {left}");
    assert_whole(&store, 4);
}

#[test]
fn second_run_finds_nothing_to_do_and_a_new_version_is_all_the_third_does() {
    let store = store_of(2);
    run(&store).unwrap();
    let again = run(&store).unwrap();
    assert_eq!((again.progress.chunks, again.progress.packs), (0, 0));
    kit::ingest(&store, "pc", &files(2)).unwrap();
    let third = run(&store).unwrap();
    assert!(third.progress.chunks > 0 && third.progress.based > 0);
    collect(&store);
    assert_whole(&store, 3);
    assert_eq!(run(&store).unwrap().progress.chunks, 0);
}

#[test]
fn newest_version_needs_no_base() {
    let store = store_of(3);
    run(&store).unwrap();
    let share = Share::open(&store).unwrap();
    let based = |version: usize| {
        let manifest = share.manifest(&share.history("pc")[version].image).unwrap();
        let jobs = share.jobs(&manifest).unwrap();
        jobs.iter().filter(|job| !job.bases.is_empty()).count()
    };
    assert_eq!(based(2), 0);
    assert!(based(0) > 0);
}

#[test]
fn blocks_with_their_bases_are_enough_to_open_an_older_version() {
    let store = store_of(2);
    run(&store).unwrap();
    let share = Share::open(&store).unwrap();
    let manifest = share.manifest(&share.history("pc")[0].image).unwrap();
    let wanted = share.jobs(&manifest).unwrap();
    let jobs = with_bases(share.index(), wanted.clone()).unwrap();
    assert!(jobs.len() > wanted.len());
    let bytes = image_format::Segment::encode(&jobs).unwrap();
    let segment = image_format::Segment::decode(bytes).unwrap();
    let index = image_format::Index::new(vec![segment]);
    let expander = Expander::new(&index, &store);
    for job in &wanted {
        let open = expander.block(&job.place).unwrap();
        assert!(job.chunks.iter().all(|chunk| open.chunk(chunk).is_ok()));
        if !job.bases.is_empty() {
            let stored = image_format::Source::block(&store, &job.place).unwrap();
            assert_eq!(block::bases(&stored).unwrap(), job.bases);
            assert!(block::open(&job.place, &stored).is_err());
        }
    }
}

#[test]
fn stopped_at_any_operation_the_share_is_whole_and_the_next_run_ends_it() {
    let small = || {
        let store = MemoryStore::new();
        for version in 0..2 {
            let mut files = files(version);
            files.retain(|file| file.0 != "long");
            kit::ingest(&store, "pc", &files).unwrap();
        }
        store.set_fault(None);
        store
    };
    let captured = small();
    let quick = OptimizeOptions {
        profile: image_format::Profile::Fast,
        pack_target: 100_000,
        ..options()
    };
    let run = |store: &MemoryStore| optimize(store, quick, &mut |_| ControlFlow::Continue(()));
    let operations = {
        let store = captured.restarted();
        run(&store).unwrap();
        store.operations()
    };
    assert!(operations > 10, "{operations}");
    for at in 0..operations {
        for fault in [Fault::Before(at), Fault::After(at)] {
            let store = captured.restarted();
            store.set_fault(Some(fault));
            // That the lease ended is not asked for.
            let last = at + 1 >= operations;
            assert!(run(&store).is_err() || last, "{fault:?}");
            let store = store.restarted();
            assert_whole(&store, 2);
            assert!(run(&store).unwrap().finished);
            collect(&store);
            assert_whole(&store, 2);
        }
    }
}

#[test]
fn asked_to_stop_it_keeps_what_it_did() {
    let store = store_of(3);
    let mut asked = 0;
    let report = optimize(&store, options(), &mut |progress| {
        asked += 1;
        if progress.done > 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    let report = report.unwrap();
    assert!(!report.finished && report.progress.done > 0 && report.progress.packs > 0);
    assert_whole(&store, 3);
    let rest = run(&store).unwrap();
    assert!(rest.finished && rest.progress.chunks < report.progress.chunks);
    collect(&store);
    assert_whole(&store, 3);
}

#[test]
fn share_in_a_directory_is_optimized_and_its_index_mapped() {
    let dir = tempfile::tempdir().unwrap();
    let store = DirStore::init(&dir.path().join("share")).unwrap();
    kit::ingest(&store, "pc", &files(0)).unwrap();
    kit::ingest(&store, "pc", &files(1)).unwrap();
    assert!(run(&store).unwrap().finished);
    for id in store.list_indexes().unwrap() {
        assert_eq!(
            *store.map_index(&id).unwrap(),
            store.read_index(&id).unwrap()[..]
        );
    }
    assert_eq!(check(&store).unwrap().findings, []);
    let share = Share::open(&store).unwrap();
    assert_eq!(share.index().generation(), 1);
}

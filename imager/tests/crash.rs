//! The power fails at every write and every flush of an apply. Afterwards the
//! disk holds the old system whole, or the new one whole, or nothing that
//! boots; and the same apply, started again, finishes.

mod reference;

use std::sync::atomic::{AtomicU64, Ordering};

use image_format::BlockJob;
use image_format::image::Manifest;
use image_format::store::{BlockPlace, MemoryStore, Source, StoreError};
use imager::apply::{ApplyError, ApplyEvent, apply};
use imager::disk::Disk;
use imager::disk::crash::CrashDisk;
use imager::disk::memory::MemoryDisk;
use imager::plan::{OverlayFile, Plan, Wishes};
use imager::table;
use imager::verify::{Expected, verify};
use reference::{SMALL, captured, fsck, image, planned};

/// A source that counts.
struct Counted<'s>(&'s MemoryStore, AtomicU64);

impl Source for Counted<'_> {
    fn block(&self, place: &BlockPlace) -> Result<Vec<u8>, StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.block(place)
    }
}

/// A machine with an old system that is given a new one.
struct Scene {
    store: MemoryStore,
    old: Manifest,
    disk: MemoryDisk,
    plan: Plan,
    jobs: Vec<BlockJob>,
}

impl Scene {
    fn set() -> Self {
        let store = MemoryStore::new();
        let disk = reference::disk(SMALL, 1);
        let (old, _) = image(&store, &captured(&disk, &store, "old"));
        let record = captured(&reference::disk(SMALL, 2), &store, "new");
        let (manifest, jobs) = image(&store, &record);
        let overlay = vec![
            OverlayFile::file("etc/hostname", 0o644, *b"pc-1\n"),
            OverlayFile::file("usr/lib/mimeo/agent", 0o755, reference::noise(30_000, 77)),
        ];
        let wishes = Wishes {
            overlay,
            ..Wishes::default()
        };
        let plan = planned(&record, &manifest, &disk, &wishes);
        assert!(plan.scratch_free);
        Self {
            store,
            old,
            disk,
            plan,
            jobs,
        }
    }

    /// Applies; answers with how many blocks were fetched, and whether it resumed.
    fn apply(&self, disk: &dyn Disk) -> Result<(u64, bool), ApplyError> {
        let source = Counted(&self.store, AtomicU64::new(0));
        let mut resumed = false;
        let mut watch = |event| resumed |= matches!(event, ApplyEvent::Resumed { .. });
        apply(&self.plan, disk, &self.jobs, &source, "run 9", &mut watch)?;
        Ok((source.1.into_inner(), resumed))
    }

    fn holds_new(&self, disk: &dyn Disk) -> bool {
        verify(disk, &Expected::of_plan(&self.plan), &|_| ()).is_ok()
    }

    fn holds_old(&self, disk: &dyn Disk) -> bool {
        verify(disk, &Expected::of_manifest(&self.old), &|_| ()).is_ok()
    }

    /// Whatever firmware might start must be whole.
    fn assert_sound(&self, disk: &dyn Disk, case: &str) -> bool {
        let mut signature = [0; 2];
        disk.read_at(510, &mut signature).unwrap();
        let boots = signature == [0x55, 0xaa] || matches!(table::read(disk), Ok(Some(_)));
        if boots {
            assert!(
                self.holds_new(disk) || self.holds_old(disk),
                "{case}: half a system boots"
            );
        }
        boots
    }
}

#[test]
fn power_cut_at_any_moment_leaves_a_whole_system_or_none_and_resumes() {
    let scene = Scene::set();
    let whole = CrashDisk::new(scene.disk.clone());
    let (all_blocks, _) = scene.apply(&whole).unwrap();
    let points = whole.operations();
    assert!(points > 60, "{points} writes and flushes");
    let (next, resumes, dead) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let fewer = AtomicU64::new(0);
    let work = || loop {
        let point = next.fetch_add(1, Ordering::SeqCst);
        if point >= points {
            break;
        }
        let crashing = CrashDisk::new(scene.disk.clone());
        crashing.stop_at(point);
        let outcome = scene.apply(&crashing);
        assert!(
            outcome.is_err(),
            "{point}: the power was gone and nobody noticed"
        );
        for seed in [point * 2, point * 2 + 1] {
            let case = format!("power cut at {point} of {points}, seed {seed}");
            let left = crashing.after_crash(seed);
            let boots = scene.assert_sound(&left, &case);
            dead.fetch_add(u64::from(!boots), Ordering::SeqCst);
            let (fetched, resumed) = scene
                .apply(&left)
                .unwrap_or_else(|error| panic!("{case}: {error:?}"));
            assert!(scene.holds_new(&left), "{case}");
            resumes.fetch_add(u64::from(resumed), Ordering::SeqCst);
            fewer.fetch_add(u64::from(resumed && fetched < all_blocks), Ordering::SeqCst);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, std::num::NonZero::get) {
            scope.spawn(work);
        }
    });
    let (resumes, dead) = (resumes.into_inner(), dead.into_inner());
    let fewer = fewer.into_inner();
    println!("{points} points, {dead} dead disks, {resumes} resumed, {fewer} fetched fewer blocks");
    assert!(resumes > points, "{resumes} of {points} resumed");
    assert!(dead > points, "{dead} of {points} disks booted nothing");
    assert!(fewer > 0);
}

#[test]
fn cut_just_before_the_seal_fetches_next_to_nothing_again() {
    let scene = Scene::set();
    let whole = CrashDisk::new(scene.disk.clone());
    let (all_blocks, _) = scene.apply(&whole).unwrap();
    let disk = CrashDisk::new(scene.disk.clone());
    // Seal: four steps with a flush each, the flush before reading back, the
    // marker's removal; some writes more. All contents are durable before.
    disk.stop_at(whole.operations() - 14);
    scene.apply(&disk).unwrap_err();
    let left = disk.after_crash(5);
    let (fetched, resumed) = scene.apply(&left).unwrap();
    assert!(resumed);
    // The raw volume's beginning is always withheld, so its block comes again.
    assert!(
        fetched <= 1 && fetched < all_blocks,
        "{fetched} of {all_blocks} blocks"
    );
    fsck(&left, &scene.plan.layout);
}

#[test]
fn finished_disk_has_no_marker_and_satisfies_the_checkers() {
    let scene = Scene::set();
    let disk = scene.disk.clone();
    scene.apply(&disk).unwrap();
    assert!(imager::scratch::read(&disk).unwrap().is_none());
    fsck(&disk, &scene.plan.layout);
    let (_, resumed) = scene.apply(&disk).unwrap();
    assert!(!resumed);
}

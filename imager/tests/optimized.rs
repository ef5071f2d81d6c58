//! Images whose blocks lean on newer ones go onto disks like any other.

mod reference;

use std::fs;
use std::ops::ControlFlow;

use image_format::store::MemoryStore;
use image_format::upkeep::optimize::{OptimizeOptions, optimize};
use image_format::{BlockJob, Share, with_bases};
use imager::apply::{ApplyError, apply};
use imager::disk::FileDisk;
use imager::disk::memory::MemoryDisk;
use imager::plan::Wishes;
use imager::verify::verify_image;
use reference::{MIB, captured, image, noise, planned, run};

/// Captures a volume whose program differs a little from version to version.
fn version(number: usize, store: &MemoryStore) -> image_format::ImageRecord {
    let folder = tempfile::tempdir().unwrap();
    let (tree, path) = (folder.path().join("tree"), folder.path().join("image"));
    fs::create_dir(&tree).unwrap();
    let mut program = noise(900_000, 1);
    for change in 0..number {
        let at = change * 20_000 + 500;
        program.splice(at..at + 3, *b"changed");
    }
    fs::write(tree.join("program"), program).unwrap();
    fs::File::create(&path).unwrap().set_len(20 * MIB).unwrap();
    let (tree, image) = (tree.to_str().unwrap(), path.to_str().unwrap());
    run("mke2fs", &["-q", "-t", "ext4", "-d", tree, image]);
    captured(&FileDisk::open(&path, 512).unwrap(), store, "volume")
}

#[test]
fn older_versions_are_applied_through_their_bases() {
    let store = MemoryStore::new();
    let records: Vec<_> = (0..3).map(|number| version(number, &store)).collect();
    let options = OptimizeOptions {
        threads: 2,
        ..OptimizeOptions::default()
    };
    optimize(&store, options, &mut |_| ControlFlow::Continue(())).unwrap();
    let (mut leaning, share) = (0, Share::open(&store).unwrap());
    for record in &records {
        let (manifest, jobs) = image(&store, record);
        let leans = jobs.iter().any(|job: &BlockJob| !job.bases.is_empty());
        leaning += usize::from(leans);
        let target = MemoryDisk::new(30 * MIB, 512);
        let plan = planned(record, &manifest, &target, &Wishes::default());
        let without = apply(&plan, &target, &jobs, &store, "run", &mut |_| ());
        if leans {
            assert!(
                matches!(without, Err(ApplyError::Corrupt { .. })),
                "{without:?}"
            );
        }
        let jobs = with_bases(share.index(), jobs).unwrap();
        apply(&plan, &target, &jobs, &store, "run", &mut |_| ()).unwrap();
        assert!(verify_image(&target, &manifest, &|_| ()).is_ok());
    }
    assert!(leaning > 0, "nothing was told by its difference");
}

//! Damage is found and named: file, offset, expected, found, and who needs it.

mod kit;

use std::fs;
use std::path::{Path, PathBuf};

use image_format::pack::PackBuilder;
use image_format::share::Share;
use image_format::store::{DirStore, MemoryStore, Store};
use image_format::upkeep::check::{CheckOptions, CheckReport, check, check_with};
use image_format::upkeep::gc::{GcOptions, gc};
use image_format::upkeep::names;
use image_format::upkeep::reindex::reindex;

fn without_data(store: &dyn Store) -> CheckReport {
    check_with(store, &CheckOptions::default()).unwrap()
}

#[test]
fn flipped_bit_in_any_block_is_named_with_file_offset_block_and_image() {
    let store = MemoryStore::new();
    let record = kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    let share = Share::open(&store).unwrap();
    let jobs = share.jobs(&share.manifest(&record.image).unwrap()).unwrap();
    assert!(jobs.len() > 1);
    for job in &jobs {
        let damaged = store.restarted();
        let middle = job.place.offset + u64::from(job.place.stored) / 2;
        assert!(damaged.flip_bit(&job.place.pack, middle, 3));
        let report = check(&damaged).unwrap();
        let text: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        let text = text.join("\n");
        let pack = format!("{}.pack", job.place.pack);
        let offset = format!("at byte {}", job.place.offset);
        for word in [&pack, &job.place.block.short(), &offset, "needed by pc (1)"] {
            assert!(text.contains(word), "{word} is not in: {text}");
        }
    }
}

#[test]
fn every_byte_of_a_pack_is_looked_at_also_of_one_no_image_needs() {
    let store = MemoryStore::new();
    kit::ingest(&store, "pc", &kit::files(1)[..3]).unwrap();
    kit::ingest(&store, "gone", &kit::files(2)[..2]).unwrap();
    let share = Share::open(&store).unwrap();
    names::delete(&store, &names::chosen(&share, "gone", true).unwrap()).unwrap();
    for pack in store.list_packs().unwrap() {
        let length = store.pack_facts(&pack).unwrap().length;
        for at in (0..length).step_by(37).chain([length - 1]) {
            let damaged = store.restarted();
            damaged.flip_bit(&pack, at, 1);
            let report = check(&damaged).unwrap();
            let file = format!("{pack}.pack");
            let named = report
                .findings
                .iter()
                .any(|finding| finding.file.ends_with(&file));
            assert!(named, "byte {at}: {:?}", report.findings);
        }
    }
}

#[test]
fn lost_pack_is_one_finding_that_names_the_images() {
    let store = MemoryStore::new();
    kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    kit::ingest(
        &store,
        "other",
        &[("x".into(), vec![Some(kit::noise(5, 5000))])],
    )
    .unwrap();
    for pack in store.list_packs().unwrap() {
        let damaged = store.restarted();
        damaged.lose_pack(&pack);
        for report in [check(&damaged).unwrap(), without_data(&damaged)] {
            let file = format!("{pack}.pack");
            let of_pack: Vec<_> = report
                .findings
                .iter()
                .filter(|finding| {
                    finding.file.ends_with(&file) || finding.found.contains(&pack.short())
                })
                .collect();
            assert!(!of_pack.is_empty(), "{:?}", report.findings);
            assert!(
                of_pack.iter().any(|finding| !finding.images.is_empty()),
                "{of_pack:?}"
            );
        }
    }
}

#[test]
fn packs_of_a_capture_that_did_not_end_are_unreached_and_harmless() {
    let store = MemoryStore::new();
    kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    let orphan = PackBuilder::new().finish().unwrap();
    store.put_pack(&orphan.id, &orphan.bytes).unwrap();
    let report = check(&store).unwrap();
    assert_eq!(
        (report.findings.len(), &report.unreached_packs[..]),
        (0, &[orphan.id][..])
    );
}

#[test]
fn healthy_share_has_no_findings_also_with_things_in_the_trash() {
    let store = MemoryStore::new();
    kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    kit::ingest(&store, "gone", &kit::files(2)).unwrap();
    let share = Share::open(&store).unwrap();
    names::delete(&store, &names::chosen(&share, "gone", true).unwrap()).unwrap();
    gc(&store, &GcOptions::default()).unwrap();
    assert!(!store.list_trash().unwrap().is_empty());
    for report in [check(&store).unwrap(), without_data(&store)] {
        assert_eq!(report.findings, []);
        assert_eq!((report.refs, report.images), (1, 1));
    }
    assert_eq!(without_data(&store).read, 0);
}

/// All files below a folder of a share, sorted.
fn below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(below(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// A share in a folder, harmed, and what the check says of it.
fn harmed(harm: impl FnOnce(&Path)) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let store = DirStore::init(dir.path()).unwrap();
    kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    kit::ingest(&store, "pc", &kit::files(2)).unwrap();
    harm(dir.path());
    let store = DirStore::open(dir.path()).unwrap();
    let findings = check(&store).unwrap().findings;
    findings.iter().map(ToString::to_string).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn truncated_files_are_named() {
    for folder in ["packs", "index", "manifests", "refs"] {
        let mut harmed_file = String::new();
        let findings = harmed(|dir| {
            let file = below(&dir.join(folder)).remove(0);
            let bytes = fs::read(&file).unwrap();
            fs::write(&file, &bytes[..bytes.len() - 10]).unwrap();
            harmed_file = name(&file);
        });
        let named = findings
            .iter()
            .any(|finding| finding.contains(&harmed_file));
        assert!(named, "{folder}: {findings:?}");
    }
}

#[test]
fn swapped_files_are_named() {
    for folder in ["packs", "index", "manifests", "refs"] {
        let mut names = Vec::new();
        let findings = harmed(|dir| {
            let files = below(&dir.join(folder));
            let (a, b) = (&files[0], &files[1]);
            let (first, second) = (fs::read(a).unwrap(), fs::read(b).unwrap());
            fs::write(a, second).unwrap();
            fs::write(b, first).unwrap();
            names = vec![name(a), name(b)];
        });
        for word in &names {
            let named = findings.iter().any(|finding| finding.contains(word));
            assert!(named, "{word}: {findings:?}");
        }
    }
}

#[test]
fn blocks_that_changed_places_are_named() {
    let store = MemoryStore::new();
    let record = kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    let share = Share::open(&store).unwrap();
    let jobs = share.jobs(&share.manifest(&record.image).unwrap()).unwrap();
    let same_pack = jobs
        .windows(2)
        .find(|pair| pair[0].place.pack == pair[1].place.pack);
    let Some(pair) = same_pack else { return };
    let range = |place: &image_format::BlockPlace| {
        let start = usize::try_from(place.offset).unwrap();
        start..start + place.stored as usize
    };
    store.damage(&pair[0].place.pack, |bytes| {
        let (a, b) = (
            bytes[range(&pair[0].place)].to_vec(),
            bytes[range(&pair[1].place)].to_vec(),
        );
        bytes.splice(
            range(&pair[0].place).start..range(&pair[1].place).end,
            [b, a].concat(),
        );
        true
    });
    let report = check(&store).unwrap();
    let named = report
        .findings
        .iter()
        .filter(|finding| finding.offset.is_some());
    assert!(named.count() >= 1, "{:?}", report.findings);
}

#[test]
fn index_is_made_again_from_the_packs_alone() {
    let store = MemoryStore::new();
    for version in 1..=3 {
        kit::ingest(&store, "pc", &kit::files(version)).unwrap();
    }
    for id in store.list_indexes().unwrap() {
        store.remove_index(&id).unwrap();
    }
    assert!(!check(&store).unwrap().findings.is_empty());
    let report = reindex(&store).unwrap();
    assert_eq!((report.written, report.damaged.len()), (1, 0));
    assert_eq!(check(&store).unwrap().findings, []);
    let again = reindex(&store).unwrap();
    assert_eq!((again.written, again.removed), (1, 1));
    assert_eq!(store.list_indexes().unwrap().len(), 1);
    assert!(store.list_leases().unwrap().is_empty());
}

#[test]
fn pack_with_lost_tables_keeps_the_rows_an_old_index_has() {
    let store = MemoryStore::new();
    kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    let packs = store.list_packs().unwrap();
    for pack in &packs {
        let last = store.pack_facts(pack).unwrap().length - 1;
        store.flip_bit(pack, last, 0);
    }
    let report = reindex(&store).unwrap();
    assert_eq!(report.damaged.len(), packs.len());
    let share = Share::open(&store).unwrap();
    let record = share.find("pc").unwrap();
    for chunk in share.image_chunks(&record).unwrap() {
        share.chunk(&chunk).unwrap();
    }
}

#[test]
fn anything_behind_a_manifest_s_root_is_named() {
    let mut harmed_file = String::new();
    let findings = harmed(|dir| {
        let file = below(&dir.join("manifests")).remove(0);
        let mut bytes = fs::read(&file).unwrap();
        bytes.extend(b"junk");
        fs::write(&file, &bytes).unwrap();
        harmed_file = name(&file);
    });
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].contains(&harmed_file), "{findings:?}");
}

#[test]
fn image_whose_ref_was_lost_is_named_and_can_be_named_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = DirStore::init(dir.path()).unwrap();
    kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    let lost = kit::ingest(&store, "pc", &kit::files(2)).unwrap();
    let newest = below(&dir.path().join("refs/pc")).pop().unwrap();
    fs::remove_file(newest).unwrap();
    let text: Vec<String> = without_data(&store)
        .findings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(text.len(), 1, "{text:?}");
    assert!(text[0].contains(&lost.image.to_string()) && text[0].contains("image tag"));
    let options = GcOptions {
        dry_run: true,
        ..GcOptions::default()
    };
    assert_eq!(gc(&store, &options).unwrap().nameless, [lost.image]);
    let named = names::tag(&store, &lost.image.short(), "again", None).unwrap();
    assert_eq!((named.image, named.sequence), (lost.image, 1));
    assert_eq!(
        (named.entries, named.logical_size),
        (lost.entries, lost.logical_size)
    );
    assert_eq!(check(&store).unwrap().findings, []);
}

#[test]
fn deleted_image_without_a_name_is_told_but_is_no_finding() {
    let store = MemoryStore::new();
    kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    let gone = kit::ingest(&store, "gone", &kit::files(2)).unwrap();
    let share = Share::open(&store).unwrap();
    names::delete(&store, &names::chosen(&share, "gone", true).unwrap()).unwrap();
    let report = without_data(&store);
    assert_eq!(
        (report.findings, report.nameless),
        (Vec::new(), vec![gone.image])
    );
}

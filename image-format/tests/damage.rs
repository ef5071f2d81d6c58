//! Damage is found and named: pack, block, offset and who needs it.

mod kit;

use image_format::share::Share;
use image_format::store::{MemoryStore, Store};
use image_format::upkeep::check::check;

#[test]
fn flipped_bit_in_any_block_is_named_with_pack_block_offset_and_image() {
    let store = MemoryStore::new();
    let record = kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    let share = Share::open(&store).unwrap();
    let jobs = share.jobs(&share.manifest(&record.image).unwrap()).unwrap();
    assert!(jobs.len() > 1);
    for job in &jobs {
        let damaged = store.restarted();
        assert!(damaged.flip_bit(
            &job.place.pack,
            job.place.offset + u64::from(job.place.stored) / 2,
            3
        ));
        let report = check(&damaged).unwrap();
        assert_eq!(report.findings.len(), 1);
        let text = report.findings[0].to_string();
        let (pack, block) = (job.place.pack.short(), job.place.block.short());
        let offset = format!("byte {} of", job.place.offset);
        for word in [pack.as_str(), &block, &offset, "pc (1)"] {
            assert!(text.contains(word), "{word} is not in: {text}");
        }
    }
}

#[test]
fn lost_pack_is_a_finding_for_each_of_its_blocks() {
    let store = MemoryStore::new();
    kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    let pack = store.list_packs().unwrap()[0];
    store.lose_pack(&pack);
    let report = check(&store).unwrap();
    assert!(!report.findings.is_empty());
    assert!(
        report
            .findings
            .iter()
            .all(|finding| finding.what.contains(&pack.short()))
    );
}

#[test]
fn packs_of_a_capture_that_did_not_end_are_unreached_and_harmless() {
    let store = MemoryStore::new();
    kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    let orphan = b"not even a pack";
    store
        .put_pack(&image_format::PackId::of(orphan), orphan)
        .unwrap();
    let report = check(&store).unwrap();
    assert_eq!(
        (report.findings.len(), report.unreached_packs.len()),
        (0, 1)
    );
}

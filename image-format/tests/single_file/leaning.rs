//! Blocks that are stored against others.

use crate::kit;
use crate::mim::{piped, send, take};
use image_format::block::{self, FilterChoice, SealOptions};
use image_format::file::{Target, import_file};
use image_format::ids::{ChunkId, ChunkRef, SegmentId};
use image_format::index::Segment;
use image_format::pack::PackBuilder;
use image_format::profile::Profile;
use image_format::share::Share;
use image_format::store::{MemoryStore, Store};
use image_format::upkeep::check::check;

/// A share where the second version of a file is stored against the first.
fn leaning() -> (MemoryStore, Vec<image_format::ImageRecord>) {
    let store = MemoryStore::new();
    let old = kit::noise(300, 900_000);
    let mut new = old.clone();
    new[1000] ^= 1;
    let file = |bytes: &[u8]| vec![("a.bin".to_owned(), vec![Some(bytes.to_vec())])];
    let first = kit::ingest(&store, "pc", &file(&old)).unwrap();
    let (id, length) = (ChunkId::of(&old), 900_000);
    let options = SealOptions {
        chunks: 1,
        profile: Profile::Fast,
        filter: FilterChoice::None,
        bases: &[(ChunkRef { id, length }, &old)],
        verify: true,
    };
    let sealed = block::seal(&new, &options).unwrap();
    assert!(sealed.bases.len() == 1 && sealed.bytes.len() < 10_000);
    let mut pack = PackBuilder::new();
    pack.push(&sealed, &[(ChunkId::of(&new), length)]).unwrap();
    let pack = pack.finish().unwrap();
    store.put_pack(&pack.id, &pack.bytes).unwrap();
    let segment = Segment::encode(&pack.jobs).unwrap();
    store.put_index(&SegmentId::of(&segment), &segment).unwrap();
    let second = kit::ingest(&store, "pc", &file(&new)).unwrap();
    (store, vec![first, second])
}

/// Blocks of a store's index that lean on others.
fn leaning_blocks(store: &dyn Store) -> usize {
    let share = Share::open(store).unwrap();
    let jobs = share.index().segments().iter().flat_map(Segment::jobs);
    jobs.filter(|job| !job.bases.is_empty()).count()
}

#[test]
fn block_that_leans_comes_after_its_bases_and_alone_where_they_stay_behind() {
    let (store, records) = leaning();
    assert_eq!(leaning_blocks(&store), 1);
    let both = piped(&store, &records);
    assert!(both.len() < 1_000_000);
    let other = MemoryStore::new();
    take(&both, &other).unwrap();
    assert_eq!(leaning_blocks(&other), 1);

    let newest = piped(&store, &records[1..]);
    let other = MemoryStore::new();
    take(&newest, &other).unwrap();
    assert_eq!(leaning_blocks(&other), 0);
    assert_eq!(check(&other).unwrap().findings, []);

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pc.mim");
    send(&store, &records[..1], Target::File(&path));
    let report = send(&store, &records, Target::Append(&path));
    assert!(report.length < 1_000_000, "it leans on what the file has");
    let into = MemoryStore::new();
    import_file(&path, &into, &mut |_| ()).unwrap();
    assert_eq!(leaning_blocks(&into), 1);
}

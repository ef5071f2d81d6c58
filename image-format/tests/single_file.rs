//! A single file holds what the share held, however it travels.

mod kit;
mod mim;

use std::fs;

use image_format::block::{self, FilterChoice, SealOptions};
use image_format::file::{ExportError, Kind, MimFile, Target, export, import_file, scan};
use image_format::ids::{ChunkId, ChunkRef, SegmentId};
use image_format::index::Segment;
use image_format::pack::PackBuilder;
use image_format::profile::Profile;
use image_format::share::Share;
use image_format::store::{Fault, MemoryStore, RefName, Store, StoreError};
use image_format::upkeep::check::check;
use mim::{ID, payloads, piped, rebuilt, refused, sections, send, take, text};

/// A share with two versions of `pc` and what its refs say.
fn two_versions() -> (MemoryStore, Vec<image_format::ImageRecord>) {
    let store = MemoryStore::new();
    let first = kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    let second = kit::ingest(&store, "pc", &kit::files(2)).unwrap();
    (store, vec![first, second])
}

/// All that is asked of a share that holds `version` of the test's files.
fn holds<S: Store>(store: S, name: &str, sequence: u64, version: u64) {
    assert_eq!(check(&store).unwrap().findings, []);
    let share = Share::open(store).unwrap();
    let record = share
        .history(name)
        .iter()
        .find(|record| record.sequence == sequence)
        .unwrap_or_else(|| panic!("no {name} ({sequence})"));
    let manifest = share.manifest(&record.image).unwrap();
    let entries = manifest.volumes[0].entries.iter().skip(1);
    let files = kit::files(version);
    assert_eq!(entries.len(), files.len());
    for (entry, file) in entries.zip(&files) {
        assert_eq!(entry.path, file.0.as_bytes());
        let mut bytes = Vec::new();
        for piece in pieces(&entry.content) {
            match piece {
                Piece::Inline(inline) => bytes.extend(inline),
                Piece::Hole(length) => bytes.resize(bytes.len() + length, 0),
                Piece::Chunk(at) => bytes.extend(share.chunk(&at).unwrap()),
            }
        }
        assert!(bytes == kit::logical(file), "{}", file.0);
    }
}

enum Piece {
    Inline(Vec<u8>),
    Hole(usize),
    Chunk(image_format::ChunkRef),
}

fn pieces(content: &image_format::entry::Content) -> Vec<Piece> {
    use image_format::entry::{Content, Piece as Stored};
    match content {
        Content::Empty => Vec::new(),
        Content::Inline(bytes) => vec![Piece::Inline(bytes.clone())],
        Content::Pieces(pieces) => pieces
            .iter()
            .map(|piece| match piece {
                Stored::Hole { length } => Piece::Hole(usize::try_from(*length).unwrap()),
                Stored::Chunk { id, length } => {
                    let (id, length) = (*id, *length);
                    Piece::Chunk(image_format::ChunkRef { id, length })
                }
            })
            .collect(),
    }
}

#[test]
fn file_is_read_where_it_lies_as_a_share_is() {
    let (store, records) = two_versions();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pc.mim");
    let report = send(&store, &records, Target::File(&path));
    assert_eq!(report.images.len(), 2);
    assert_eq!(report.length, fs::metadata(&path).unwrap().len());

    let opened = MimFile::open(&path).unwrap();
    assert_eq!(opened.warning(), None);
    holds(&opened, "pc", 1, 1);
    holds(&opened, "pc", 2, 2);
    let at = RefName {
        name: "pc".to_owned(),
        sequence: 2,
    };
    assert_eq!(opened.read_ref(&at).unwrap(), store.read_ref(&at).unwrap());
    let refused = opened.put_ref(&at, b"").unwrap_err();
    assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");
    assert!(scan(&path).unwrap().damage.is_empty());
}

#[test]
fn pipe_carries_the_same_bytes_and_its_reader_ends_with_the_same_images() {
    let (store, records) = two_versions();
    let bytes = piped(&store, &records);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pc.mim");
    send(&store, &records, Target::File(&path));
    assert!(fs::read(&path).unwrap() == bytes);

    let other = MemoryStore::new();
    let report = take(&bytes, &other).unwrap();
    assert!(report.images.iter().all(|image| !image.already));
    assert_eq!(report.passed_over, 0);
    holds(&other, "pc", 1, 1);
    holds(&other, "pc", 2, 2);

    let again = take(&bytes, &other).unwrap();
    assert!(again.images.iter().all(|image| image.already));
    assert_eq!((again.blocks, again.passed_over), (0, report.blocks));
    assert_eq!(other.list_refs().unwrap().len(), 2);

    let third = MemoryStore::new();
    import_file(&path, &third, &mut |_| ()).unwrap();
    holds(&third, "pc", 2, 2);
}

#[test]
fn blocks_travel_untouched_and_those_that_tell_of_others_come_first() {
    let (store, records) = two_versions();
    let bytes = piped(&store, &records[1..]);
    let share = Share::open(&store).unwrap();
    let places: Vec<_> = share
        .index()
        .segments()
        .iter()
        .flat_map(|segment| segment.jobs())
        .collect();
    let blocks = payloads(&bytes)
        .into_iter()
        .filter(|(kind, _)| *kind == Kind::Block);
    let mut seen = 0;
    for (_, stored) in blocks {
        let id = image_format::BlockId::of(&stored);
        assert!(
            places.iter().any(|job| job.place.block == id),
            "compressed anew"
        );
        seen += 1;
    }
    assert!(seen > 1);
    let root = share.root(&records[1].image).unwrap();
    let (place, _) = share
        .index()
        .find(&root.volumes[0].directory[0].id)
        .unwrap();
    let first = sections(&bytes)
        .into_iter()
        .find(|(_, section)| section.kind == Kind::Block);
    let tells = |hash| image_format::BlockId::new(hash) == place.block;
    let first_hash = first.unwrap().1.hash;
    let leaf_first = share
        .leaves(&records[1].image, &root.volumes[0])
        .unwrap()
        .iter()
        .any(|leaf| {
            let (place, _) = share.index().find(&leaf.chunk.id).unwrap();
            place.block == image_format::BlockId::new(first_hash)
        });
    assert!(tells(first_hash) || leaf_first);
}

#[test]
fn append_brings_only_what_is_new_and_the_same_again_changes_nothing() {
    let (store, records) = two_versions();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pc.mim");
    send(&store, &records[..1], Target::File(&path));
    let one = fs::read(&path).unwrap();
    let report = send(&store, &records, Target::Append(&path));
    assert_eq!((report.images.len(), report.already.len()), (1, 1));
    let two = fs::read(&path).unwrap();
    assert!(two.starts_with(&one));
    assert!(
        two.len() - one.len() < one.len() / 4,
        "{} {}",
        one.len(),
        two.len()
    );

    let opened = MimFile::open(&path).unwrap();
    holds(&opened, "pc", 1, 1);
    holds(&opened, "pc", 2, 2);
    let other = MemoryStore::new();
    assert_eq!(take(&two, &other).unwrap().images.len(), 2);
    holds(&other, "pc", 2, 2);

    let report = send(&store, &records, Target::Append(&path));
    assert_eq!((report.images.len(), report.already.len()), (0, 2));
    assert!(fs::read(&path).unwrap() == two);
}

#[test]
fn append_that_stopped_anywhere_leaves_the_images_before_it_and_can_be_done_again() {
    let (store, records) = two_versions();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pc.mim");
    send(&store, &records[..1], Target::File(&path));
    let one = fs::read(&path).unwrap();
    send(&store, &records, Target::Append(&path));
    let two = fs::read(&path).unwrap();
    for length in around_sections(&two, one.len() + 1) {
        fs::write(&path, &two[..length]).unwrap();
        let opened = MimFile::open(&path).unwrap();
        assert_eq!(opened.images().len(), 1, "cut at {length}");
        assert!(opened.warning().unwrap().contains("did not end"));
        let mut into = MemoryStore::new();
        let report = import_file(&path, &into, &mut |_| ()).unwrap();
        assert!(report.warning.is_some());
        holds(&into, "pc", 1, 1);
        into = MemoryStore::new();
        assert!(
            take(&two[..length], &into).is_err(),
            "a pipe that is cut says so"
        );
        assert_eq!(into.list_refs().unwrap(), []);
    }
    let report = send(&store, &records, Target::Append(&path));
    assert!(report.warning.is_some());
    assert!(fs::read(&path).unwrap() == two);
}

/// Lengths from `least` on that end at a section, one byte before or after.
fn around_sections(bytes: &[u8], least: usize) -> Vec<usize> {
    let near = |(at, _): (usize, _)| [at.saturating_sub(1), at, at + 1];
    let mut lengths: Vec<usize> = sections(bytes).into_iter().flat_map(near).collect();
    lengths.push(bytes.len() - 1);
    lengths.retain(|length| (least..bytes.len()).contains(length));
    lengths
}

#[test]
fn stream_cut_near_any_section_commits_nothing_and_the_next_try_goes_on() {
    let (store, records) = two_versions();
    let bytes = piped(&store, &records);
    for length in around_sections(&bytes, 0) {
        let error = refused(&bytes[..length]);
        assert!(
            error.contains("cut off") || error.contains("ends after"),
            "{length}: {error}"
        );
    }
    let into = MemoryStore::new();
    take(&bytes[..bytes.len() - 1], &into).unwrap_err();
    let report = take(&bytes, &into).unwrap();
    assert!(report.blocks == 0 && report.passed_over > 0);
    holds(&into, "pc", 2, 2);

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pc.mim");
    for length in around_sections(&bytes, 0) {
        fs::write(&path, &bytes[..length]).unwrap();
        MimFile::open(&path).unwrap_err();
    }
}

#[test]
fn every_damaged_section_is_named_and_nothing_of_the_file_is_committed() {
    let (store, records) = two_versions();
    let bytes = piped(&store, &records[..1]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pc.mim");
    for (at, section) in sections(&bytes) {
        for offset in [0, 15, 40, 95, 96, section.total() - 1] {
            let place = at + usize::try_from(offset).unwrap();
            let mut damaged = bytes.clone();
            damaged[place] ^= 4;
            refused(&damaged);
            fs::write(&path, &damaged).unwrap();
            let report = scan(&path).unwrap();
            let found = &report.damage[0];
            assert_eq!(found.at, at as u64, "{offset} of {section:?}: {found:?}");
            assert_eq!(found.length, section.total(), "{found:?}");
        }
    }
}

#[test]
fn swapped_missing_and_repeated_sections_are_noticed() {
    let (store, records) = two_versions();
    let bytes = piped(&store, &records);
    let mut ranges: Vec<_> = sections(&bytes)
        .into_iter()
        .map(|(at, section)| at..at + usize::try_from(section.total()).unwrap())
        .collect();
    let join = |ranges: &[std::ops::Range<usize>]| -> Vec<u8> {
        ranges
            .iter()
            .flat_map(|range| bytes[range.clone()].to_vec())
            .collect()
    };
    for at in 1..ranges.len() {
        ranges.swap(at - 1, at);
        refused(&join(&ranges));
        ranges.swap(at - 1, at);
        let mut fewer = ranges.clone();
        fewer.remove(at);
        refused(&join(&fewer));
        fewer.insert(at, ranges[at].clone());
        fewer.insert(at, ranges[at].clone());
        refused(&join(&fewer));
    }
}

#[test]
fn file_that_lies_with_right_hashes_is_refused() {
    let (store, records) = two_versions();
    let bytes = piped(&store, &records[..1]);
    let all = payloads(&bytes);
    assert!(rebuilt(&all) == bytes);
    let first = all
        .iter()
        .position(|(kind, _)| *kind == Kind::Chunks)
        .unwrap();

    let mut lost = all.clone();
    lost.drain(first..first + 2);
    assert!(refused(&rebuilt(&lost)).contains("block table"));

    let mut renamed = all.clone();
    renamed[first].1[50] ^= 1;
    assert!(refused(&rebuilt(&renamed)).contains("has other bytes than its id says"));

    let mut other = all.clone();
    let block = other
        .iter()
        .rposition(|(kind, _)| *kind == Kind::Block)
        .unwrap();
    other[first + 1] = all[block].clone();
    assert!(refused(&rebuilt(&other)).contains("another block than the chunk list"));

    let mut elsewhere = all.clone();
    let images = elsewhere
        .iter()
        .position(|(kind, _)| *kind == Kind::Images)
        .unwrap();
    elsewhere[images].1[40] ^= 1;
    refused(&rebuilt(&elsewhere));

    let later = (Kind::Unknown(900), b"of a later version".to_vec());
    let mut optional = all.clone();
    optional.push(later.clone());
    take(&rebuilt(&optional), &MemoryStore::new()).unwrap();
    let mut optional = all;
    optional.insert(first, later);
    // The table tells of other places now, which is noticed.
    assert!(refused(&rebuilt(&optional)).contains("block table"));
}

#[test]
fn file_without_a_block_its_image_needs_is_refused() {
    let (store, records) = two_versions();
    let all = payloads(&piped(&store, &records[..1]));
    let without: Vec<_> = all
        .into_iter()
        .filter(|(kind, _)| !matches!(kind, Kind::Chunks | Kind::Block | Kind::Table))
        .collect();
    let error = refused(&rebuilt(&without));
    assert!(error.contains("is in no block"), "{error}");
}

/// More blocks that do not shrink than a part takes.
fn wide() -> (MemoryStore, Vec<image_format::ImageRecord>) {
    let (store, mut records) = two_versions();
    let mut files = kit::files(2);
    for seed in 200..208 {
        files.push((
            format!("z{seed}.bin"),
            vec![Some(kit::noise(seed, 3 << 20))],
        ));
    }
    records.push(kit::ingest(&store, "wide", &files).unwrap());
    (store, records)
}

#[test]
fn parts_are_found_from_any_of_them_and_come_through_a_pipe() {
    let (store, records) = wide();
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("pc.mim");
    let size = 12 << 20;
    let report = send(&store, &records, Target::Split { base: &base, size });
    assert!(report.parts > 2, "{}", report.parts);
    let path = |part: usize| dir.path().join(format!("pc.mim.{part:03}"));
    let mut joined = Vec::new();
    for part in 1..=report.parts {
        let bytes = fs::read(path(part)).unwrap();
        assert!(bytes.len() as u64 <= size);
        joined.extend(bytes);
    }
    for name in [base.clone(), path(1), path(report.parts)] {
        let opened = MimFile::open(&name).unwrap();
        holds(&opened, "pc", 2, 2);
    }
    let other = MemoryStore::new();
    import_file(&base, &other, &mut |_| ()).unwrap();
    holds(&other, "pc", 1, 1);
    let piped = MemoryStore::new();
    take(&joined, &piped).unwrap();
    holds(&piped, "pc", 2, 2);
    assert!(scan(&base).unwrap().damage.is_empty());

    let share = Share::open(&store).unwrap();
    let again = Target::Split { base: &base, size };
    assert!(export(&share, &records, again, ID, &mut |_| ()).is_err());
    let append = export(&share, &records, Target::Append(&base), ID, &mut |_| ());
    assert!(append.is_err());
}

#[test]
fn missing_swapped_foreign_and_short_parts_are_named() {
    let (store, records) = wide();
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("pc.mim");
    let size = 12 << 20;
    let report = send(&store, &records, Target::Split { base: &base, size });
    let path = |part: usize| dir.path().join(format!("pc.mim.{part:03}"));
    let aside = dir.path().join("aside");
    let open = || text(&MimFile::open(&base).unwrap_err());

    for part in 1..=report.parts {
        fs::rename(path(part), &aside).unwrap();
        let error = open();
        let named = if part == report.parts { part - 1 } else { part };
        assert!(
            error.contains(&format!(".{named:03}")) || part == 1,
            "{part}: {error}"
        );
        fs::rename(&aside, path(part)).unwrap();
    }

    fs::rename(path(2), &aside).unwrap();
    fs::rename(path(1), path(2)).unwrap();
    fs::rename(&aside, path(1)).unwrap();
    assert!(open().contains("swapped"));
    fs::rename(path(1), &aside).unwrap();
    fs::rename(path(2), path(1)).unwrap();
    fs::rename(&aside, path(2)).unwrap();
    MimFile::open(&base).unwrap();

    let bytes = fs::read(path(2)).unwrap();
    fs::write(path(2), &bytes[..bytes.len() - 1]).unwrap();
    assert!(open().contains("cut off"));
    fs::write(path(2), &bytes).unwrap();

    let other = dir.path().join("other.mim");
    let share = Share::open(&store).unwrap();
    let target = Target::Split { base: &other, size };
    let id = image_format::file::FileId([8; 16]);
    export(&share, &records, target, id, &mut |_| ()).unwrap();
    fs::copy(dir.path().join("other.mim.002"), path(2)).unwrap();
    assert!(open().contains("another file"));
}

#[test]
fn sequence_is_kept_where_it_is_free_and_told_where_it_is_not() {
    let (store, records) = two_versions();
    let newest = piped(&store, &records[1..]);
    let other = MemoryStore::new();
    take(&newest, &other).unwrap();
    holds(&other, "pc", 2, 2);
    let next = kit::ingest(&other, "pc", &kit::files(3)).unwrap();
    assert_eq!(next.sequence, 3);

    let report = take(&piped(&store, &records[..1]), &other).unwrap();
    assert_eq!(report.images[0].from.sequence, 1);
    assert_eq!(report.images[0].record.sequence, 4);
    holds(&other, "pc", 4, 1);
}

#[test]
fn image_of_another_share_under_a_name_the_file_holds_is_refused() {
    let (store, records) = two_versions();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pc.mim");
    send(&store, &records, Target::File(&path));
    let before = fs::read(&path).unwrap();
    let other = MemoryStore::new();
    let record = kit::ingest(&other, "pc", &kit::files(5)).unwrap();
    let share = Share::open(&other).unwrap();
    let error = export(&share, &[record], Target::Append(&path), ID, &mut |_| ()).unwrap_err();
    assert!(matches!(error, ExportError::Taken { .. }), "{error}");
    assert!(fs::read(&path).unwrap() == before);
    let taken = export(
        &share,
        &share.images(),
        Target::File(&path),
        ID,
        &mut |_| (),
    );
    assert!(taken.is_err(), "a file that is there is not replaced");
    assert!(fs::read(&path).unwrap() == before);
}

#[test]
fn damaged_share_exports_nothing_and_leaves_no_file() {
    let (store, records) = two_versions();
    let pack = store.list_packs().unwrap()[0];
    assert!(store.flip_bit(&pack, 300, 1));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pc.mim");
    let share = Share::open(&store).unwrap();
    export(&share, &records, Target::File(&path), ID, &mut |_| ()).unwrap_err();
    assert!(!path.exists());
    let base = Target::Split {
        base: &path,
        size: 1 << 30,
    };
    export(&share, &records, base, ID, &mut |_| ()).unwrap_err();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn import_stopped_at_any_operation_leaves_a_whole_share_and_is_done_by_the_next() {
    let source = MemoryStore::new();
    let mut records = Vec::new();
    for version in 1..=2 {
        let mut files = kit::files(version);
        files.retain(|file| file.0 != "large.bin");
        records.push(kit::ingest(&source, "pc", &files).unwrap());
    }
    let bytes = piped(&source, &records);
    let count = MemoryStore::new();
    take(&bytes, &count).unwrap();
    let mut failed = 0;
    for at in 0..count.operations() {
        for fault in [Fault::Before(at), Fault::After(at)] {
            let store = MemoryStore::new();
            store.set_fault(Some(fault));
            let result = take(&bytes, &store);
            let store = store.restarted();
            let refs = store.list_refs().unwrap().len();
            // Only the lease is given back after the last ref.
            assert!(result.is_err() || refs == 2, "{fault:?}");
            failed += u64::from(result.is_err());
            assert_eq!(check(&store).unwrap().findings, [], "{fault:?}");
            assert_eq!(take(&bytes, &store).unwrap().images.len(), 2);
            assert_eq!(store.list_refs().unwrap().len(), 2);
            assert_eq!(check(&store).unwrap().findings, [], "{fault:?}");
        }
    }
    assert!(failed > count.operations());
}

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

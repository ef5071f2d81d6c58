//! A file in parts.

use std::fs;

use crate::mim::{ID, send, take, text};
use crate::{holds, kit, two_versions};
use image_format::file::{MimFile, Target, export, import_file, scan};
use image_format::share::Share;
use image_format::store::MemoryStore;

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

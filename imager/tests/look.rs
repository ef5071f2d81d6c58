//! What is looked up in an image is what was stored in it.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use image_format::entry::{Content, Entry, Kind, Timestamp, Xattr};
use image_format::ids::ImageId;
use image_format::ingest::{ImageWriter, Ingest, IngestOptions, NewImage};
use image_format::layout::DiskLayout;
use image_format::share::Share;
use image_format::store::MemoryStore;
use imager::look::contents::Contents;
use imager::look::diff::{Aspect, Change, diff};
use imager::look::extract::extract;
use imager::look::{Last, LookError, Tree};

/// Entries with the bytes of their files; `None` is a hole of 100 000 bytes.
type Files = BTreeMap<Vec<u8>, (Entry, Vec<Option<Vec<u8>>>)>;

const HOLE: u64 = 100_000;

fn put(files: &mut Files, path: &str, kind: Kind, parts: Vec<Option<Vec<u8>>>) {
    let mut entry = Entry::new(path, kind);
    entry.mode = if entry.kind == Kind::Directory {
        0o750
    } else {
        0o640
    };
    entry.times.modified = Timestamp {
        seconds: 1_700_000_000,
        nanoseconds: 123_456_789,
    };
    entry.times.accessed = entry.times.modified;
    files.insert(entry.path.clone(), (entry, parts));
}

fn text(words: &str) -> Vec<Option<Vec<u8>>> {
    vec![Some(words.as_bytes().to_vec())]
}

/// A small system with every kind of entry.
fn system() -> Files {
    let mut files = Files::new();
    let all = &mut files;
    for folder in ["", "etc", "etc/ssh", "etc-old", "usr", "usr/bin", "var"] {
        put(all, folder, Kind::Directory, Vec::new());
    }
    put(all, "bin", Kind::Symlink(b"usr/bin".to_vec()), Vec::new());
    put(all, "etc/hostname", Kind::File, text("reference\n"));
    put(all, "etc/ssh/config", Kind::File, text("Host *\n"));
    put(all, "etc-old/hostname", Kind::File, text("old\n"));
    put(
        all,
        "usr/bin/sh",
        Kind::File,
        vec![Some(vec![7; 300_000]), None, text("end").remove(0)],
    );
    put(all, "usr/bin/shell", Kind::File, Vec::new());
    put(all, "var/pipe", Kind::Fifo, Vec::new());
    for name in ["usr/bin/sh", "usr/bin/shell"] {
        all.get_mut(name.as_bytes()).unwrap().0.link = Some(3);
    }
    let host = &mut all.get_mut(b"etc/hostname".as_slice()).unwrap().0;
    host.xattrs = vec![Xattr {
        name: b"user.note".to_vec(),
        value: b"kept".to_vec(),
    }];
    host.mode = 0o604;
    files
}

fn store(store: &MemoryStore, files: &Files) -> ImageId {
    let options = IngestOptions {
        threads: 1,
        ..IngestOptions::default()
    };
    let mut ingest = Ingest::new(store, options).unwrap();
    let mut image = ImageWriter::new(DiskLayout::tree());
    image.volume(&mut ingest, 0).unwrap();
    for (entry, parts) in files.values() {
        let length = |part: &Option<Vec<u8>>| part.as_ref().map_or(HOLE, |part| part.len() as u64);
        let mut stream = ingest.stream(&entry.path, parts.iter().map(length).sum());
        for part in parts {
            match part {
                Some(bytes) => stream.write(bytes).unwrap(),
                None => stream.hole(HOLE).unwrap(),
            }
        }
        let content = stream.finish().unwrap();
        let entry = Entry {
            content,
            ..entry.clone()
        };
        image.entry(&mut ingest, entry, None).unwrap();
    }
    let record = NewImage {
        name: "system".to_owned(),
        captured: 1,
        parent: None,
        system: None,
        source: None,
    };
    ingest.finish(image, record).unwrap().image
}

fn opened(files: &Files) -> (Share<MemoryStore>, Tree) {
    let memory = MemoryStore::new();
    let image = store(&memory, files);
    let share = Share::open(memory).unwrap();
    let tree = Tree::choose(&share, image, None).unwrap();
    (share, tree)
}

fn bytes(share: &Share<MemoryStore>, tree: &Tree, path: &str) -> Result<Vec<u8>, LookError> {
    let entry = tree.find(share, path.as_bytes(), Last::Follow)?;
    let mut out = Vec::new();
    Contents::new(tree.content(share, &entry)?).write_to(share, &mut out)?;
    Ok(out)
}

fn logical(parts: &[Option<Vec<u8>>]) -> Vec<u8> {
    let part = |part: &Option<Vec<u8>>| {
        let hole = || vec![0; usize::try_from(HOLE).unwrap()];
        part.clone().unwrap_or_else(hole)
    };
    parts.iter().flat_map(part).collect()
}

#[test]
fn files_read_as_they_were_also_through_links() {
    let files = system();
    let (share, tree) = opened(&files);
    let shell = logical(&files[b"usr/bin/sh".as_slice()].1);
    assert_eq!(
        bytes(&share, &tree, "/etc/hostname").unwrap(),
        b"reference\n"
    );
    assert_eq!(bytes(&share, &tree, "/bin/sh").unwrap(), shell);
    assert_eq!(bytes(&share, &tree, "/usr/bin/shell").unwrap(), shell);
    let refused = bytes(&share, &tree, "/var/pipe").unwrap_err().to_string();
    assert!(refused.contains("/var/pipe is a named pipe"), "{refused}");
    let refused = bytes(&share, &tree, "/etc").unwrap_err().to_string();
    assert!(refused.contains("/etc is a folder"), "{refused}");
}

#[test]
fn folders_list_what_lies_directly_in_them_and_below_lists_all() {
    let mut files = system();
    // So many that there are several leaves, and a sibling between a folder and its entries.
    for number in 0..9000 {
        put(
            &mut files,
            &format!("var/f{number:05}"),
            Kind::File,
            Vec::new(),
        );
    }
    let (share, tree) = opened(&files);
    assert!(tree.leaves().len() > 3);
    assert_eq!(tree.entries(), files.len() as u64);
    let folders = files
        .values()
        .filter(|(entry, _)| entry.kind == Kind::Directory);
    for (folder, _) in folders {
        let children = tree.children(&share, &folder.path).unwrap();
        let expected: Vec<_> = files
            .values()
            .filter(|(entry, _)| entry.parent() == Some(&folder.path))
            .map(|(entry, _)| entry.path.clone())
            .collect();
        let found: Vec<_> = children.into_iter().map(|entry| entry.path).collect();
        assert_eq!(found, expected, "{}", folder.display_path());
        let prefix = match folder.path.as_slice() {
            b"" => Vec::new(),
            path => [path, b"/"].concat(),
        };
        let below: Vec<_> = tree
            .below(&share, &folder.path)
            .map(|entry| entry.unwrap().path)
            .collect();
        let expected: Vec<_> = files
            .keys()
            .filter(|path| !path.is_empty() && path.starts_with(&prefix))
            .cloned()
            .collect();
        assert_eq!(below, expected, "{}", folder.display_path());
    }
    assert!(tree.entry(&share, b"var/f04711").unwrap().is_some());
    assert!(tree.entry(&share, b"var/none").unwrap().is_none());
}

fn changes(share: &Share<MemoryStore>, old: &Tree, new: &Tree, under: &str) -> Vec<Change> {
    let mut found = Vec::new();
    diff(share, old, new, under.as_bytes(), &mut |change| {
        found.push(change);
        Ok(())
    })
    .unwrap();
    found
}

fn told(change: &Change) -> String {
    let path = String::from_utf8_lossy(change.path());
    match change {
        Change::Added(_) => format!("+{path}"),
        Change::Removed(_) => format!("-{path}"),
        Change::Changed { aspects, .. } => {
            let words: Vec<_> = aspects.iter().map(|aspect| aspect.word()).collect();
            format!("{path}: {}", words.join(" "))
        }
    }
}

fn mirrored(change: Change) -> Change {
    match change {
        Change::Added(entry) => Change::Removed(entry),
        Change::Removed(entry) => Change::Added(entry),
        Change::Changed { old, new, aspects } => Change::Changed {
            old: new,
            new: old,
            aspects,
        },
    }
}

#[test]
fn differences_are_named_and_their_mirror_is_the_other_way_round() {
    let before = system();
    let mut after = system();
    let edit = |files: &mut Files, path: &str, act: &dyn Fn(&mut Entry)| {
        act(&mut files.get_mut(path.as_bytes()).unwrap().0);
    };
    put(&mut after, "etc/new", Kind::File, text("new"));
    after.remove(b"etc-old/hostname".as_slice());
    after.get_mut(b"etc/ssh/config".as_slice()).unwrap().1 = text("Host a\n");
    edit(&mut after, "etc/hostname", &|entry| {
        entry.mode = 0o600;
        entry.uid = 7;
        entry.xattrs.clear();
    });
    edit(&mut after, "bin", &|entry| {
        entry.kind = Kind::Symlink(b"/usr/bin".to_vec())
    });
    edit(&mut after, "var/pipe", &|entry| {
        entry.times.modified.nanoseconds = 1
    });
    // The numbers of links mean nothing.
    for name in ["usr/bin/sh", "usr/bin/shell"] {
        edit(&mut after, name, &|entry| entry.link = Some(9));
    }
    let memory = MemoryStore::new();
    let (old, new) = (store(&memory, &before), store(&memory, &after));
    let share = Share::open(memory).unwrap();
    let tree = |image| Tree::choose(&share, image, None).unwrap();
    let (old, new) = (tree(old), tree(new));
    let found = changes(&share, &old, &new, "");
    let words: Vec<String> = found.iter().map(told).collect();
    let expected = [
        "bin: target",
        "-etc-old/hostname",
        "etc/hostname: mode owner xattrs",
        "+etc/new",
        "etc/ssh/config: content",
        "var/pipe: times",
    ];
    assert_eq!(words, expected);
    assert_eq!(changes(&share, &old, &old, ""), Vec::new());
    let back: Vec<_> = changes(&share, &new, &old, "")
        .into_iter()
        .map(mirrored)
        .collect();
    assert_eq!(back, found);
    let below: Vec<String> = changes(&share, &old, &new, "etc")
        .iter()
        .map(told)
        .collect();
    assert_eq!(below, expected[2..5]);
}

#[test]
fn a_hard_link_that_changes_is_told_at_every_name() {
    let before = system();
    let mut after = system();
    after.get_mut(b"usr/bin/sh".as_slice()).unwrap().1 = text("another shell");
    for name in ["usr/bin/sh", "usr/bin/shell"] {
        after
            .get_mut(name.as_bytes())
            .unwrap()
            .0
            .times
            .modified
            .seconds += 1;
    }
    let mut apart = system();
    apart.get_mut(b"usr/bin/sh".as_slice()).unwrap().0.link = None;
    let shell = apart.get_mut(b"usr/bin/shell".as_slice()).unwrap();
    shell.0.link = None;
    shell.1 = before[b"usr/bin/sh".as_slice()].1.clone();
    let memory = MemoryStore::new();
    let images = [&before, &after, &apart].map(|files| store(&memory, files));
    let share = Share::open(memory).unwrap();
    let [old, new, apart] = images.map(|image| Tree::choose(&share, image, None).unwrap());
    let words =
        |new: &Tree| -> Vec<String> { changes(&share, &old, new, "").iter().map(told).collect() };
    assert_eq!(
        words(&new),
        ["usr/bin/sh: content times", "usr/bin/shell: content times"]
    );
    assert_eq!(words(&apart), ["usr/bin/sh: links", "usr/bin/shell: links"]);
    assert!(matches!(
        &changes(&share, &old, &new, "usr/bin/sh")[..],
        [Change::Changed { aspects, .. }] if *aspects == [Aspect::Content, Aspect::Times]
    ));
}

#[test]
fn extracted_files_are_as_in_the_image_and_nothing_is_overwritten() {
    let files = system();
    let (share, tree) = opened(&files);
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("out");
    let wanted = ["/etc/", "bin/shell", "/usr/bin/sh", "/etc/hostname", "var"];
    let wanted = wanted.map(|path| path.as_bytes().to_vec());
    let done = extract(&share, &tree, &wanted, &into, false).unwrap();
    println!("{done:?}");
    let read = |path: &str| std::fs::read(into.join(path)).unwrap();
    let shell = logical(&files[b"usr/bin/sh".as_slice()].1);
    assert_eq!(read("etc/hostname"), b"reference\n");
    assert_eq!(read("etc/ssh/config"), b"Host *\n");
    assert_eq!(read("usr/bin/sh"), shell);
    let facts = |path: &str| std::fs::symlink_metadata(into.join(path)).unwrap();
    assert_eq!(facts("usr/bin/sh").ino(), facts("usr/bin/shell").ino());
    assert!(facts("usr/bin/sh").blocks() * 512 < shell.len() as u64);
    assert_eq!(facts("etc/hostname").permissions().mode() & 0o7777, 0o604);
    for path in ["etc", "etc/hostname", "usr", "var"] {
        let time = (facts(path).mtime(), facts(path).mtime_nsec());
        assert_eq!(time, (1_700_000_000, 123_456_789), "{path}");
    }
    assert!(facts("var/pipe").file_type().is_fifo());
    assert!(!into.join("etc-old").exists());
    let mut note = [0; 8];
    match rustix::fs::getxattr(into.join("etc/hostname"), "user.note", &mut note) {
        Ok(length) => assert_eq!(&note[..length], b"kept"),
        Err(error) => println!("{} takes no attributes: {error}", into.display()),
    }

    std::fs::write(into.join("etc/hostname"), "mine").unwrap();
    let again = extract(&share, &tree, &[b"etc/hostname".to_vec()], &into, false);
    assert!(matches!(again, Err(LookError::Exists { .. })), "{again:?}");
    assert_eq!(read("etc/hostname"), b"mine");
    extract(&share, &tree, &wanted, &into, true).unwrap();
    assert_eq!(read("etc/hostname"), b"reference\n");
    assert_eq!(read("usr/bin/shell"), shell);
    assert_eq!(left_over(&into), Vec::<String>::new());
}

/// Names that only stand there while a file is written.
fn left_over(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().unwrap().is_dir() {
            found.extend(left_over(&entry.path()));
        } else if name.starts_with(".mimeo") {
            found.push(name);
        }
    }
    found
}

#[test]
fn a_link_in_the_target_leads_nothing_out_of_it() {
    let (share, tree) = opened(&system());
    let folder = tempfile::tempdir().unwrap();
    let (into, outside) = (folder.path().join("out"), folder.path().join("outside"));
    std::fs::create_dir_all(outside.join("ssh")).unwrap();
    std::fs::create_dir_all(&into).unwrap();
    std::os::unix::fs::symlink(&outside, into.join("etc")).unwrap();
    for force in [false, true] {
        for path in ["etc", "etc/ssh/config"] {
            let refused = extract(&share, &tree, &[path.as_bytes().to_vec()], &into, force);
            assert!(refused.is_err(), "{path}, force {force}");
        }
    }
    let names = |path: &Path| std::fs::read_dir(path).unwrap().count();
    assert_eq!((names(&outside), names(&outside.join("ssh"))), (1, 0));
}

#[test]
fn contents_that_are_gone_are_an_error_and_no_file() {
    let files = system();
    let (share, tree) = opened(&files);
    let entry = tree.find(&share, b"usr/bin/sh", Last::Keep).unwrap();
    let Content::Pieces(_) = &entry.content else {
        panic!("{entry:?}");
    };
    let empty = Share::open(MemoryStore::new()).unwrap();
    let mut out = Vec::new();
    assert!(
        Contents::new(entry.content)
            .write_to(&empty, &mut out)
            .is_err()
    );
}

//! What somebody tries who uses the program for the first time: wrong sources,
//! wrong targets, odd names. What cannot be is refused before anything changes.

mod beside;

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use image_format::DirStore;
use image_format::ingest::{ImageWriter, Ingest, IngestOptions, NewImage};
use image_format::layout::{DiskLayout, Scheme};

use beside::Beside;

/// A share and a captured directory called `tree` beside it.
struct Room {
    beside: Beside,
}

impl Room {
    fn new() -> Self {
        let room = Self {
            beside: Beside::new(),
        };
        std::fs::create_dir_all(room.path("source/sub")).unwrap();
        std::fs::write(room.path("source/Gr\u{fc}\u{df}e"), "six...").unwrap();
        std::fs::write(room.path("source/tab\there"), "x").unwrap();
        std::fs::hard_link(
            room.path("source/Gr\u{fc}\u{df}e"),
            room.path("source/sub/later"),
        )
        .unwrap();
        let source = room.text("source");
        room.says(&["capture", &source, "--name", "tree"]);
        room
    }

    fn path(&self, name: &str) -> PathBuf {
        self.beside.path(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn command(&self, words: &[&str]) -> Command {
        self.beside.command(words)
    }

    fn run(&self, words: &[&str]) -> Output {
        self.beside.run(words)
    }

    fn says(&self, words: &[&str]) -> String {
        self.beside.says(words)
    }

    /// Fails with this code, and with these words.
    fn refuses(&self, code: i32, words: &[&str], why: &str) {
        let output = self.run(words);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {error}");
        assert!(error.contains(why), "{words:?}: {error}");
    }

    fn refuses_source(&self, code: i32, source: &str, more: &[&str], why: &str) {
        let words = [&["capture", source, "--name", "x"], more].concat();
        self.refuses(code, &words, why);
    }
}

#[test]
fn what_is_no_source_is_refused_at_once() {
    let room = Room::new();
    let pipe = room.text("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    room.refuses_source(1, &pipe, &[], "found a named pipe");
    room.refuses_source(1, "/dev/null", &[], "found a character device");
    std::fs::write(room.path("notes.txt"), "hello\n").unwrap();
    let why = "capture its directory instead";
    room.refuses_source(1, &room.text("notes.txt"), &[], why);
    for inside in ["share", "share/../share"] {
        room.refuses_source(1, &room.text(inside), &[], "is the share or lies in it");
    }
    symlink(room.path("share"), room.path("another")).unwrap();
    room.refuses_source(1, &room.text("another"), &[], "is the share or lies in it");
}

#[test]
fn options_for_directories_are_wrong_use_for_a_disk() {
    let room = Room::new();
    std::fs::write(room.path("disk.img"), vec![0; 1 << 20]).unwrap();
    for option in [
        &["--exclude", "x"][..],
        &["--exclude-from", "x"],
        &["--no-default-excludes"],
        &["--strict"],
        &["--skip-unreadable"],
    ] {
        room.refuses_source(2, &room.text("disk.img"), option, option[0]);
    }
}

#[test]
fn a_tree_whose_apply_was_interrupted_is_not_captured() {
    let room = Room::new();
    let id = "0123456789abcdef".repeat(4);
    let note =
        format!("{{\"mimeo apply\":0,\"image\":\"{id}\",\"partition\":0,\"others\":\"refuse\"}}\n");
    let at = room.path("source/.mimeo-apply");
    std::fs::write(&at, note).unwrap();
    let why = "was interrupted here: finish it first (`mimeo apply 01234567";
    room.refuses_source(1, &room.text("source"), &[], why);
    std::fs::write(&at, "mine").unwrap();
    room.refuses_source(1, &room.text("source"), &[], "it is no such note");
}

#[test]
fn a_disk_is_no_new_directory_unless_a_partition_is_named() {
    let room = Room::new();
    let store = DirStore::open(&room.path("share")).unwrap();
    let mut ingest = Ingest::new(&store, IngestOptions::default()).unwrap();
    let mut image = ImageWriter::new(DiskLayout {
        sector_size: 512,
        size: 1 << 27,
        scheme: Scheme::Gpt { disk_guid: [3; 16] },
        boot_code: Vec::new(),
        partitions: vec![image_format::layout::Partition {
            number: 1,
            start: 1 << 20,
            size: 1 << 24,
            type_guid: [1; 16],
            guid: [2; 16],
            attributes: 0,
            name: Vec::new(),
            volume: image_format::layout::Volume::Tree,
        }],
    });
    image.volume(&mut ingest, 0).unwrap();
    let mut root = image_format::entry::Entry::new("", image_format::entry::Kind::Directory);
    root.mode = 0o755;
    image.entry(&mut ingest, root, None).unwrap();
    let record = NewImage {
        name: "disk".to_owned(),
        captured: 1,
        parent: None,
        system: None,
        source: None,
    };
    ingest.finish(image, record).unwrap();
    let target = room.text("new");
    room.refuses(
        1,
        &["apply", "disk", &target],
        "--size SIZE makes a disk image file",
    );
    assert!(!room.path("new").exists());
    room.says(&["apply", "disk", &target, "--partition", "1"]);
    assert!(room.path("new").is_dir());
}

#[test]
fn nothing_is_applied_over_the_share_or_the_running_system() {
    let room = Room::new();
    let (inside, around) = (room.text("share/new/deep"), room.text(""));
    room.refuses(1, &["apply", "tree", &inside], "is the share or lies in it");
    room.refuses(1, &["apply", "tree", &around, "--clean"], "lies in");
    room.refuses(
        1,
        &["apply", "tree", "/", "--clean", "--dry-run"],
        "running system",
    );
    assert!(room.path("source/sub/later").exists());
    room.says(&["image", "ls", "tree"]);
}

#[test]
fn a_dry_run_names_what_cleaning_would_remove() {
    let room = Room::new();
    for number in 0..10 {
        std::fs::create_dir_all(room.path("target").join(format!("old-{number}"))).unwrap();
    }
    let plan = room.says(&[
        "apply",
        "tree",
        &room.text("target"),
        "--clean",
        "--dry-run",
    ]);
    assert!(plan.contains("removes  10 things"), "{plan}");
    assert!(
        plan.contains("old-") && plan.contains("and 2 more"),
        "{plan}"
    );
    assert!(room.path("target/old-9").exists());
}

#[test]
fn names_are_shown_as_they_are_and_links_with_the_size_of_their_contents() {
    let room = Room::new();
    let names = room.says(&["image", "ls", "tree"]);
    assert_eq!(names, "Gr\u{fc}\u{df}e\nsub\ntab\\x09here\n");
    let long = room.says(&["image", "ls", "tree", "sub", "-l"]);
    let size = long.split_whitespace().nth(2);
    assert_eq!(size, Some("6"), "{long}");
    let list = room.says(&["image", "ls", "tree", "-R", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list[0]["path"], "/Gr\u{fc}\u{df}e");
    let sizes = list.as_array().unwrap().iter();
    let later = sizes
        .filter(|one| one["path"] == "/sub/later")
        .map(|one| &one["size"]);
    assert_eq!(later.collect::<Vec<_>>(), [6]);
}

#[test]
fn a_capture_that_a_signal_ends_leaves_no_lease_and_says_so() {
    let room = Room::new();
    let mut noise = vec![0; 128 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    std::fs::create_dir(room.path("large")).unwrap();
    std::fs::write(room.path("large/noise"), noise).unwrap();
    let leases = || {
        let found = std::fs::read_dir(room.path("share/leases"));
        found.map_or(0, Iterator::count)
    };
    assert_eq!(leases(), 0);
    let mut command = room.command(&["capture", &room.text("large"), "--name", "large"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while leases() == 0 && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(leases(), 1, "it works under a lease");
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    let ended = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(143), "{error}");
    assert!(
        error.contains("interrupted: nothing was committed"),
        "{error}"
    );
    assert_eq!(leases(), 0);
}

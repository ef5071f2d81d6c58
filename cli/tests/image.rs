//! `mimeo image` on small shares, through the program itself.

mod beside;

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use image_format::DirStore;
use image_format::entry::{Entry, Kind, Timestamp, Xattr};
use image_format::ingest::{ImageWriter, Ingest, IngestOptions, NewImage};
use image_format::layout::{DiskLayout, Partition, Scheme, Volume};

use beside::Beside;

const HOLE: u64 = 1 << 20;

/// A share with two versions of a tree called `pc` and a disk called `disk`.
struct Room {
    beside: Beside,
}

impl Room {
    fn new() -> Self {
        let beside = Beside::new();
        let store = DirStore::open(&beside.path("share")).unwrap();
        for version in 1..3 {
            write(&store, "pc", DiskLayout::tree(), &[(0, tree(version))]);
        }
        write(&store, "disk", disk(), &[(0, raw()), (1, tree(1))]);
        Self { beside }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.beside.path(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        self.beside.command(&image(words))
    }

    fn run(&self, words: &[&str]) -> Output {
        self.beside.run(&image(words))
    }

    fn says(&self, words: &[&str]) -> String {
        self.beside.says(&image(words))
    }

    fn json(&self, words: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.says(&[words, &["--json"]].concat())).unwrap()
    }

    fn refuses(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(output.stdout.is_empty(), "{words:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

fn image<'w>(words: &[&'w str]) -> Vec<&'w str> {
    [&["image"], words].concat()
}

type File = (Entry, Vec<Option<Vec<u8>>>);

fn entry(path: &str, kind: Kind, mode: u32) -> Entry {
    let mut entry = Entry::new(path, kind);
    entry.mode = mode;
    entry.times.modified = Timestamp {
        seconds: 1_700_000_000,
        nanoseconds: 5,
    };
    entry
}

fn sparse() -> Vec<Option<Vec<u8>>> {
    vec![Some(vec![1; 200_000]), None, Some(vec![2; 5])]
}

fn sparse_bytes() -> Vec<u8> {
    let hole = || vec![0; usize::try_from(HOLE).unwrap()];
    sparse()
        .into_iter()
        .flat_map(|part| part.unwrap_or_else(hole))
        .collect()
}

fn tree(version: u8) -> Vec<File> {
    let text = |words: String| vec![Some(words.into_bytes())];
    let mut host = entry("etc/hostname", Kind::File, 0o644);
    host.xattrs = vec![Xattr {
        name: b"user.note".to_vec(),
        value: b"kept".to_vec(),
    }];
    let mut names = ["var/first", "var/second"].map(|path| entry(path, Kind::File, 0o600));
    names.iter_mut().for_each(|entry| entry.link = Some(0));
    let [first, second] = names;
    vec![
        (entry("", Kind::Directory, 0o755), Vec::new()),
        (
            entry("bin", Kind::Symlink(b"usr/bin".to_vec()), 0o777),
            Vec::new(),
        ),
        (entry("etc", Kind::Directory, 0o755), Vec::new()),
        (host, text(format!("pc {version}\n"))),
        (entry("usr", Kind::Directory, 0o755), Vec::new()),
        (entry("usr/bin", Kind::Directory, 0o755), Vec::new()),
        (entry("usr/bin/tool", Kind::File, 0o4755), sparse()),
        (entry("var", Kind::Directory, 0o700), Vec::new()),
        (first, text("linked".to_owned())),
        (entry("var/pipe", Kind::Fifo, 0o600), Vec::new()),
        (second, Vec::new()),
    ]
}

fn raw() -> Vec<File> {
    vec![(
        entry("", Kind::RawVolume, 0),
        vec![Some(vec![9; 4096]), None],
    )]
}

fn disk() -> DiskLayout {
    let partition = |number: u32, volume| Partition {
        number,
        start: u64::from(number) << 24,
        size: 1 << 24,
        type_guid: [1; 16],
        guid: [2; 16],
        attributes: 0,
        name: Vec::new(),
        volume,
    };
    let scheme = Scheme::Gpt { disk_guid: [3; 16] };
    DiskLayout {
        sector_size: 512,
        size: 1 << 27,
        scheme,
        boot_code: Vec::new(),
        partitions: vec![partition(2, Volume::Raw), partition(5, Volume::Tree)],
    }
}

fn write(store: &DirStore, name: &str, layout: DiskLayout, volumes: &[(u32, Vec<File>)]) {
    let mut ingest = Ingest::new(store, IngestOptions::default()).unwrap();
    let mut image = ImageWriter::new(layout);
    for (partition, files) in volumes {
        image.volume(&mut ingest, *partition).unwrap();
        for (entry, parts) in files {
            let length =
                |part: &Option<Vec<u8>>| part.as_ref().map_or(HOLE, |part| part.len() as u64);
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
    }
    let record = NewImage {
        name: name.to_owned(),
        captured: 1,
        parent: None,
        system: None,
        source: None,
    };
    ingest.finish(image, record).unwrap();
}

#[test]
fn images_are_listed_shown_and_searched() {
    let room = Room::new();
    assert_eq!(room.json(&["list"]).as_array().unwrap().len(), 2);
    assert_eq!(room.json(&["list", "--all"]).as_array().unwrap().len(), 3);
    let shown = room.json(&["show", "disk"]);
    assert_eq!(shown["volumes"][1]["partition"], 5);
    assert_eq!(shown["volumes"][1]["entries"], 11);
    // Each version adds one small leaf; the large file lies in all three.
    let text = room.says(&["show", "pc"]);
    assert!(text.contains("a directory tree"), "{text}");
    assert!(text.contains("kB with pc version 1"), "{text}");
    assert!(!room.says(&["show", "pc", "--brief"]).contains("shares"));
    let shown = room.json(&["show", "pc"]);
    assert!(
        shown["sizes"]["marginal"].as_u64().unwrap() < 5000,
        "{shown}"
    );
    assert_eq!(shown["shared"].as_array().unwrap().len(), 2);
    assert_eq!(room.says(&["ls", "pc"]), "bin\netc\nusr\nvar\n");
    assert_eq!(room.says(&["ls", "pc", "var"]), "first\npipe\nsecond\n");
    assert_eq!(
        room.says(&["ls", "disk", "-R", "/usr"]),
        "/usr/bin\n/usr/bin/tool\n"
    );
    let long = room.says(&["ls", "-l", "pc", "/usr/bin/tool"]);
    assert!(long.starts_with("-rwsr-xr-x  0:0"), "{long}");
    assert!(room.says(&["ls", "-l", "pc"]).contains("bin -> usr/bin"));
    let list = room.json(&["ls", "pc", "-R"]);
    assert_eq!(list.as_array().unwrap().len(), 10);
    assert_eq!(room.json(&["ls", "pc", "etc"])[0]["path"], "/etc/hostname");
    assert!(
        room.refuses(&["ls", "pc", "none"])
            .contains("the image has no /none")
    );
    assert!(
        room.refuses(&["ls", "disk", "--partition", "3"])
            .contains("2, 5")
    );
}

#[test]
fn contents_come_out_as_they_are() {
    let room = Room::new();
    assert_eq!(room.says(&["cat", "pc", "etc/hostname"]), "pc 2\n");
    assert_eq!(room.says(&["cat", "pc@1", "etc/hostname"]), "pc 1\n");
    assert_eq!(room.says(&["cat", "pc", "var/second"]), "linked");
    assert_eq!(room.run(&["cat", "pc", "/bin/tool"]).stdout, sparse_bytes());
    let sectors = room.run(&["cat", "disk", "/", "--partition", "2"]).stdout;
    assert_eq!((sectors[0], sectors.len()), (9, 4096 + (1 << 20)));
    assert!(
        room.refuses(&["cat", "pc", "var"])
            .contains("/var is a folder")
    );
    assert!(room.refuses(&["cat", "pc@3", "var"]).contains("pc@3"));

    let out = room.path("out");
    let words = [
        "extract",
        "pc",
        "bin/tool",
        "/var",
        "-o",
        out.to_str().unwrap(),
    ];
    let done = room.json(&words);
    assert_eq!(done["entries"], 7);
    assert_eq!(
        std::fs::read(out.join("usr/bin/tool")).unwrap(),
        sparse_bytes()
    );
    assert!(room.refuses(&words).contains("is there already"));
    room.says(&[&words[..], &["--force"]].concat());
}

#[test]
fn versions_are_compared() {
    let room = Room::new();
    let text = room.says(&["diff", "pc@1", "pc"]);
    assert_eq!(
        text,
        "~ /etc/hostname  content\n0 added, 0 removed, 1 changed\n"
    );
    let list = room.json(&["diff", "pc@1", "pc"]);
    assert_eq!(list[0]["what"][0], "content");
    assert_eq!(room.json(&["diff", "pc", "pc"]), serde_json::json!([]));
    assert_eq!(
        room.json(&["diff", "pc@1", "pc", "/usr"]),
        serde_json::json!([])
    );
    // A disk against a tree: no partition number is in both.
    let list = room.json(&["diff", "disk", "pc"]);
    let words: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["change"])
        .collect();
    assert_eq!(words, ["added", "removed", "removed"]);
}

/// A mount that is taken away whatever happens.
struct Mount {
    child: Child,
    at: PathBuf,
}

impl Mount {
    /// `None`, and a word about it, where this machine cannot mount.
    fn of(room: &Room, words: &[&str], at: &Path) -> Option<Self> {
        if !Path::new("/dev/fuse").exists() {
            println!("SKIPPED: this machine has no /dev/fuse");
            return None;
        }
        std::fs::create_dir(at).unwrap();
        let words = [
            &["mount"],
            &words[..1],
            &[at.to_str().unwrap()],
            &words[1..],
        ]
        .concat();
        let mut command = room.command(&words);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut error = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut error)
                .unwrap();
            child.wait().unwrap();
            if error.contains("ermi") {
                println!("SKIPPED: this machine lets nobody mount: {error}");
                return None;
            }
            panic!("{error}");
        }
        assert!(line.contains("read-only"), "{line}");
        Some(Self {
            child,
            at: at.to_owned(),
        })
    }

    /// Ends it by a signal and answers with what the program says then.
    fn end(mut self, signal: &str) -> std::process::ExitStatus {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
        let status = self.child.wait().unwrap();
        assert_eq!(std::fs::read_dir(&self.at).unwrap().count(), 0);
        status
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let id = self.child.id().to_string();
            let _ = Command::new("kill").arg(id).status();
            let _ = self.child.wait();
        }
    }
}

#[test]
fn a_mounted_tree_reads_like_the_system_it_was() {
    let room = Room::new();
    let at = room.path("mount");
    let Some(mount) = Mount::of(&room, &["pc"], &at) else {
        return;
    };
    let facts = |path: &str| std::fs::symlink_metadata(at.join(path)).unwrap();
    assert_eq!(std::fs::read(at.join("etc/hostname")).unwrap(), b"pc 2\n");
    assert_eq!(std::fs::read(at.join("bin/tool")).unwrap(), sparse_bytes());
    assert_eq!(
        std::fs::read_link(at.join("bin")).unwrap(),
        Path::new("usr/bin")
    );
    let tool = facts("usr/bin/tool");
    assert_eq!(
        (tool.mode() & 0o7777, tool.mtime(), tool.mtime_nsec()),
        (0o4755, 1_700_000_000, 5)
    );
    assert_eq!(
        (tool.len(), tool.blocks()),
        (sparse_bytes().len() as u64, 391)
    );
    let (first, second) = (facts("var/first"), facts("var/second"));
    assert_eq!(
        (first.ino(), first.nlink(), first.len()),
        (second.ino(), 2, 6)
    );
    assert_eq!(second.len(), 6);
    assert_eq!(std::fs::read(at.join("var/second")).unwrap(), b"linked");
    assert!(facts("var/pipe").file_type().is_fifo());
    assert!(std::fs::metadata(at.join("none")).is_err());
    assert!(std::fs::write(at.join("etc/hostname"), "x").is_err());
    let names = |path: &str| {
        let names = std::fs::read_dir(at.join(path)).unwrap();
        let mut names: Vec<_> = names.map(|name| name.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(""), ["bin", "etc", "usr", "var"]);
    assert_eq!(names("var"), ["first", "pipe", "second"]);

    let mut value = [0; 16];
    let length = rustix::fs::getxattr(at.join("etc/hostname"), "user.note", &mut value).unwrap();
    assert_eq!(&value[..length], b"kept");
    let length = rustix::fs::listxattr(at.join("etc/hostname"), &mut value).unwrap();
    assert_eq!(&value[..length], b"user.note\0");

    let mut file = std::fs::File::open(at.join("usr/bin/tool")).unwrap();
    let end = 200_000 + HOLE;
    let at_hole = rustix::fs::seek(&file, rustix::fs::SeekFrom::Hole(100)).unwrap();
    let at_data = rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(at_hole)).unwrap();
    assert_eq!((at_hole, at_data), (200_000, end));
    let mut last = Vec::new();
    file.seek(SeekFrom::Start(end)).unwrap();
    file.read_to_end(&mut last).unwrap();
    assert_eq!(last, [2; 5]);
    let mut across = [7; 4];
    file.read_exact_at(&mut across, end - 2).unwrap();
    assert_eq!(across, [0, 0, 2, 2]);
    drop(file);
    assert!(mount.end("-INT").success());
}

#[test]
fn a_mounted_disk_shows_its_partitions_by_number() {
    let room = Room::new();
    let at = room.path("mount");
    let Some(mount) = Mount::of(&room, &["disk"], &at) else {
        return;
    };
    assert_eq!(std::fs::read(at.join("5/etc/hostname")).unwrap(), b"pc 1\n");
    let sectors = std::fs::read(at.join("2")).unwrap();
    assert_eq!(
        (sectors[4095], sectors[4096], sectors.len()),
        (9, 0, 4096 + (1 << 20))
    );
    // Somebody is still in there: the folder goes away all the same.
    let held = std::fs::File::open(at.join("5/usr/bin/tool")).unwrap();
    assert!(mount.end("-TERM").success());
    drop(held);

    let one = room.path("one");
    let mount = Mount::of(&room, &["disk", "--partition", "5"], &one).unwrap();
    assert_eq!(std::fs::read(one.join("etc/hostname")).unwrap(), b"pc 1\n");
    assert!(mount.end("-TERM").success());
    let words = ["mount", "disk", one.to_str().unwrap(), "--partition", "2"];
    assert!(room.refuses(&words).contains("sectors"));
    std::fs::write(one.join("mine"), "x").unwrap();
    let words = ["mount", "pc", one.to_str().unwrap()];
    assert!(room.refuses(&words).contains("is not empty"));
}

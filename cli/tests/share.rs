//! `mimeo share`, names, single files and disks, through the program itself:
//! what it says, with which exit code, and what it does not do.

mod beside;

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

use beside::Beside;

struct Room {
    beside: Beside,
}

impl Room {
    /// A share with two versions of `tree`.
    fn new() -> Self {
        let beside = Beside::new();
        let room = Self { beside };
        fs::create_dir(room.path("source")).unwrap();
        for (version, seed) in [(1, 7), (2, 8)] {
            fs::write(room.path("source/motd"), format!("version {version}\n")).unwrap();
            fs::write(room.path("source/data"), noise(seed, 400_000)).unwrap();
            room.says(&["capture", &room.text("source"), "--name", "tree"]);
        }
        room
    }

    fn path(&self, name: &str) -> PathBuf {
        self.beside.path(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn says(&self, words: &[&str]) -> String {
        self.beside.says(words)
    }

    /// Without `--share`: exit code, standard output and standard error.
    fn plain(&self, words: &[&str]) -> (i32, String, String) {
        let mut program = Command::new(env!("CARGO_BIN_EXE_mimeo"));
        let output = program.args(words).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap();
        (code, text(output.stdout), text(output.stderr))
    }

    fn share(&self, command: &str, more: &[&str]) -> (i32, String, String) {
        self.plain(&[&["share", command, &self.text("share")], more].concat())
    }

    fn refuses(&self, code: i32, words: &[&str], why: &str) {
        let output = self.beside.run(words);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {error}");
        assert!(error.contains(why), "{words:?}: {error}");
    }

    /// The largest pack.
    fn pack(&self) -> PathBuf {
        let folders = fs::read_dir(self.path("share/packs")).unwrap();
        let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
        let files = files.map(|file| file.unwrap().path());
        files
            .max_by_key(|path| fs::metadata(path).unwrap().len())
            .unwrap()
    }
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

#[test]
fn a_share_is_kept_small_and_whole() {
    let room = Room::new();
    let (code, text, _) = room.share("check", &["--read-data"]);
    assert!(code == 0 && text.starts_with("2 images"), "{text}");
    let (code, text, _) = room.share("stats", &["--json"]);
    let stats: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(code == 0 && stats["images"] == 2, "{text}");

    assert_eq!(room.share("optimize", &["--profile", "balanced"]).0, 0);
    let deleted = room.says(&["image", "delete", "tree@1"]);
    assert!(deleted.contains("tree version 1 is deleted"), "{deleted}");
    assert!(deleted.contains("`mimeo share gc` would free"), "{deleted}");
    let before = fs::metadata(room.pack()).unwrap().len();
    let (code, text, _) = room.share("gc", &["--dry-run"]);
    assert!(code == 0 && text.starts_with("1 images"), "{text}");
    assert_eq!(fs::metadata(room.pack()).unwrap().len(), before);
    assert_eq!(room.share("gc", &["--grace", "0"]).0, 0);
    assert_eq!(room.share("check", &["--read-data"]).0, 0);

    fs::remove_dir_all(room.path("share/index")).unwrap();
    fs::create_dir(room.path("share/index")).unwrap();
    assert_eq!(room.share("check", &[]).0, 3);
    assert_eq!(room.share("reindex", &[]).0, 0);
    room.says(&["apply", "tree", &room.text("out")]);
    let got = fs::read(room.path("out/data")).unwrap();
    assert!(got == noise(8, 400_000));
}

#[test]
fn damage_is_told_with_its_place_and_the_way_out_and_mended_by_a_capture() {
    let room = Room::new();
    let pack = room.pack();
    fs::set_permissions(&pack, fs::Permissions::from_mode(0o644)).unwrap();
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(&pack)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 200_000).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 200_000).unwrap();

    let mut refused = 0;
    for words in [["apply", "tree"], ["apply", "tree@1"]] {
        let target = room.text(words[1]);
        let output = room.beside.run(&[&words[..], &[&target]].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        if output.status.code() == Some(1) {
            refused += 1;
            assert!(error.contains("share check"), "{error}");
        }
    }
    assert!(refused > 0, "what is damaged was applied");
    let (code, text, _) = room.share("check", &["--read-data"]);
    let name = pack.file_name().unwrap().to_str().unwrap();
    assert!(code == 3 && text.contains(name), "{text}");
    let (code, text, _) = room.share("repair", &[]);
    assert!(code == 3 && text.contains("1 are lost"), "{text}");
    let (code, text, _) = room.share("check", &[]);
    assert_eq!(code, 3, "what is lost is not whole: {text}");
    for seed in [7, 8] {
        fs::write(room.path("source/data"), noise(seed, 400_000)).unwrap();
        room.says(&["capture", &room.text("source"), "--name", "tree"]);
    }
    let (code, text, _) = room.share("check", &["--read-data"]);
    assert_eq!(code, 0, "{text}");
    for image in ["tree@1", "tree@2"] {
        room.says(&["apply", image, &room.text(&format!("again-{image}"))]);
    }
}

#[test]
fn images_travel_in_files_and_pipes() {
    let room = Room::new();
    let (whole, parts) = (room.text("all.mim"), room.text("part.mim"));
    room.says(&["image", "export", "tree@1", "-o", &whole]);
    room.refuses(1, &["image", "export", "tree", "-o", &whole], "--append");
    room.says(&["image", "export", "tree", "-o", &whole, "--append"]);
    room.says(&["image", "export", "tree", "-o", &parts, "--split=80M"]);
    room.refuses(
        2,
        &["image", "export", "tree", "-o", "-", "--split=80M"],
        "parts",
    );
    room.refuses(
        1,
        &["image", "import", &room.text("none.mim")],
        "there is no file",
    );

    for (number, file) in [&whole, &parts].into_iter().enumerate() {
        let other = room.text(&format!("other-{number}"));
        assert_eq!(room.plain(&["share", "init", &other]).0, 0);
        let words = ["image", "import", file.as_str(), "--share", &other];
        let (code, _, error) = room.plain(&words);
        assert_eq!(code, 0, "{error}");
        let target = room.text(&format!("from-{number}"));
        let words = ["apply", "tree", &target, "--share", &other];
        assert_eq!(room.plain(&words).0, 0);
        assert!(fs::read(PathBuf::from(target).join("data")).unwrap() == noise(8, 400_000));
    }
    assert_eq!(room.plain(&["share", "stats", &whole]).0, 0);
    let (code, _, error) = room.plain(&["share", "gc", &whole]);
    assert!(code == 1 && error.contains("is a single file"), "{error}");
}

#[test]
fn names_that_would_mislead_are_refused_before_anything_is_read() {
    let room = Room::new();
    let source = room.text("source");
    for (name, why) in [
        ("", "expected 1 to"),
        (" a", "expected 1 to"),
        ("tree@1", "a version of an image"),
        ("0123abcd", "an image's id"),
    ] {
        room.refuses(2, &["capture", &source, "--name", name], why);
    }
    room.refuses(
        1,
        &["image", "tag", "tree", "tree@9"],
        "a version of an image",
    );
    room.says(&["image", "tag", "tree@1", "old"]);
    let first = room.says(&["image", "cat", "old", "motd"]);
    assert_eq!(first, "version 1\n");
    room.refuses(1, &["apply", "nosuch", &room.text("x")], "image list");
}

#[test]
fn work_on_a_folder_is_refused_for_a_server_at_once() {
    let room = Room::new();
    let there = "https://192.0.2.1/main";
    for command in ["init", "check", "repair", "gc", "optimize", "reindex"] {
        let (code, _, error) = room.plain(&["share", command, there]);
        assert!(
            code == 1 && error.contains("is on a server"),
            "{command}: {error}"
        );
    }
}

#[test]
fn a_disk_is_made_grown_agreed_to_and_proven() {
    let room = Room::new();
    let (disk, receipt) = (room.text("disk.img"), room.text("proof.json"));
    let apply = ["apply", "tree", disk.as_str(), "--format", "ext4"];
    room.refuses(
        2,
        &[&apply[..], &["--size", "40M", "--clean"]].concat(),
        "--clean",
    );
    room.says(&[&apply[..], &["--size", "40M", "--receipt", &receipt]].concat());
    assert!(fs::read_to_string(&receipt).unwrap().contains("proof"));
    let verify = ["verify", "tree", disk.as_str()];
    room.refuses(
        1,
        &[&apply[..], &["--yes-destroy", "another"]].concat(),
        "another",
    );
    room.says(&[&apply[..], &["--yes-destroy", &disk]].concat());
    room.refuses(
        2,
        &["apply", "tree", &room.text("source"), "--yes-destroy", "x"],
        "disks",
    );
    room.says(&verify);

    // What a file system of a quarter of a megabyte cannot hold is not begun.
    let tiny = room.text("tiny");
    fs::create_dir(&tiny).unwrap();
    let mount = ["-t", "tmpfs", "-o", "size=256k", "tmpfs", &tiny];
    let mounted = Command::new("mount").args(mount).status();
    if mounted.is_ok_and(|status| status.success()) {
        let words = [
            "apply",
            "tree",
            "tiny/disk.img",
            "--format",
            "ext4",
            "--size",
            "40M",
        ];
        let target = room.text(words[2]);
        let words = [&words[..2], &[&target], &words[3..]].concat();
        let output = room.beside.run(&words);
        let left = room.path("tiny/disk.img").exists();
        Command::new("umount").arg(&tiny).status().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("are free") && !left, "{error}");
    } else {
        println!("SKIPPED: this machine lets nobody mount");
    }

    let folder = room.text("folder");
    room.says(&["apply", "tree@1", &folder]);
    room.refuses(1, &["apply", "tree", &folder], "--clean");
    room.says(&["apply", "tree", &folder, "--reuse", "--clean"]);
    assert_eq!(fs::read(room.path("folder/motd")).unwrap(), b"version 2\n");
    fs::write(room.path("folder/motd"), "touched\n").unwrap();
    room.refuses(3, &["verify", "tree", &folder], "differ");
}

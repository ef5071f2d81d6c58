//! A share on a server, used as builders use it: through the program, over TLS.

#[path = "network/room.rs"]
mod room;
#[path = "network/wire.rs"]
mod wire;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use image_format::DirStore;
use image_format::upkeep::check::{CheckOptions, check_with};
use room::{Room, files, noise, text, wait_for};

/// A tree with files of all sizes, and its path.
fn tree(room: &Room) -> String {
    let tree = room.path("tree");
    for number in 0..40 {
        let length = usize::try_from(number * number * 40).unwrap();
        noise(&tree.join(format!("lib/f{number}.so")), number, length);
    }
    noise(&tree.join("large.bin"), 99, 9 << 20);
    fs::write(tree.join("motd"), "first\n").unwrap();
    std::os::unix::fs::symlink("motd", tree.join("link")).unwrap();
    tree.to_str().unwrap().to_owned()
}

fn is_whole(room: &Room) {
    let store = DirStore::open(&room.path("share")).unwrap();
    let options = CheckOptions { read_data: true };
    let report = check_with(&store, &options).unwrap();
    assert_eq!(report.findings, []);
}

#[test]
fn a_servers_share_does_what_a_folder_does() {
    let room = Room::new();
    room.log_in("anna", "lab-*");
    let tree = tree(&room);
    // What is newer than two seconds is read again the next time.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let captured = room.json(&["capture", &tree, "--name", "lab-1"]);
    assert_eq!(captured["sequence"], 1);
    fs::write(room.path("tree/motd"), "second\n").unwrap();
    let before = room.wire.sent();
    let again = room.json(&["capture", &tree, "--name", "lab-1"]);
    let sent = room.wire.sent() - before;
    assert_eq!(again["sequence"], 2);
    assert!(
        again["capture"]["unchanged"].as_u64().unwrap() >= 40,
        "{again}"
    );
    assert!(sent < 200_000, "{sent} bytes for one changed file");
    assert!(room.says(&["image", "list"]).contains("lab-1"));
    assert!(
        room.says(&["image", "ls", "lab-1", "/lib"])
            .contains("f39.so")
    );
    assert_eq!(room.says(&["image", "cat", "lab-1@1", "/motd"]), "first\n");
    assert_eq!(room.says(&["image", "cat", "lab-1", "/motd"]), "second\n");
    let output = room.remote(&["image", "diff", "lab-1@1", "lab-1"]).output();
    let diff = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(diff.contains("motd") && !diff.contains("f39"), "{diff}");
    let copy = room.path("copy");
    let target = copy.to_str().unwrap();
    room.says(&["apply", "lab-1", target]);
    for file in files(&room.path("tree")) {
        let own = copy.join(file.strip_prefix(room.path("tree")).unwrap());
        assert_eq!(fs::read(&own).unwrap(), fs::read(&file).unwrap(), "{own:?}");
    }
    room.says(&["verify", "lab-1", target]);
    fs::write(copy.join("motd"), "another\n").unwrap();
    let output = room.remote(&["verify", "lab-1", target]).output().unwrap();
    assert!(!output.status.success());
    let single = room.path("lab.mim");
    room.says(&["image", "export", "lab-1", "-o", single.to_str().unwrap()]);
    let words = ["image", "cat", "lab-1", "/motd", "--share"];
    let mut cat = room.command(&words);
    assert_eq!(text(&words, cat.arg(&single).output().unwrap()), "second\n");
    is_whole(&room);
}

#[test]
fn a_name_the_token_does_not_allow_is_refused_before_anything_is_sent() {
    let room = Room::new();
    room.log_in("anna", "lab-*");
    let tree = tree(&room);
    let before = room.wire.sent();
    let words = room.refuses(&["capture", &tree, "--name", "office"]);
    assert!(words.contains("does not allow"), "{words}");
    assert!(room.wire.sent() - before < 20_000);
}

#[test]
fn an_image_is_deleted_by_the_token_that_just_captured_it_and_by_no_other() {
    let mut room = Room::new();
    room.log_in("anna", "*");
    let tree = tree(&room);
    for name in ["one", "two"] {
        room.says(&["capture", &tree, "--name", name]);
    }
    room.says(&["image", "delete", "one@1"]);
    room.log_in("eve", "*");
    let words = room.refuses(&["image", "delete", "two@1"]);
    assert!(words.contains("only the operator"), "{words}");
    room.kill();
    room.start();
    let words = room.refuses(&["image", "delete", "two@1"]);
    assert!(words.contains("only the operator"), "{words}");
    let list = room.says(&["image", "list"]);
    assert!(list.contains("two") && !list.contains("one"), "{list}");
}

#[test]
fn a_capture_outlives_a_server_that_is_killed_and_started_again() {
    let mut room = Room::new();
    room.log_in("anna", "*");
    for number in 0..4 {
        noise(
            &room.path("tree").join(format!("f{number}")),
            number,
            50 << 20,
        );
    }
    let tree = room.path("tree").to_str().unwrap().to_owned();
    let mut capture = room.remote(&["capture", &tree, "--name", "x", "--json"]);
    capture.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut capture = capture.spawn().unwrap();
    let before = room.wire.sent();
    let wire = &room.wire;
    // In the middle of the second pack.
    wait_for("the second pack", || wire.sent() - before > 90 << 20);
    room.kill();
    let mut lines = BufReader::new(capture.stderr.take().unwrap()).lines();
    let waits = lines.find(|line| line.as_ref().unwrap().contains("nothing is lost"));
    assert!(waits.is_some(), "it ended instead of waiting");
    room.start();
    let back = lines.find(|line| line.as_ref().unwrap().contains("the server is back"));
    assert!(back.is_some());
    assert!(capture.wait().unwrap().success());
    let history = room.json(&["image", "list", "--all"]);
    assert_eq!(history.to_string().matches("\"sequence\":").count(), 1);
    let copy = room.path("copy");
    room.says(&["apply", "x", copy.to_str().unwrap()]);
    for number in 0..4 {
        let name = format!("f{number}");
        assert!(
            fs::read(copy.join(&name)).unwrap() == fs::read(room.path("tree").join(name)).unwrap()
        );
    }
    is_whole(&room);
    let store = DirStore::open(&room.path("share")).unwrap();
    let leases = image_format::Store::list_leases(&store).unwrap();
    assert!(leases.is_empty(), "its lease ended with it");
}

#[test]
fn an_interrupted_capture_sends_only_what_was_not_durable() {
    const PARTS: u64 = 8;
    const PART: u64 = 64 << 20;
    let room = Room::new();
    room.log_in("anna", "*");
    for number in 0..PARTS {
        let path = room.path("tree").join(format!("f{number}"));
        noise(&path, number, usize::try_from(PART).unwrap());
    }
    let tree = room.path("tree").to_str().unwrap().to_owned();
    let mut capture = room.remote(&["capture", &tree, "--name", "x"]);
    let mut capture = capture.stderr(Stdio::null()).spawn().unwrap();
    wait_for("a durable part of the index", || room.index_segments() > 0);
    capture.kill().unwrap();
    capture.wait().unwrap();
    let durable = room.packed();
    assert!(durable < PARTS * PART, "it was stopped in the middle");
    let before = room.wire.sent();
    let done = room.json(&["capture", &tree, "--name", "x"]);
    let sent = room.wire.sent() - before;
    assert_eq!(done["sequence"], 1);
    let new = done["capture"]["new"].as_u64().unwrap();
    assert!(new <= PARTS * PART / 2, "{new} bytes counted as new");
    assert!(
        sent < new + new / 8 + (1 << 20),
        "{sent} bytes sent for {new}"
    );
    is_whole(&room);
}

#[test]
fn a_disk_is_captured_again_without_sending_what_did_not_change() {
    let room = Room::new();
    room.log_in("anna", "*");
    let tree = tree(&room);
    room.says(&["capture", &tree, "--name", "tree"]);
    let disk = room.path("pc.img").to_str().unwrap().to_owned();
    let make = ["apply", "tree", &disk, "--size", "200M", "--format", "ext4"];
    room.says(&make);
    room.json(&["capture", &disk, "--name", "pc"]);
    let (packed, before) = (room.packed(), room.wire.sent());
    let again = room.json(&["capture", &disk, "--name", "pc"]);
    let sent = room.wire.sent() - before;
    assert_eq!(again["sequence"], 2);
    assert!(
        sent < 100_000,
        "{sent} bytes for a disk that did not change"
    );
    assert!(room.packed() < packed + 20_000);
    room.says(&["verify", "pc", &disk]);
    is_whole(&room);
}

#[test]
fn the_index_is_fetched_once_and_again_when_the_copy_is_damaged() {
    let room = Room::new();
    room.log_in("anna", "*");
    let tree = tree(&room);
    room.says(&["capture", &tree, "--name", "x"]);
    let kept = room.path("cache/mimeo/index");
    assert!(!kept.exists(), "a capture asks instead");
    room.says(&["image", "list"]);
    let segments = files(&kept);
    assert_eq!(segments.len(), room.index_segments());
    let whole = fs::read(&segments[0]).unwrap();
    fs::write(&segments[0], &whole[1..]).unwrap();
    room.says(&["image", "cat", "x", "/motd"]);
    assert_eq!(fs::read(&segments[0]).unwrap(), whole);
}

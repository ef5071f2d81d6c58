//! A real Debian system as a directory: out of its disk, into an image, out of
//! that again. GNU tar, which knows nothing of images, is the judge. Needs root.

use std::fs;
use std::path::Path;

use lab::{command, programs, reference, setup};

/// A hash over names, kinds, modes, owners, times to the nanosecond, links,
/// devices, attributes, access lists and contents.
const TAR: &str = "tar --create --sort=name --numeric-owner --acls --xattrs --xattrs-include='*' \
     --format=posix --pax-option=exthdr.name=%d/%f,delete=atime,delete=ctime \
     --exclude=./lost+found --directory";

fn tar(folder: &Path) -> String {
    let all = format!("{TAR} {} . | sha256sum", folder.display());
    command::sh(&["bash", "-e", "-o", "pipefail", "-c", &all]).unwrap()
}

/// The same of the root partition of a disk, as the kernel mounts it.
fn tar_of_disk(disk: &Path, at: &Path) -> String {
    let (start, size) = reference::root_partition();
    let options = format!("ro,noload,loop,offset={start},sizelimit={size}");
    let all = format!(
        "mount -t ext4 -o {options} {} {at} && {TAR} {at} . | sha256sum",
        disk.display(),
        at = at.display()
    );
    let apart = ["unshare", "--mount", "--propagation", "private"];
    let shell = ["bash", "-e", "-o", "pipefail", "-c", &all];
    command::sh(&[&apart[..], &shell].concat()).unwrap()
}

#[test]
fn a_debian_system_comes_back_from_a_directory_as_tar_sees_it() {
    setup::prepare().unwrap();
    let programs = programs::find().unwrap();
    let disk = reference::disk(&programs.target.join("lab")).unwrap();
    let folder = programs.target.join("lab/test/trees");
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    let [first, second, at] = ["first", "second", "mnt"].map(|name| folder.join(name));
    fs::create_dir_all(&at).unwrap();
    let share = folder.join("share");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let mimeo = |words: &[&str]| {
        let program = text(&programs.mimeo);
        command::sh(&[&[program.as_str()], words].concat()).unwrap()
    };
    let (share, first_text, second_text) = (text(&share), text(&first), text(&second));
    let of_share = |words: &[&str]| mimeo(&[words, &["--share", &share]].concat());
    mimeo(&["share", "init", &share]);
    of_share(&["capture", &text(&disk), "--name", "disk"]);
    of_share(&["apply", "disk", &first_text, "--partition", "4"]);
    let expected = tar_of_disk(&disk, &at);
    assert_eq!(tar(&first), expected, "out of the disk's image");

    let source = ["capture", &first_text, "--name", "tree"];
    of_share(&[&source[..], &["--no-default-excludes"]].concat());
    of_share(&["apply", "tree", &second_text]);
    assert_eq!(tar(&second), expected, "out of the directory's image");
    fs::remove_dir_all(&folder).unwrap();
}

//! Who uses a block device: mounts, swap, and devices stacked on it.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the kernel tells about itself; another place only in tests.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    root: PathBuf,
}

impl Default for Kernel {
    fn default() -> Self {
        Self {
            root: PathBuf::from("/"),
        }
    }
}

impl Kernel {
    #[cfg(test)]
    pub(super) fn under(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A one-line file without its newline; `None` when it is not there or empty.
    pub(super) fn line(&self, path: &Path) -> Option<String> {
        let text = fs::read(path).ok()?;
        let text = String::from_utf8_lossy(&text)
            .trim_matches(['\0', '\n', ' ', '\t'])
            .to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Names in a folder, sorted; none when it is not there.
    pub(super) fn names(&self, folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Everybody who uses the device `name` (`sda`, `sda1`) or a part of it, in
    /// sentences: `sda1 is mounted at /boot`.
    pub(super) fn users(&self, name: &str) -> Vec<String> {
        let mut users = Vec::new();
        let mounts = fs::read(self.path("proc/self/mountinfo")).unwrap_or_default();
        let mounts = String::from_utf8_lossy(&mounts).into_owned();
        let swaps = fs::read(self.path("proc/swaps")).unwrap_or_default();
        let swaps = String::from_utf8_lossy(&swaps).into_owned();
        for (part, folder) in self.parts(name) {
            let number = self.line(&folder.join("dev"));
            let at = mount_points(&mounts, number.as_deref(), &part);
            users.extend(
                at.into_iter()
                    .map(|at| format!("{part} is mounted at {at}")),
            );
            if is_swap(&swaps, &part) {
                users.push(format!("{part} is used as swap"));
            }
            // The kernel names no holder for a loop device over a device.
            users.extend(self.loops_over(&Path::new("/dev").join(&part)));
            for holder in self.names(&folder.join("holders")) {
                let known = self.line(&self.path("sys/class/block").join(&holder).join("dm/name"));
                let known = known.map(|name| format!(" ({name})")).unwrap_or_default();
                users.push(format!("{part} is held by {holder}{known}"));
            }
        }
        users
    }

    /// The name of the device with this number (`8:1`).
    pub(super) fn device(&self, number: &str) -> Option<String> {
        last_name(&self.path("sys/dev/block").join(number))
    }

    /// The disk that a partition belongs to.
    pub(super) fn whole(&self, partition: &str) -> Option<String> {
        let folder = fs::canonicalize(self.path("sys/class/block").join(partition)).ok()?;
        last_name(folder.parent()?)
    }

    /// The names of a device and its partitions.
    pub(super) fn parts_of(&self, name: &str) -> Vec<String> {
        self.parts(name).into_iter().map(|(part, _)| part).collect()
    }

    /// Everything the device with this number lies on, itself first: the disks
    /// below mapped devices and RAID, and the disk of each partition.
    pub(super) fn below(&self, number: &str) -> Vec<String> {
        let mut all: Vec<String> = self.device(number).into_iter().collect();
        let mut next = 0;
        while let Some(name) = all.get(next).cloned() {
            next += 1;
            let folder = self.path("sys/class/block").join(&name);
            let mut under = self.names(&folder.join("slaves"));
            if folder.join("partition").exists() {
                under.extend(self.whole(&name));
            }
            under.retain(|name| !all.contains(name));
            all.append(&mut under);
        }
        all
    }

    /// Loop devices over a file, in sentences.
    pub(super) fn loops_over(&self, file: &Path) -> Vec<String> {
        let block = self.path("sys/block");
        let names = self.names(&block).into_iter();
        let over = |name: &String| {
            let backing = self.line(&block.join(name).join("loop/backing_file"));
            backing.is_some_and(|backing| Path::new(&backing) == file)
        };
        names
            .filter(over)
            .map(|name| format!("{} is attached to {name}", file.display()))
            .collect()
    }

    /// The device itself and its partitions, each with its folder in `/sys`.
    fn parts(&self, name: &str) -> Vec<(String, PathBuf)> {
        let folder = self.path("sys/class/block").join(name);
        let inner = self
            .names(&folder)
            .into_iter()
            .map(|part| (part.clone(), folder.join(part)));
        let partitions = inner.filter(|(_, folder)| folder.join("partition").exists());
        std::iter::once((name.to_owned(), folder.clone()))
            .chain(partitions)
            .collect()
    }
}

/// The last name of a path behind all links.
fn last_name(path: &Path) -> Option<String> {
    let whole = fs::canonicalize(path).ok()?;
    Some(whole.file_name()?.to_string_lossy().into_owned())
}

/// Mount points of a device in `mountinfo` (proc(5)): by its number, or by its
/// name where the file system has a number of its own, as btrfs has.
fn mount_points(mountinfo: &str, number: Option<&str>, name: &str) -> Vec<String> {
    let device = format!("/dev/{name}");
    let point = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let source = fields
            .iter()
            .position(|&field| field == "-")
            .and_then(|dash| fields.get(dash + 2));
        let is_it = fields.get(2).copied() == number && number.is_some();
        let point = fields
            .get(4)
            .filter(|_| is_it || source == Some(&device.as_str()))?;
        Some(point.replace("\\040", " "))
    };
    mountinfo.lines().filter_map(point).collect()
}

fn is_swap(swaps: &str, name: &str) -> bool {
    let device = format!("/dev/{name}");
    swaps
        .lines()
        .any(|line| line.split_whitespace().next() == Some(&device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_of_a_disk_and_its_partitions_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let block = "sys/class/block";
        put(&format!("{block}/sda/dev"), "8:0\n");
        for number in 1..=4 {
            put(
                &format!("{block}/sda/sda{number}/dev"),
                &format!("8:{number}\n"),
            );
            put(
                &format!("{block}/sda/sda{number}/partition"),
                &format!("{number}\n"),
            );
        }
        put(&format!("{block}/sda/sda3/holders/dm-0"), "");
        put("sys/block/loop7/loop/backing_file", "/dev/sda3\n");
        put(&format!("{block}/dm-0/dm/name"), "vault\n");
        put(&format!("{block}/sdb/dev"), "8:16\n");
        put(
            "proc/self/mountinfo",
            "36 35 8:1 / /mnt/my\\040disk rw,noatime master:1 - ext4 /dev/root rw\n\
             37 35 0:44 / /data rw - btrfs /dev/sda4 rw\n\
             38 35 0:5 / /proc rw - proc proc rw\nnonsense\n",
        );
        put(
            "proc/swaps",
            "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n",
        );
        let kernel = Kernel::under(folder.path());
        let expected = [
            "sda1 is mounted at /mnt/my disk",
            "sda2 is used as swap",
            "/dev/sda3 is attached to loop7",
            "sda3 is held by dm-0 (vault)",
            "sda4 is mounted at /data",
        ];
        assert_eq!(kernel.users("sda"), expected);
        assert!(kernel.users("sdb").is_empty());
        assert!(kernel.users("nothing").is_empty());
    }
}

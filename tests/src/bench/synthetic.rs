//! Trees that no package has: always the same bytes.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::{command, run};
use crate::disk::{MIB, blank};

/// The file in the machine and sparse trees.
const DISK: &str = "disk.img";
const MACHINE_SIZE: u64 = 2048 * MIB;
const BLOCK: u64 = 4096;
/// Of a hundred blocks one is rewritten.
const EDITED_SHARE: u64 = 100;
const SPARSE_SIZE: u64 = 50_000_000_000;

/// Makes the tree at `path` unless it is there; half of one never is.
///
/// # Errors
/// What `make` says.
pub fn once(path: PathBuf, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    if path.exists() {
        return Ok(path);
    }
    println!("making {}", path.display());
    let unfinished = path.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).context("clearing an unfinished tree")?;
    }
    fs::create_dir_all(&unfinished)?;
    make(&unfinished).with_context(|| format!("making {}", path.display()))?;
    fs::rename(&unfinished, &path).context("keeping the tree")?;
    Ok(path)
}

/// A disk of 2 GiB with the system tree in an ext4.
///
/// # Errors
/// When the disk cannot be written.
pub fn machine(folder: &Path, system: &Path) -> Result<()> {
    let disk = blank(&folder.join(DISK), MACHINE_SIZE)?;
    let words = "mke2fs -q -F -t ext4 -U 6d696d65-6f00-4000-8000-0000000000b0 -E hash_seed=6d696d65-6f00-4000-8000-0000000000b1 -d";
    let words: Vec<&str> = words.split(' ').collect();
    run(command(&words).arg(system).arg(disk))?;
    Ok(())
}

/// The disk of `machine` with scattered blocks of new bytes, which nothing
/// compresses: what is stored is then at least what was edited.
///
/// # Errors
/// When the disk cannot be copied.
pub fn edited(folder: &Path, machine: &Path) -> Result<()> {
    let disk = folder.join(DISK);
    run(command(&["cp", "--sparse=always"])
        .arg(machine.join(DISK))
        .arg(&disk))?;
    let disk = File::options().write(true).open(disk)?;
    let mut random = Random(0x6d69_6d65_6f01);
    let blocks = MACHINE_SIZE / BLOCK;
    for _ in 0..blocks / EDITED_SHARE {
        let place = random.next() % blocks * BLOCK;
        let block: Vec<u8> = (0..BLOCK / 8)
            .flat_map(|_| random.next().to_le_bytes())
            .collect();
        disk.write_all_at(&block, place)?;
    }
    Ok(())
}

/// A thousand folders of a thousand files of 1 KiB, no two alike.
///
/// # Errors
/// When a file cannot be written.
pub fn million(folder: &Path) -> Result<()> {
    let mut random = Random(0x6d69_6d65_6f02);
    for outer in 0..1000 {
        let inside = folder.join(format!("{outer:03}"));
        fs::create_dir(&inside)?;
        for inner in 0..1000 {
            let text: String = (0..64).map(|_| format!("{:016x}", random.next())).collect();
            fs::write(inside.join(format!("{inner:03}.txt")), text)?;
        }
    }
    Ok(())
}

/// One file of 50 GB with 64 pieces of 1 MiB in it.
///
/// # Errors
/// When the file cannot be written.
pub fn sparse(folder: &Path) -> Result<()> {
    const PIECES: u64 = 64;
    let disk = File::create(folder.join(DISK))?;
    disk.set_len(SPARSE_SIZE)?;
    let mut random = Random(0x6d69_6d65_6f03);
    for piece in 0..PIECES {
        let bytes: Vec<u8> = (0..MIB / 8)
            .flat_map(|_| random.next().to_le_bytes())
            .collect();
        disk.write_all_at(&bytes, SPARSE_SIZE / PIECES * piece)?;
    }
    Ok(())
}

/// Numbers that look random and are the same each time: xorshift64* (Vigna,
/// "An experimental exploration of Marsaglia's xorshift generators").
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[cfg(test)]
mod tests {
    use super::once;

    #[test]
    fn a_tree_whose_making_failed_is_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tree");
        assert!(once(path.clone(), |_| anyhow::bail!("no space")).is_err());
        assert!(!path.exists());
        let made = once(path.clone(), |new| {
            assert_eq!(new.read_dir()?.count(), 0);
            Ok(std::fs::write(new.join("file"), "whole")?)
        });
        assert_eq!(made.expect("it is made"), path);
        assert!(path.join("file").exists());
    }
}

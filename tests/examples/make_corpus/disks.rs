//! Tables and volumes as the usual tools make them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use image_format::layout::{DiskLayout, Scheme};
use imager::disk::{Disk, MemoryDisk};
use imager::scratch::{self, Marker};
use imager::table;
use lab::fuzz::sparse;

use crate::Corpus;

const UUID: &str = "77777777-0000-4000-8000-000000000001";

pub(crate) fn make(corpus: &Corpus, work: &Path) -> Result<()> {
    ext4(corpus, work)?;
    fat(corpus, work)?;
    tables(corpus, work)?;
    let swap = disk(work, "swap", 1 << 20)?;
    run("mkswap", &["-q", "-L", "swap", "-U", UUID], &swap)?;
    let input = sparse::encode(&fs::read(&swap)?);
    corpus.put("swap", "mkswap", &input)?;
    corpus.put("volume", "swap", &input)?;
    marker(corpus)
}

/// A file of zeros.
fn disk(work: &Path, name: &str, size: u64) -> Result<PathBuf> {
    let path = work.join(name);
    let file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
    file.set_len(size)?;
    Ok(path)
}

/// Runs a tool with its arguments and the disk as the last one.
fn run(tool: &str, arguments: &[&str], disk: &Path) -> Result<()> {
    let mut command = Command::new(tool);
    command.args(arguments).arg(disk);
    // e2fsprogs and mtools write the time of day otherwise.
    command
        .env("E2FSPROGS_FAKE_TIME", "1700000000")
        .env("SOURCE_DATE_EPOCH", "1700000000");
    command.env("MTOOLS_SKIP_CHECK", "1");
    let output = command
        .output()
        .with_context(|| format!("running {tool}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{tool} {arguments:?}: {text}");
    Ok(())
}

/// What lies in the volumes.
fn source(work: &Path) -> Result<PathBuf> {
    let source = work.join("source");
    fs::create_dir_all(source.join("folder/inner"))?;
    fs::write(source.join("a long name of a file"), b"words")?;
    fs::write(
        source.join("folder/larger.txt"),
        b"0123456789abcdef".repeat(300),
    )?;
    for number in 0..12 {
        fs::write(
            source.join(format!("folder/inner/file number {number}")),
            [number],
        )?;
    }
    Ok(source)
}

fn ext4(corpus: &Corpus, work: &Path) -> Result<()> {
    let source = source(work)?;
    std::os::unix::fs::symlink("folder/larger.txt", source.join("link"))?;
    std::os::unix::fs::symlink("x".repeat(100), source.join("slow link"))?;
    fs::hard_link(
        source.join("a long name of a file"),
        source.join("second name"),
    )?;
    let source = source.to_str().context("the folder's path is text")?;
    let seed = format!("hash_seed={UUID}");
    for (name, features) in [
        ("plain", "^metadata_csum,^has_journal,^resize_inode"),
        ("checksums", "metadata_csum,^has_journal,^resize_inode"),
        (
            "block-maps",
            "^extents,^64bit,^metadata_csum,^has_journal,^resize_inode",
        ),
        (
            "inline-data",
            "inline_data,^metadata_csum,^has_journal,^resize_inode",
        ),
    ] {
        let path = disk(work, name, 256 << 10)?;
        let arguments = [
            "-q", "-F", "-t", "ext4", "-b", "1024", "-N", "32", "-U", UUID, "-E", &seed, "-O",
            features, "-d", source,
        ];
        run("mke2fs", &arguments, &path)?;
        let input = sparse::encode(&fs::read(&path)?);
        corpus.put("ext4", name, &input)?;
        if name == "plain" {
            corpus.put("volume", "ext4", &input)?;
        }
    }
    fs::remove_file(work.join("source/link"))?;
    fs::remove_file(work.join("source/slow link"))?;
    Ok(())
}

fn fat(corpus: &Corpus, work: &Path) -> Result<()> {
    let source = source(work)?;
    for (bits, size) in [("12", 128 << 10), ("16", 4 << 20), ("32", 40 << 20)] {
        let path = disk(work, bits, size)?;
        let arguments = [
            "-F",
            bits,
            "-s",
            "1",
            "-f",
            "1",
            "-i",
            "12345678",
            "-n",
            "ESP",
            "--invariant",
        ];
        run("mkfs.fat", &arguments, &path)?;
        let image = path.to_str().context("the disk's path is text")?;
        for name in ["a long name of a file", "folder"] {
            let from = source.join(name);
            let from = from.to_str().context("the file's path is text")?;
            let arguments = ["-s", "-m", "-i", image, from];
            run("mcopy", &arguments, Path::new("::"))?;
        }
        let input = sparse::encode(&fs::read(&path)?);
        corpus.put("fat", &format!("fat{bits}"), &input)?;
        if bits == "12" {
            corpus.put("volume", "fat", &input)?;
        }
    }
    Ok(())
}

fn tables(corpus: &Corpus, work: &Path) -> Result<()> {
    let path = disk(work, "gpt", 8 << 20)?;
    let arguments = [
        "-U",
        UUID,
        "-n",
        "1:2048:+1M",
        "-t",
        "1:ef00",
        "-c",
        "1:ESP",
        "-u",
        "1:R",
        "-n",
        "2:0:0",
        "-A",
        "1:set:2",
    ];
    run("sgdisk", &arguments, &path)?;
    let bytes = fs::read(&path)?;
    corpus.put("table", "gpt", &sparse::encode(&bytes))?;
    let gpt = table::read(&MemoryDisk::from_bytes(&bytes, 512))?.context("sgdisk made a table")?;
    for (name, scheme, sector_size) in [
        ("gpt-4096", gpt.scheme, 4096),
        (
            "mbr",
            Scheme::Mbr {
                signature: 0x1234_5678,
            },
            512,
        ),
    ] {
        let mut layout = DiskLayout {
            scheme,
            sector_size,
            boot_code: vec![0xfa; 440],
            ..gpt.clone()
        };
        for partition in &mut layout.partitions {
            partition.size = 1 << 20;
            if let Scheme::Mbr { .. } = scheme {
                partition.type_guid = [0; 16];
                partition.type_guid[0] = 0x83;
                partition.guid = [0; 16];
                partition.name.clear();
            }
        }
        let writes = table::encode(&layout, 8 << 20, sector_size)?;
        let disk = MemoryDisk::new(8 << 20, sector_size);
        for write in writes
            .primary
            .iter()
            .chain(&writes.backup)
            .chain([&writes.mbr])
        {
            disk.write_at(write.offset, &write.bytes)?;
        }
        corpus.put("table", name, &sparse::encode(&disk.to_bytes()?))?;
    }
    Ok(())
}

fn marker(corpus: &Corpus) -> Result<()> {
    let size = 8 << 20;
    let disk = MemoryDisk::new(size, 512);
    let marker = Marker {
        plan: [7; 32],
        run: "run-12".to_owned(),
        phase: 3,
    };
    scratch::write(&disk, &marker)?;
    let mut bytes = vec![0; 256];
    disk.read_at(
        scratch::reserved_from(size, 512).context("there is room")?,
        &mut bytes,
    )?;
    corpus.put("scratch", "marker", &bytes)
}

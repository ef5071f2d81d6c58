//! Boot files: archives, packages, programs, modules, records.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use winpe_assets::linux::cpio;
use winpe_assets::linux::record::PackageRecord;
use winpe_assets::{BootConfig, BootRecord, Hex32, Module, Modules, Node, Pin, Stage, Tree};

use crate::Corpus;

pub(crate) fn make(corpus: &Corpus, work: &Path) -> Result<()> {
    corpus.put("cpio", "initramfs", &cpio::write(&tree()?)?)?;
    packages(corpus, work)?;
    compressed(corpus)?;
    programs(corpus)?;
    corpus.put("modules", "table", &modules().encode())?;
    records(corpus)
}

fn tree() -> Result<Tree> {
    let mut tree = Tree::new();
    tree.file("init", 0o755, b"program".to_vec())?;
    tree.file("etc/mimeo/boot.json", 0o644, b"{}".to_vec())?;
    let target = "lib".to_owned();
    tree.put("lib64", Node::Link { target })?;
    let (mode, major, minor) = (0o600, 5, 1);
    tree.put("dev/console", Node::Device { mode, major, minor })?;
    Ok(tree)
}

fn packages(corpus: &Corpus, work: &Path) -> Result<()> {
    let folder = work.join("package");
    fs::create_dir_all(folder.join("DEBIAN"))?;
    fs::create_dir_all(folder.join("usr/lib/modules"))?;
    let control = "Package: sample\nVersion: 1.0-1\nArchitecture: amd64\nDepends: one,\n two\n\
                   Maintainer: nobody <nobody@example.org>\nDescription: a sample\n";
    fs::write(folder.join("DEBIAN/control"), control)?;
    fs::write(folder.join("usr/lib/modules/a.ko"), b"module".repeat(50))?;
    let link = folder.join("usr/lib/modules/b.ko");
    if !link.is_symlink() {
        std::os::unix::fs::symlink("a.ko", link)?;
    }
    for method in ["none", "xz", "zstd"] {
        let file = work.join(format!("{method}.deb"));
        let mut build = Command::new("dpkg-deb");
        build.env("SOURCE_DATE_EPOCH", "1700000000");
        build.args([
            "--root-owner-group",
            "--uniform-compression",
            "-Z",
            method,
            "-b",
        ]);
        let output = build
            .arg(&folder)
            .arg(&file)
            .output()
            .context("running dpkg-deb")?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "dpkg-deb: {text}");
        corpus.put("package", method, &fs::read(&file)?)?;
    }
    Ok(())
}

fn compressed(corpus: &Corpus) -> Result<()> {
    let plain = b"the quick brown fox ".repeat(200);
    corpus.put("expand", "zstd", &zstd::bulk::compress(&plain, 19)?)?;
    corpus.put("expand", "plain", &plain[..60])?;
    let mut xz = Command::new("xz");
    xz.arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = xz.spawn().context("running xz")?;
    let mut input = child.stdin.take().context("xz takes input")?;
    std::io::Write::write_all(&mut input, &plain)?;
    drop(input);
    corpus.put("expand", "xz", &child.wait_with_output()?.stdout)
}

/// An ELF file with one section and, if it is a program, one segment.
fn elf(name: &str, content: &[u8], kind: u32) -> Vec<u8> {
    const HEADER: usize = 0x40;
    let mut file = vec![0; HEADER];
    file[..6].copy_from_slice(b"\x7fELF\x02\x01");
    file[0x12] = 62;
    let names = format!("\0{name}\0");
    let names_at = HEADER + content.len();
    file.extend_from_slice(content);
    file.extend_from_slice(names.as_bytes());
    let table = file.len() as u64;
    for (name, at, length) in [(1_u32, HEADER, content.len()), (0, names_at, names.len())] {
        let mut header = [0; 0x40];
        header[..4].copy_from_slice(&name.to_le_bytes());
        header[0x18..0x20].copy_from_slice(&(at as u64).to_le_bytes());
        header[0x20..0x28].copy_from_slice(&(length as u64).to_le_bytes());
        file.extend_from_slice(&header);
    }
    let segments = file.len() as u64;
    let mut segment = [0; 0x38];
    segment[..4].copy_from_slice(&kind.to_le_bytes());
    file.extend_from_slice(&segment);
    file[0x20..0x28].copy_from_slice(&segments.to_le_bytes());
    file[0x28..0x30].copy_from_slice(&table.to_le_bytes());
    // Segment size and count, section size and count, section of the names.
    for (at, value) in [
        (0x36, 0x38_u16),
        (0x38, 1),
        (0x3a, 0x40),
        (0x3c, 2),
        (0x3e, 1),
    ] {
        file[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    file
}

fn programs(corpus: &Corpus) -> Result<()> {
    corpus.put("elf", "static", &elf(".text", &[0x90; 16], 1))?;
    corpus.put("elf", "dynamic", &elf(".text", b"/lib64/ld.so\0", 3))?;
    let words = b"license=GPL\0alias=pci:v000010ECd00008168sv*\0depends=libphy,mdio-devres\0\
                  softdep=pre: realtek post: z\0firmware=rtl/a.fw\0";
    let mut module = elf(".modinfo", words, 1);
    module.extend_from_slice(b"~Module signature appended~\n");
    corpus.put("modinfo", "driver", &module)?;
    corpus.put("elf", "driver", &module)?;

    let mut program = vec![0; 0x300];
    program[..2].copy_from_slice(b"MZ");
    program[0x3c] = 0x40;
    program[0x40..0x44].copy_from_slice(b"PE\0\0");
    program[0x58..0x5a].copy_from_slice(&0x20b_u16.to_le_bytes());
    program[0x58 + 108] = 16;
    program[0xe8..0xec].copy_from_slice(&0x300_u32.to_le_bytes());
    program[0xec] = 16;
    program[0x202..0x206].copy_from_slice(b"HdrS");
    program[0x20e] = 0x40;
    program[0x240..0x24d].copy_from_slice(b"6.12.1-amd64 ");
    program.extend([16, 0, 0, 0, 0, 2, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    corpus.put("signed_program", "kernel", &program)
}

fn modules() -> Modules {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let module = |name: &str, depends: &[&str], before: &[&str], aliases: &[&str]| Module {
        name: name.to_owned(),
        path: format!("lib/modules/6/{name}.ko"),
        stage: Stage::First,
        depends: owned(depends),
        before: owned(before),
        after: Vec::new(),
        aliases: owned(aliases),
        firmware: Vec::new(),
    };
    let all = vec![
        module("mdio", &["built"], &[], &[]),
        module("phy", &["mdio"], &[], &[]),
        module("realtek", &["phy"], &[], &["mdio:[0-9]?*"]),
        module(
            "r8169",
            &["phy"],
            &["realtek"],
            &["pci:v000010ECd00008168sv*sd*bc*sc*i*"],
        ),
        module("loop_a", &["loop_b"], &[], &[]),
        module("loop_b", &["loop_a"], &[], &[]),
    ];
    Modules::new("6.12".to_owned(), all, ["built".to_owned()].into())
}

fn records(corpus: &Corpus) -> Result<()> {
    let server = "192.0.2.1:8443".parse()?;
    let (key, pin) = (Hex32([7; 32]), Pin::of(b"stage"));
    let config = BootConfig::new(server, key, "6.12".to_owned(), pin);
    corpus.put("boot_config", "config", &config.encode()?)?;
    let record = BootRecord {
        format: BootRecord::FORMAT,
        built_by: "0.1.0".to_owned(),
        kernel: "6.12".to_owned(),
        server,
        server_key: key,
        agent: pin,
        files: BTreeMap::from([("vmlinuz".to_owned(), pin)]),
        packages: vec![PackageRecord {
            name: "shim-signed".to_owned(),
            version: "1.47".to_owned(),
            sha256: "00".repeat(32),
        }],
        first_stage: vec!["r8169".to_owned()],
        second_stage: Vec::new(),
        absent: Vec::new(),
        firmware_missing: vec!["rtl/a.fw".to_owned()],
    };
    corpus.put("boot_record", "record", &record.encode()?)
}

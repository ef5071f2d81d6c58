//! The reference system: a real Debian on a real disk, made from packages.
//!
//! GPT with a BIOS boot partition, an ESP with the distribution's signed shim
//! and GRUB, swap, and an ext4 root with systemd, a user and a service. It
//! starts on BIOS, UEFI and UEFI with Secure Boot.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::command::{command, run, sh};
use crate::disk::MIB;

/// Size of the reference disk.
pub const DISK_SIZE: u64 = 3072 * MIB;
/// The name the reference system calls itself.
pub const HOSTNAME: &str = "reference";

const ROOT_UUID: &str = "6d696d65-6f00-4000-8000-000000000001";
const SWAP_UUID: &str = "6d696d65-6f00-4000-8000-000000000002";
const ESP_SERIAL: &str = "6d6d6501";

/// Number, first MiB, length in MiB, sgdisk type, name. The root is last and
/// takes the rest, less what the backup table needs.
const PARTITIONS: [(u32, u64, u64, &str, &str); 4] = [
    (1, 1, 1, "ef02", "bios"),
    (2, 2, 64, "ef00", "EFI system"),
    (3, 66, 64, "8200", "swap"),
    (4, 130, 2941, "8304", "root"),
];

const BUILDS: &str = "systemd-sysv,udev,dbus,cron,iproute2,initramfs-tools,linux-image-amd64,\
grub-efi-amd64-signed,shim-signed,grub-pc-bin,grub-common";

/// First byte and length of the root partition.
pub fn root_partition() -> (u64, u64) {
    let [.., (_, start, length, _, _)] = PARTITIONS;
    (start * MIB, length * MIB)
}

/// The reference disk in `cache`, made on first use (two minutes or so).
///
/// # Errors
/// The command that failed and what it said.
pub fn disk(cache: &Path) -> Result<PathBuf> {
    let finished = cache.join("reference.img");
    if finished.exists() {
        return Ok(finished);
    }
    std::fs::create_dir_all(cache).with_context(|| format!("making {}", cache.display()))?;
    let work = cache.join("reference.work");
    if work.exists() {
        std::fs::remove_dir_all(&work).context("clearing an unfinished reference system")?;
    }
    std::fs::create_dir_all(&work)?;
    let root = work.join("root");
    install(&root)?;
    let image = work.join("reference.img");
    compose(&root, &work, &image)?;
    std::fs::rename(&image, &finished).context("keeping the reference disk")?;
    std::fs::remove_dir_all(&work).context("clearing up behind the reference system")?;
    Ok(finished)
}

/// Installs Debian 12 into `root` and makes it a system a technician would know.
fn install(root: &Path) -> Result<()> {
    let site = sh(&[
        "apt-get",
        "indextargets",
        "--format",
        "$(SITE)",
        "Created-By: Packages",
    ])?;
    let site = site
        .lines()
        .next()
        .context("apt knows no package source")?
        .to_owned();
    let mut make = command(&["mmdebstrap", "--variant=minbase", "--format=directory"]);
    make.arg(format!("--include={BUILDS}"));
    make.arg("--aptopt=Acquire::Languages \"none\"");
    make.args([
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
    ]);
    make.arg("--dpkgopt=path-exclude=/usr/share/locale/*");
    make.arg(format!("--customize-hook={}", customise()));
    run(make.arg("bookworm").arg(root).arg(site)).context("installing the reference system")?;
    Ok(())
}

/// Shell lines run with `$1` as the new root.
fn customise() -> String {
    let files = [
        ("etc/hostname", format!("{HOSTNAME}\n")),
        ("etc/hosts", format!("127.0.0.1 localhost\n127.0.1.1 {HOSTNAME}\n")),
        (
            "etc/fstab",
            format!(
                "UUID={ROOT_UUID} / ext4 defaults,errors=remount-ro 0 1\nUUID={SWAP_UUID} none swap sw 0 0\n"
            ),
        ),
        (
            "etc/systemd/network/wired.network",
            "[Match]\nType=ether\n\n[Network]\nDHCP=ipv4\n".to_owned(),
        ),
        (
            "etc/systemd/system/lesson.service",
            "[Unit]\nDescription=The service of the reference system\n\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'uname -a > /run/lesson'\n\n[Install]\nWantedBy=multi-user.target\n"
                .to_owned(),
        ),
        ("boot/grub/grub.cfg", grub_menu()),
    ];
    let mut script = String::from("set -e\n");
    for (path, text) in files {
        script +=
            &format!("mkdir -p \"$1/$(dirname {path})\"\ncat > \"$1/{path}\" <<'END'\n{text}END\n");
    }
    script += "chroot \"$1\" useradd --create-home --shell /bin/bash teacher\n";
    script += "echo teacher:mimeo | chroot \"$1\" chpasswd\n";
    script += "chroot \"$1\" systemctl enable systemd-networkd lesson.service\n";
    script += "rm -f \"$1/etc/machine-id\" && : > \"$1/etc/machine-id\"\n";
    script
}

fn grub_menu() -> String {
    format!(
        "set timeout=0\nsearch --no-floppy --fs-uuid --set=root {ROOT_UUID}\nmenuentry 'Debian' {{\n  linux /vmlinuz root=UUID={ROOT_UUID} ro console=tty0 console=ttyS0,115200 quiet\n  initrd /initrd.img\n}}\n"
    )
}

/// Lays the system out on a disk image.
fn compose(root: &Path, work: &Path, image: &Path) -> Result<()> {
    crate::disk::blank(image, DISK_SIZE)?;
    let mut table = command(&["sgdisk", "--disk-guid=6d696d65-6f00-4000-8000-0000000000ff"]);
    for (number, start, length, kind, name) in PARTITIONS {
        table.arg(format!("--new={number}:{start}M:+{length}M"));
        table.arg(format!("--typecode={number}:{kind}"));
        table.arg(format!("--change-name={number}:{name}"));
        table.arg(format!(
            "--partition-guid={number}:6d696d65-6f00-4000-8000-0000000000a{number}"
        ));
    }
    run(table.arg(image)).context("writing the partition table")?;
    let place = |number: u32| {
        let (_, start, length, _, _) = PARTITIONS[usize::try_from(number).unwrap_or(1) - 1];
        (start * MIB, length * MIB)
    };
    write_root(root, image, place(4))?;
    write_swap(work, image, place(3))?;
    write_esp(root, work, image, place(2))?;
    write_bios_boot(root, work, image, place(1).0)
}

fn write_root(root: &Path, image: &Path, (start, length): (u64, u64)) -> Result<()> {
    let mut make = command(&[
        "mke2fs",
        "-q",
        "-F",
        "-t",
        "ext4",
        "-L",
        "reference",
        "-U",
        ROOT_UUID,
    ]);
    make.arg("-d")
        .arg(root)
        .arg("-E")
        .arg(format!("offset={start}"));
    run(make.arg(image).arg(format!("{}k", length / 1024))).context("writing the root volume")?;
    Ok(())
}

fn write_swap(work: &Path, image: &Path, (start, length): (u64, u64)) -> Result<()> {
    let file = crate::disk::blank(&work.join("swap"), length)?;
    run(command(&["mkswap", "--uuid", SWAP_UUID, "--label", "swap"]).arg(&file))?;
    copy_into(&file, image, start)
}

/// The ESP: shim and GRUB as the distribution signed them, by both paths.
fn write_esp(root: &Path, work: &Path, image: &Path, (start, length): (u64, u64)) -> Result<()> {
    let esp = crate::disk::blank(&work.join("esp"), length)?;
    run(command(&["mkfs.vfat", "-F", "32", "-n", "ESP", "-i", ESP_SERIAL]).arg(&esp))?;
    let config = work.join("grub.cfg");
    std::fs::write(
        &config,
        format!(
            "search.fs_uuid {ROOT_UUID} root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n"
        ),
    )?;
    let shim = root.join("usr/lib/shim/shimx64.efi.signed");
    let grub = root.join("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed");
    let mut folders = command(&["mmd", "-i"]);
    run(folders
        .arg(&esp)
        .args(["::/EFI", "::/EFI/BOOT", "::/EFI/debian"]))?;
    let copies: [(&Path, &str); 5] = [
        (&shim, "::/EFI/BOOT/BOOTX64.EFI"),
        (&grub, "::/EFI/BOOT/grubx64.efi"),
        (&shim, "::/EFI/debian/shimx64.efi"),
        (&grub, "::/EFI/debian/grubx64.efi"),
        (&config, "::/EFI/debian/grub.cfg"),
    ];
    for (from, to) in copies {
        run(command(&["mcopy", "-i"]).arg(&esp).arg(from).arg(to)).context("filling the ESP")?;
    }
    copy_into(&esp, image, start)
}

/// GRUB for BIOS: boot.img in the MBR, core.img in its own partition, with the
/// two block numbers that `grub-bios-setup` would write.
fn write_bios_boot(root: &Path, work: &Path, image: &Path, start: u64) -> Result<()> {
    let early = root.join("early.cfg");
    std::fs::write(
        &early,
        format!("search.fs_uuid {ROOT_UUID} root\nset prefix=($root)/boot/grub\n"),
    )?;
    let mut make = command(&["chroot"]);
    make.arg(root).args([
        "grub-mkimage",
        "-O",
        "i386-pc",
        "-p",
        "/boot/grub",
        "-c",
        "/early.cfg",
    ]);
    make.args([
        "-o",
        "/core.img",
        "biosdisk",
        "part_gpt",
        "ext2",
        "search",
        "search_fs_uuid",
    ]);
    make.args([
        "normal",
        "configfile",
        "linux",
        "echo",
        "test",
        "ls",
        "boot",
        "gzio",
    ]);
    run(&mut make).context("making GRUB's BIOS image")?;
    let core = root.join("core.img");
    let mut code = std::fs::read(&core)?;
    std::fs::rename(&core, work.join("core.img"))?;
    std::fs::remove_file(&early)?;
    let sector = start / 512;
    // The list of blocks ends the first sector of core.img: where the rest
    // lies, how long it is (GRUB's include/grub/i386/pc/boot.h).
    ensure!(code.len() > 512, "core.img is too short");
    let sectors = u16::try_from((code.len() - 1) / 512).context("core.img is too long")?;
    code[500..508].copy_from_slice(&(sector + 1).to_le_bytes());
    code[508..510].copy_from_slice(&sectors.to_le_bytes());
    let mut boot = [0; 440];
    File::open(root.join("usr/lib/grub/i386-pc/boot.img"))?.read_exact(&mut boot)?;
    boot[0x5c..0x64].copy_from_slice(&sector.to_le_bytes());
    // A hard disk, whatever the BIOS says in DL for it: leave the check as
    // grub-bios-setup does for a disk that is not a floppy.
    boot[0x66..0x68].copy_from_slice(&[0x90, 0x90]);
    let disk = File::options().write(true).open(image)?;
    disk.write_all_at(&boot, 0)?;
    disk.write_all_at(&code, start)?;
    Ok(())
}

/// Copies a file into the image at `start`.
fn copy_into(from: &Path, image: &Path, start: u64) -> Result<()> {
    let mut source = File::open(from)?;
    let mut disk = File::options().write(true).open(image)?;
    std::io::Seek::seek(&mut disk, std::io::SeekFrom::Start(start))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let length = source.read(&mut buffer)?;
        match length {
            0 => return Ok(()),
            _ if buffer[..length].iter().all(|&byte| byte == 0) => {
                std::io::Seek::seek(
                    &mut disk,
                    std::io::SeekFrom::Current(i64::try_from(length)?),
                )?;
            }
            _ => disk.write_all(&buffer[..length])?,
        }
    }
}

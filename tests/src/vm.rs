//! Virtual machines: BIOS, UEFI, UEFI with Secure Boot, as QEMU under TCG.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result};

use crate::network::Network;
use crate::serial::Serial;

/// How a machine starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS with iPXE in the network adapter's ROM.
    Bios,
    /// OVMF with its own network boot.
    Uefi,
    /// OVMF that enforces Secure Boot with the factory's keys.
    SecureBoot,
}

/// How the disk is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// virtio-blk.
    Virtio,
    /// SATA behind AHCI.
    Sata,
    /// NVMe.
    Nvme,
}

/// What a machine is made of.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its name in the lab.
    pub name: String,
    /// Firmware.
    pub firmware: Firmware,
    /// Network adapter's address.
    pub mac: String,
    /// SMBIOS UUID.
    pub uuid: String,
    /// Memory in MiB.
    pub memory: u32,
    /// Disk image file.
    pub disk: PathBuf,
    /// How the disk is attached; its serial number is `DISK-` and the name.
    pub bus: Bus,
}

/// A machine that is switched on; dropping it pulls the plug.
pub struct Running {
    child: Child,
    /// Screen and keyboard.
    pub serial: Serial,
}

impl Machine {
    /// Switches it on. The network comes first in the boot order, then the disk.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub fn start(&self, network: &Network, folder: &Path) -> Result<Running> {
        let log = folder.join(format!("{}.serial", self.name));
        let socket = folder.join(format!("{}.socket", self.name));
        let tap = network.tap()?;
        let mut qemu = network.in_room("qemu-system-x86_64");
        qemu.args([
            "-accel",
            "tcg",
            "-nodefaults",
            "-display",
            "none",
            "-vga",
            "none",
        ]);
        qemu.args(["-m", &self.memory.to_string(), "-uuid", &self.uuid]);
        qemu.args(["-device", "virtio-rng-pci"]);
        qemu.args(self.firmware_arguments(folder)?);
        qemu.args(self.disk_arguments());
        qemu.arg("-netdev")
            .arg(format!("tap,id=n0,ifname={tap},script=no,downscript=no"));
        // Under UEFI the adapter's own ROM would be iPXE: leave the network to
        // the firmware's client, as on a real machine.
        let rom = if self.firmware == Firmware::Bios {
            ""
        } else {
            ",romfile="
        };
        qemu.arg("-device").arg(format!(
            "virtio-net-pci,netdev=n0,mac={},bootindex=1{rom}",
            self.mac
        ));
        // Appended to over power cycles, so that the whole story is in one file.
        qemu.arg("-chardev").arg(format!(
            "socket,id=s0,path={},server=on,wait=off,logfile={},logappend=on",
            socket.display(),
            log.display()
        ));
        qemu.args(["-serial", "chardev:s0"]);
        let words = std::fs::File::create(folder.join(format!("{}.qemu", self.name)))?;
        qemu.stdout(Stdio::null()).stderr(words);
        let child = qemu
            .spawn()
            .with_context(|| format!("switching {} on", self.name))?;
        Ok(Running {
            child,
            serial: Serial::new(&log, &socket),
        })
    }

    fn firmware_arguments(&self, folder: &Path) -> Result<Vec<String>> {
        let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let (code, variables) = match self.firmware {
            Firmware::Bios => return Ok(words(&["-machine", "pc,graphics=off"])),
            Firmware::Uefi => ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),
            Firmware::SecureBoot => ("OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.ms.fd"),
        };
        let kept = folder.join(format!("{}.vars", self.name));
        if !kept.exists() {
            let factory = Path::new("/usr/share/OVMF").join(variables);
            std::fs::copy(&factory, &kept)
                .with_context(|| format!("copying {}", factory.display()))?;
        }
        let flash = "if=pflash,format=raw,unit";
        let mut arguments = match self.firmware {
            Firmware::SecureBoot => words(&[
                "-machine",
                "q35,smm=on",
                "-global",
                "driver=cfi.pflash01,property=secure,value=on",
                "-global",
                "ICH9-LPC.disable_s3=1",
            ]),
            _ => words(&["-machine", "q35"]),
        };
        arguments.extend([
            "-drive".to_owned(),
            format!("{flash}=0,readonly=on,file=/usr/share/OVMF/{code}"),
            "-drive".to_owned(),
            format!("{flash}=1,file={}", kept.display()),
        ]);
        Ok(arguments)
    }

    fn disk_arguments(&self) -> Vec<String> {
        let serial = format!("DISK-{}", self.name);
        let place = format!(
            "if=none,id=d0,format=raw,discard=unmap,cache=writeback,file={}",
            self.disk.display()
        );
        let device = match self.bus {
            Bus::Virtio => vec![format!(
                "virtio-blk-pci,drive=d0,serial={serial},bootindex=2"
            )],
            Bus::Nvme => vec![format!("nvme,drive=d0,serial={serial},bootindex=2")],
            Bus::Sata => vec![
                "ahci,id=sata".to_owned(),
                format!("ide-hd,bus=sata.0,drive=d0,serial={serial},bootindex=2"),
            ],
        };
        let mut arguments = vec!["-drive".to_owned(), place];
        arguments.extend(device.into_iter().flat_map(|d| ["-device".to_owned(), d]));
        arguments
    }
}

impl Running {
    /// Pulls the plug, at once and without a word to the system inside.
    ///
    /// # Errors
    /// When the process cannot be ended.
    pub fn cut_power(mut self) -> Result<()> {
        self.child.kill().context("pulling the plug")?;
        self.child
            .wait()
            .context("waiting for the machine to go dark")?;
        Ok(())
    }

    /// Whether it is still switched on.
    pub fn is_on(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

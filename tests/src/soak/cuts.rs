//! Power cuts: a machine goes dark in the middle of its work, is switched on
//! again, and must come to a proven end.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::base::{Base, IMAGE};
use crate::disk::{MIB, blank, fingerprint};
use crate::room::{Dhcp, Room};
use crate::vm::{Bus, Firmware, Machine, Running};

/// A machine's whole way, however slow the lab is.
const WHOLE: Duration = Duration::from_secs(20 * 60);
/// The image that captures make.
const CAPTURED: &str = "again";

/// One cut and what came of it.
#[derive(Debug)]
pub(super) struct Cut {
    /// What the machine did.
    pub(super) work: &'static str,
    /// How it starts.
    pub(super) firmware: &'static str,
    /// When it went dark, from switching it on.
    pub(super) after: Duration,
    /// The last line on its screen then.
    pub(super) shown: String,
    /// What went wrong; `None` where it came to a proven end.
    pub(super) wrong: Option<String>,
}

/// Cuts `count` times: three applies, one on each firmware, for each capture.
/// The moments of each kind are spread evenly over what it takes undisturbed.
pub(super) fn run(
    base: &Base,
    folder: &Path,
    count: u32,
    say: &mut dyn FnMut(&str),
) -> Result<Vec<Cut>> {
    let base = base.with_own_share(&folder.join("share"))?;
    let room = Room::open(&base, &folder.join("room"), Dhcp::Server)?;
    let mut stand = Stand {
        base: &base,
        room: &room,
        number: 0,
    };
    let mut whole = Vec::new();
    for kind in 0..4 {
        let begun = Instant::now();
        let (machine, _) = stand.machine(kind)?;
        let running = stand.room.switch_on(&machine)?;
        stand.finish(kind, &machine, &running, 0)?;
        whole.push(begun.elapsed());
        say(&format!(
            "{}: {} s undisturbed",
            words(kind).0,
            begun.elapsed().as_secs()
        ));
        stand.clear(&machine, running)?;
    }
    let each = count.div_ceil(4);
    let mut cuts = Vec::new();
    for number in 0..count {
        let kind = number % 4;
        let after = whole[kind as usize] * (number / 4 + 1) / (each + 1);
        let cut = stand.cut(kind, after)?;
        let end = cut.wrong.as_deref().unwrap_or("proven");
        say(&format!(
            "{} cut after {} s: {end}",
            cut.work,
            after.as_secs()
        ));
        cuts.push(cut);
    }
    Ok(cuts)
}

fn words(kind: u32) -> (&'static str, &'static str, Firmware, Bus) {
    match kind {
        0 => ("apply", "BIOS", Firmware::Bios, Bus::Virtio),
        1 => ("apply", "UEFI", Firmware::Uefi, Bus::Sata),
        2 => ("apply", "Secure Boot", Firmware::SecureBoot, Bus::Nvme),
        _ => ("capture", "BIOS", Firmware::Bios, Bus::Virtio),
    }
}

/// One machine after another in one room.
struct Stand<'s> {
    base: &'s Base,
    room: &'s Room,
    number: u32,
}

impl Stand<'_> {
    /// A new machine with its order; of one that is captured, what its disk holds.
    fn machine(&mut self, kind: u32) -> Result<(Machine, Option<blake3::Hash>)> {
        self.number += 1;
        let number = self.number;
        let (work, _, firmware, bus) = words(kind);
        let name = format!("pc-{number}");
        let disk = self.room.folder().join(format!("{name}.img"));
        let disk = match work {
            "capture" => self.base.copy_of_reference(&disk)?,
            _ => blank(&disk, 3072 * MIB)?,
        };
        let holds = match work {
            "capture" => Some(fingerprint(&disk)?),
            _ => None,
        };
        let [.., high, low] = number.to_be_bytes();
        let machine = Machine {
            mac: format!("52:54:00:78:{high:02x}:{low:02x}"),
            uuid: format!("78787878-0000-4000-8000-{number:012}"),
            memory: 768,
            name,
            firmware,
            disk,
            bus,
        };
        let known = [
            "machine",
            "add",
            "--name",
            &machine.name,
            "--mac",
            &machine.mac,
        ];
        let order = match work {
            "capture" => ["--capture", CAPTURED],
            _ => ["--image", IMAGE],
        };
        let words = [&known[..], &order, &["--unattended"]].concat();
        self.room.mimeo(&words)?;
        Ok((machine, holds))
    }

    fn cut(&mut self, kind: u32, after: Duration) -> Result<Cut> {
        let (work, firmware, ..) = words(kind);
        let (machine, holds) = self.machine(kind)?;
        let running = self.room.switch_on(&machine)?;
        std::thread::sleep(after);
        let screen = running.serial.screen();
        running.cut_power()?;
        let lines = screen.lines().rev().map(str::trim);
        let shown = lines.clone().find(|line| !line.is_empty()).unwrap_or("-");
        let shown = shown.to_owned();
        let untouched = || -> Result<()> {
            // Its own system, once started, writes.
            if let Some(before) = holds
                && !screen.contains("restarts into its disk")
            {
                ensure!(
                    fingerprint(&machine.disk)? == before,
                    "its disk was written"
                );
            }
            Ok(())
        };
        let running = self.room.switch_on(&machine)?;
        let ended = untouched().and_then(|()| self.finish(kind, &machine, &running, screen.len()));
        let wrong = ended.err().map(|error| format!("{error:#}"));
        if wrong.is_none() {
            self.clear(&machine, running)?;
        }
        Ok(Cut {
            work,
            firmware,
            after,
            shown,
            wrong,
        })
    }

    /// Waits for the proven end.
    fn finish(&self, kind: u32, machine: &Machine, running: &Running, from: usize) -> Result<()> {
        let run = self.room.wait_for_run(&machine.name, "succeeded", WHOLE)?;
        if words(kind).0 == "capture" {
            ensure!(
                self.base.image_id(CAPTURED)? == self.base.image_id(IMAGE)?,
                "the image is another one than that of the disk as a file"
            );
            return Ok(());
        }
        ensure!(run.receipt && run.system.is_some(), "not proven: {run:?}");
        let receipt = self.room.folder().join("receipt.json");
        fs::write(&receipt, self.room.mimeo(&["run", "receipt", &run.run])?)?;
        let path = receipt.to_str().context("a path that is no text")?;
        let verdict = self.room.mimeo(&["receipt", "verify", path])?;
        if !verdict.contains("the receipt holds") {
            bail!("{verdict}");
        }
        let limit = Duration::from_secs(300);
        let login = format!("{} login:", machine.name);
        running.serial.wait_for(from, &login, limit)?;
        Ok(())
    }

    fn clear(&self, machine: &Machine, running: Running) -> Result<()> {
        running.cut_power()?;
        let disk: &PathBuf = &machine.disk;
        fs::remove_file(disk).with_context(|| format!("removing {}", disk.display()))
    }
}

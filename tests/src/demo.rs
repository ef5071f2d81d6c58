//! The main job: three bare machines become proven copies of one reference disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use api::messages::operator::{RunDetail, RunSummary};

use crate::base::{Base, IMAGE};
use crate::disk::{MIB, blank};
use crate::room::{Dhcp, Room};
use crate::table::table;
use crate::vm::{Bus, Firmware, Machine, Running};

/// A machine's whole way from bare metal to its own disk.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// What came out for one machine.
#[derive(Debug)]
pub struct Proven {
    /// The machine.
    pub machine: Machine,
    /// Its run.
    pub run: RunSummary,
    /// Seconds: power on to agent, apply with read-back, restart to report.
    pub seconds: [u64; 3],
    /// Bytes fetched over the network.
    pub fetched: u64,
    /// Where the receipt was saved.
    pub receipt: PathBuf,
    /// What `mimeo receipt verify` said.
    pub verdict: String,
}

/// The three machines of the demo: each firmware, each bus, one disk smaller
/// and one larger than the reference, two pre-staged and one nobody knows.
pub fn machines(folder: &Path) -> Result<[Machine; 3]> {
    let machine = |number: u8, firmware, memory, bus, size: u64| -> Result<Machine> {
        let name = format!("pc{number}");
        Ok(Machine {
            disk: blank(&folder.join(format!("{name}.img")), size * MIB)?,
            mac: format!("52:54:00:77:00:0{number}"),
            uuid: format!("77777777-0000-4000-8000-00000000000{number}"),
            name,
            firmware,
            memory,
            bus,
        })
    };
    Ok([
        machine(1, Firmware::Bios, 512, Bus::Virtio, 2560)?,
        machine(2, Firmware::Uefi, 512, Bus::Sata, 4096)?,
        machine(3, Firmware::SecureBoot, 768, Bus::Nvme, 3072)?,
    ])
}

/// Runs the main job in `folder`; `say` hears each step as it begins.
///
/// # Errors
/// The first machine that did not become a proven copy, and why.
pub fn run(base: &Base, folder: &Path, say: &mut dyn FnMut(&str)) -> Result<(Vec<Proven>, u64)> {
    let room = Room::open(base, folder, Dhcp::Server)?;
    let machines = machines(room.folder())?;
    say("server: DHCP, TFTP, HTTP for loaders, TLS for everything else");
    let mac = &machines[0].mac;
    let stage = ["machine", "add", "--image", IMAGE, "--unattended", "--name"];
    room.mimeo(&[&stage[..], &["pc1", "--mac", mac]].concat())?;
    room.mimeo(&[&stage[..], &["pc2", "--uuid", &machines[1].uuid]].concat())?;
    say("machines: pc1 (BIOS), pc2 (UEFI), pc3 (UEFI, Secure Boot) switched on with blank disks");
    let started = now();
    let mut running = Vec::new();
    for machine in &machines {
        running.push(room.switch_on(machine)?);
    }
    approve_stranger(&room, &mut running[2], say)?;
    let mut proven = Vec::new();
    for machine in &machines {
        let run = room.wait_for_run(&machine.name, "succeeded", LIMIT)?;
        proven.push(prove(&room, machine, run, started)?);
        say(&format!(
            "{}: started from its own disk, reported its system, receipt stored",
            machine.name
        ));
    }
    let memory = room.server_memory()?;
    Ok((proven, memory))
}

/// The machine nobody knows: compare the code, approve, answer at its screen.
fn approve_stranger(room: &Room, machine: &mut Running, say: &mut dyn FnMut(&str)) -> Result<()> {
    let limit = Duration::from_secs(300);
    let (code, after) = shown_code(machine, limit)?;
    say(&format!(
        "pc3 is unknown and shows {code}: approved at the console"
    ));
    room.mimeo(&["machine", "approve", &code])?;
    answer(machine, after, "pc3")
}

/// The short code on a machine's screen, and where the screen goes on.
///
/// # Errors
/// When no code is shown within `limit`.
pub fn shown_code(machine: &Running, limit: Duration) -> Result<(String, usize)> {
    let after = machine.serial.wait_for(0, "Code:", limit)?;
    let code = machine.serial.screen()[after..]
        .trim_start()
        .chars()
        .take(9)
        .collect();
    Ok((code, after))
}

/// Answers the questions at the machine: the first image, this name, and yes.
///
/// # Errors
/// When a question does not come.
pub fn answer(machine: &mut Running, from: usize, name: &str) -> Result<()> {
    let limit = Duration::from_secs(120);
    let after = machine.serial.wait_for(from, "Number or name:", limit)?;
    machine.serial.type_text("1\r")?;
    let after = machine
        .serial
        .wait_for(after, "Name of this machine", limit)?;
    machine.serial.type_text(&format!("{name}\r"))?;
    machine.serial.wait_for(after, "Type YES", limit)?;
    machine.serial.type_text("YES\r")
}

fn prove(room: &Room, machine: &Machine, run: RunSummary, started: u64) -> Result<Proven> {
    let detail = room.run_detail(&run.run)?;
    let receipt = room.folder().join(format!("{}.receipt.json", machine.name));
    fs::write(&receipt, room.mimeo(&["run", "receipt", &run.run])?)?;
    let path = receipt.to_string_lossy().into_owned();
    let verdict = room.mimeo(&["receipt", "verify", &path])?;
    ensure!(
        run.receipt && run.system.is_some(),
        "{} is not proven: {run:?}",
        machine.name
    );
    let seconds = seconds(&detail, started).context("reading the run's events")?;
    Ok(Proven {
        machine: machine.clone(),
        seconds,
        fetched: fetched(&detail),
        run,
        receipt,
        verdict: verdict.trim().to_owned(),
    })
}

/// Boot, apply and start from disk, by the server's clock.
fn seconds(detail: &RunDetail, started: u64) -> Option<[u64; 3]> {
    use task_sequences::EventKind::{Attached, StepFinished, SystemReported};
    let when = |wanted: &dyn Fn(&task_sequences::EventKind) -> bool| {
        let found = detail
            .events
            .iter()
            .find(|arrived| wanted(&arrived.event.kind));
        found.map(|arrived| arrived.arrived)
    };
    let attached = when(&|kind| matches!(kind, Attached { .. }))?;
    let applied = when(&|kind| matches!(kind, StepFinished { step } if step == "apply-image"))?;
    let reported = when(&|kind| matches!(kind, SystemReported { .. }))?;
    Some([
        attached.saturating_sub(started),
        applied.saturating_sub(attached),
        reported.saturating_sub(applied),
    ])
}

/// Bytes of blocks fetched, as the last progress of that stage says.
pub fn fetched(detail: &RunDetail) -> u64 {
    let done = detail
        .events
        .iter()
        .filter_map(|arrived| match &arrived.event.kind {
            task_sequences::EventKind::Progress { stage, done, .. } if stage == "blocks" => {
                Some(*done)
            }
            _ => None,
        });
    done.max().unwrap_or(0)
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// What was proven, for people.
pub fn report(proven: &[Proven]) -> String {
    let row = |one: &Proven| {
        vec![
            one.machine.name.clone(),
            match one.machine.firmware {
                Firmware::Bios => "BIOS",
                Firmware::Uefi => "UEFI",
                Firmware::SecureBoot => "UEFI, Secure Boot",
            }
            .to_owned(),
            one.seconds[0].to_string(),
            one.seconds[1].to_string(),
            one.seconds[2].to_string(),
            format!("{} MB", one.fetched / 1_000_000),
            one.run.system.clone().unwrap_or_default(),
            one.receipt.display().to_string(),
        ]
    };
    let heading = [
        "machine",
        "firmware",
        "boot s",
        "apply s",
        "restart s",
        "fetched",
        "system",
        "receipt",
    ];
    table(&heading, &proven.iter().map(row).collect::<Vec<_>>())
}

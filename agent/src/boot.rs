//! A bare machine: from the kernel's first program to the restart into its
//! own disk.
//!
//! Process 1 must never end, so nothing below may take it down: the work runs
//! in a thread of its own, and what ends it is shown until somebody looks.

mod mounts;
mod network;
mod stage2;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use api::client::{Client, Outage, Patience};
use api::messages::run::Work;
use api::{PublicKey, SigningKey};
use inventory::MachineFacts;
use task_sequences::Phase;
use winpe_assets::{BootConfig, CONFIG_PATH};

use crate::config::CommandLine;
use crate::hardware::facts;
use crate::hardware::modules::Drivers;
use crate::job::Job;
use crate::journal::Journal;
use crate::screen::Screen;
use crate::session::{Granted, Run, negotiate};
use crate::steps::{self, power};
use crate::work::{Outcome, work};

/// Drivers that no device asks for by name.
const ALWAYS: [&str; 2] = ["af_packet", "efivarfs"];
/// Until an unattended machine tries again by itself.
const BEFORE_RETRY: Duration = Duration::from_secs(60);
/// To read why there is nothing to do.
const BEFORE_DISK: Duration = Duration::from_secs(30);
/// Seconds between two lines about one outage.
const BETWEEN_LINES: u64 = 20;
/// Disks count as complete when none was added for this long ...
const QUIET: Duration = Duration::from_secs(1);
/// ... or after this long, whatever still turns up.
const LONGEST_SETTLING: Duration = Duration::from_secs(15);
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// Main thread's stack is the kernel's affair; ours is this large.
const STACK: usize = 8 << 20;

/// How a start ended.
enum End {
    /// Restart now: the disk has everything.
    Restart,
    /// There is nothing to do here.
    Nothing(String),
    /// The run has failed: stay, so that somebody sees it.
    Failed {
        /// Why.
        reason: String,
        /// Whether it may have written to the disk.
        wrote: bool,
    },
}

/// Process 1. Never returns.
pub(crate) fn run() -> ! {
    let complaints = mounts::mount_all();
    mounts::reap_orphans();
    let screen = Screen::of_kernel();
    screen.gap();
    screen.say(format!(
        "mimeo {}: this machine starts over the network (kernel up {} s).",
        version(),
        facts::uptime()
    ));
    for complaint in complaints {
        screen.say(complaint);
    }
    let inner = screen.clone();
    let work = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || deploy(&inner));
    let end = match work.map(std::thread::JoinHandle::join) {
        Ok(Ok(end)) => end,
        Ok(Err(panic)) => Err(anyhow!("a fault of this program: {}", panic_words(&*panic))),
        Err(error) => Err(error.into()),
    };
    finish(&screen, end)
}

fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

fn panic_words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|&text| text.to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

/// Says how it ended and restarts, at once or when somebody wants it.
fn finish(screen: &Screen, end: Result<End>) -> ! {
    screen.gap();
    match end {
        Ok(End::Restart) => screen.say("Done. The machine restarts into its disk."),
        Ok(End::Nothing(reason)) => {
            screen.say(format!("There is nothing to do here: {reason}"));
            wait(screen, Some(BEFORE_DISK));
        }
        Ok(End::Failed { reason, wrote }) => {
            screen.say(match wrote {
                true => "THIS MACHINE HAS FAILED. Its disk must not be used.",
                false => "THE CAPTURE HAS FAILED. Its disk was only read and is as it was.",
            });
            screen.say(reason);
            screen.say("The server knows. Approve the machine again to start a new run.");
            wait(screen, None);
        }
        Err(error) => {
            screen.say(format!("This machine cannot go on: {error:#}"));
            wait(screen, Some(BEFORE_RETRY));
        }
    }
    loop {
        let error = power::restart();
        screen.say(format!(
            "The machine does not restart: {error}. Switch it off and on."
        ));
        std::thread::sleep(BEFORE_RETRY);
    }
}

/// Waits for `r`, at most `limit`.
fn wait(screen: &Screen, limit: Option<Duration>) {
    let start = Instant::now();
    match limit {
        Some(limit) => screen.say(format!(
            "It restarts in {} s. Type r and Enter to restart now.",
            limit.as_secs()
        )),
        None => screen.say("Type r and Enter to restart."),
    }
    loop {
        let left = limit.map(|limit| limit.saturating_sub(start.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return;
        }
        let line = screen.line_within(left.unwrap_or(BEFORE_RETRY).min(BEFORE_RETRY));
        if line.is_some_and(|line| line.eq_ignore_ascii_case("r")) {
            return;
        }
    }
}

/// The walk of a machine, from its drivers to the restart.
fn deploy(screen: &Screen) -> Result<End> {
    let path = Path::new("/").join(CONFIG_PATH);
    let bytes = fs::read(&path).with_context(|| {
        format!(
            "{} is missing; build the boot files with mimeo boot build",
            path.display()
        )
    })?;
    let config = BootConfig::parse(&bytes)?;
    let words = CommandLine::parse(&fs::read_to_string("/proc/cmdline").unwrap_or_default());
    let server = words
        .server
        .clone()
        .unwrap_or_else(|| config.server.to_string());
    let mut drivers = Drivers::open()?;
    ALWAYS.iter().for_each(|name| drivers.load(name));
    drivers.load_for_devices();
    if let Some(complaint) = mounts::mount_variables() {
        screen.say(complaint);
    }
    let mut facts = facts::without_disks(Path::new("/"));
    introduce(screen, &facts);
    let lease = network::connect(words.boot_adapter, screen)?;
    let place = format!("{}, {}", facts.firmware, lease.configuration.address);
    screen.say(format!(
        "Address  {} on {}",
        lease.configuration.address, lease.adapter.name
    ));
    screen.say(format!("Server   {server}"));
    let patience = patient(screen, &server);
    let url = stage2::url(&config, words.boot.as_deref())?;
    screen.say(format!(
        "Drivers  {} MiB from {}",
        config.stage2.size >> 20,
        url.host
    ));
    stage2::bring_in(&url, &config.stage2, &patience)?;
    settle(&mut drivers);
    facts.disks = steps::disks();
    list_disks(screen, &facts, &mut drivers);
    let client = Client::new(&server, PublicKey::new(config.server_key.0))?;
    match negotiate(&client, &facts, screen, &patience)? {
        Granted::Nothing(reason) => Ok(End::Nothing(reason)),
        Granted::Run(run) => execute(*run, &client, facts, screen, patience, &place),
    }
}

/// Loads drivers until no more disks turn up: controllers, hubs and slow disks
/// each bring what asks for the next.
fn settle(drivers: &mut Drivers) {
    let start = Instant::now();
    let (mut seen, mut since) = (BTreeSet::new(), start);
    loop {
        drivers.load_for_devices();
        let found = block_devices(Path::new("/sys/block"));
        if found != seen {
            (seen, since) = (found, Instant::now());
        } else if since.elapsed() >= QUIET || start.elapsed() >= LONGEST_SETTLING {
            return;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

fn block_devices(folder: &Path) -> BTreeSet<std::ffi::OsString> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).collect()
}

fn introduce(screen: &Screen, facts: &MachineFacts) {
    screen.say(format!("Machine  {}", facts::words(facts)));
    if let Some(uuid) = &facts.uuid {
        screen.say(format!("UUID     {uuid}"));
    }
    screen.say(format!(
        "Memory   {} MiB, {}",
        facts.memory >> 20,
        facts.firmware
    ));
}

fn list_disks(screen: &Screen, facts: &MachineFacts, drivers: &mut Drivers) {
    for disk in &facts.disks {
        let model = disk.model.as_deref().unwrap_or("");
        let serial = disk.serial.as_deref().unwrap_or("no serial");
        screen.say(format!(
            "Disk     {} {} MiB {model} {serial}",
            disk.device,
            disk.size >> 20
        ));
    }
    let complaints = drivers.complaints();
    if facts.disks.is_empty() {
        screen.say("No disk was found. Is its driver in this boot environment?");
        complaints
            .iter()
            .for_each(|complaint| screen.say(complaint));
    }
}

/// Waits for ever and says so, not too often.
fn patient(screen: &Screen, server: &str) -> Patience {
    let (screen, server) = (screen.clone(), server.to_owned());
    let next_line = AtomicU64::new(0);
    Patience::for_ever(Arc::new(move |outage: &Outage<'_>| match outage {
        Outage::Waiting { gone, error } => {
            let gone = gone.as_secs();
            if gone == 0 {
                next_line.store(0, Ordering::Relaxed);
            }
            if gone >= next_line.load(Ordering::Relaxed) {
                next_line.store(gone + BETWEEN_LINES, Ordering::Relaxed);
                screen.say(format!(
                    "Server at {server} gone for {gone} s: waiting, nothing is lost."
                ));
                screen.say(format!("  ({error})"));
            }
        }
        Outage::Over { gone } => {
            screen.say(format!(
                "Server is back after {} s; going on.",
                gone.as_secs()
            ));
        }
    }))
}

fn execute(
    run: Run,
    client: &Client,
    facts: MachineFacts,
    screen: &Screen,
    patience: Patience,
    place: &str,
) -> Result<End> {
    let Run {
        token,
        assignment,
        key,
        chosen_here,
    } = run;
    let client = client.with_token(&token);
    screen.gap();
    let wrote = assignment.work.capture().is_none();
    let run = &assignment.run;
    screen.say(match &assignment.work {
        Work::Apply { .. } => format!("Approved: this machine is {} (run {run}).", assignment.name),
        Work::Capture { .. } => format!("Approved: this machine is captured (run {run})."),
    });
    let archive = Box::new(client.clone());
    let mut journal = Journal::open(archive, assignment.sequence.clone(), patience.clone())?;
    let key: Option<SigningKey> = Some(key);
    let (started, screen) = (steps::now(), screen.clone());
    let disk = OnceLock::new();
    let job = Job {
        assignment,
        client,
        token,
        key,
        facts,
        chosen_here,
        started,
        disk,
        screen,
        patience,
    };
    let place = format!("boot environment, {place}");
    match work(&job, &mut journal, Phase::BootEnvironment, &place)? {
        Outcome::Finished | Outcome::Elsewhere(_) => Ok(End::Restart),
        Outcome::Ended(reason) => Ok(End::Failed { reason, wrote }),
    }
}

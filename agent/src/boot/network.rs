//! An address for this machine: all adapters ask, the first answer counts, the
//! adapter we were loaded through before the others.

use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use inventory::HardwareAddr;
use pxe::{Configuration, Mac};

use crate::hardware::facts::{Adapter, adapters};
use crate::hardware::links::Links;
use crate::screen::Screen;

/// One round of asking; then the screen says that nobody answers.
const ROUND: Duration = Duration::from_secs(30);
/// How much later than another adapter the one we were loaded through may be.
const GRACE: Duration = Duration::from_secs(3);
/// Adapters behind a hub or a slow driver turn up late.
const ADAPTERS_LATE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(200);
/// Shortest lease half that is waited for before renewing.
const SOONEST_RENEWAL: Duration = Duration::from_secs(30);

/// The address and where it is.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    pub(super) adapter: Adapter,
    pub(super) configuration: Configuration,
}

/// Brings the adapters up and does not return without an address.
pub(super) fn connect(preferred: Option<HardwareAddr>, screen: &Screen) -> Result<Lease> {
    let links = Links::open()?;
    loop {
        let found = wait_for_adapters();
        if found.is_empty() {
            screen.say("No network adapter was found. Is its driver in this boot environment?");
            screen.say("Looking again ...");
            continue;
        }
        for adapter in &found {
            if let Err(error) = links.up(adapter.index) {
                screen.say(format!("{}: {error:#}", adapter.name));
            }
        }
        match ask_all(&found, preferred) {
            Ok(lease) => {
                configure(&links, &lease)?;
                keep(lease.clone());
                return Ok(lease);
            }
            Err(reasons) => {
                for reason in reasons {
                    screen.say(reason);
                }
                screen.say("Asking again ...");
            }
        }
    }
}

fn wait_for_adapters() -> Vec<Adapter> {
    let start = Instant::now();
    loop {
        let found = adapters(Path::new("/"));
        if !found.is_empty() || start.elapsed() > ADAPTERS_LATE {
            return found;
        }
        std::thread::sleep(POLL);
    }
}

/// Asks through every adapter at once; the reasons when none gets an answer.
fn ask_all(adapters: &[Adapter], preferred: Option<HardwareAddr>) -> Result<Lease, Vec<String>> {
    let (sender, answers) = channel();
    for adapter in adapters {
        let (adapter, sender) = (adapter.clone(), sender.clone());
        std::thread::spawn(move || ask(adapter, &sender));
    }
    drop(sender);
    let best = |lease: &Lease| preferred.is_none_or(|address| lease.adapter.address == address);
    let mut reasons = Vec::new();
    let mut second: Option<(Lease, Instant)> = None;
    loop {
        let wait = second.as_ref().map_or(ROUND * 2, |(_, until)| {
            until.saturating_duration_since(Instant::now())
        });
        match answers.recv_timeout(wait) {
            Ok(Ok(lease)) if best(&lease) => return Ok(lease),
            Ok(Ok(lease)) => {
                second.get_or_insert((lease, Instant::now() + GRACE));
            }
            Ok(Err(reason)) => reasons.push(reason),
            Err(_) => return second.map(|(lease, _)| lease).ok_or(reasons),
        }
    }
}

fn ask(adapter: Adapter, sender: &Sender<Result<Lease, String>>) {
    let answer = pxe::net::client::acquire(&adapter.name, mac(&adapter), transaction(), ROUND);
    let answer = match answer {
        Ok(configuration) => Ok(Lease {
            adapter,
            configuration,
        }),
        Err(error) => Err(error.to_string()),
    };
    // Nobody listens any more once another adapter has won.
    let _ = sender.send(answer);
}

fn mac(adapter: &Adapter) -> Mac {
    Mac(*adapter.address.as_bytes())
}

/// A number that differs from start to start; zero will do where there is no
/// randomness yet, as the address is in the packet too.
fn transaction() -> u32 {
    let mut bytes = [0; 4];
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
    u32::from_le_bytes(bytes)
}

fn configure(links: &Links, lease: &Lease) -> Result<()> {
    let index = lease.adapter.index;
    let found = &lease.configuration;
    links
        .address(index, found.address, found.prefix)
        .with_context(|| format!("adapter {}", lease.adapter.name))?;
    match found.router {
        Some(router) => links.default_route(index, router),
        None => Ok(()),
    }
}

/// Renews the lease by half its time for as long as the machine runs: a long
/// apply must not lose its address to another machine. A server that wants
/// another address is not followed; what is open would break.
fn keep(lease: Lease) {
    std::thread::spawn(move || {
        let mut current = lease.configuration;
        loop {
            std::thread::sleep((current.lease / 2).max(SOONEST_RENEWAL));
            let (name, mac) = (&lease.adapter.name, mac(&lease.adapter));
            let answer = pxe::net::client::renew(name, mac, transaction(), &current, ROUND);
            if let Ok(renewed) = answer
                && renewed.address == current.address
            {
                current = renewed;
            }
        }
    });
}

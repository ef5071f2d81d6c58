//! The disk into the share: it is only read, and nothing on it is changed.

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Context, Result};
use api::client::RemoteStore;
use api::messages::run::CaptureOrder;
use image_format::ImageRecord;
use imager::capture::{CaptureOptions, CaptureProgress, capture as carry_out};
use imager::disk::BlockDevice;
use task_sequences::EventKind;

use super::report::now;
use super::scene::Scene;
use super::teller::Teller;
use super::{disk, room};
use crate::hardware::facts;

/// The share machines are deployed from.
const SHARE: &str = "main";
/// A clock that is this much ahead of the server's is wrong: no run waits so
/// long.
const LONGEST_RUN: u64 = 30 * 24 * 3600;

/// Captures the disk as ordered and tells the server which image it is.
pub(super) fn capture(scene: &mut Scene<'_>) -> Result<()> {
    let order = scene.job.assignment.work.capture();
    let order = order.context("this run does not capture")?;
    let name = &order.wish.name;
    if scene.journal.state().proven() {
        return scene.note(format!("{name} is in the share already"));
    }
    let (device, words) = disk::source(scene.job)?;
    let screen = &scene.job.screen;
    screen.say(format!(
        "This machine's disk is read and captured as {name}; nothing on it is changed."
    ));
    scene.note(format!("reading {words}"))?;
    let record = read(scene, order, &device).with_context(|| format!("capturing {words}"))?;
    scene.journal.record(EventKind::ImageCaptured {
        image: record.image.to_string(),
        name: record.name.clone(),
        sequence: record.sequence,
    })?;
    scene.job.screen.say(format!(
        "{} version {} is image {}: {} entries, {} MiB of contents",
        record.name,
        record.sequence,
        record.image.short(),
        record.entries,
        record.logical_size >> 20
    ));
    Ok(())
}

fn read(scene: &mut Scene<'_>, order: &CaptureOrder, device: &BlockDevice) -> Result<ImageRecord> {
    let job = scene.job;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut ingest = room::options(facts::available_memory(), cores, order.wish.profile)?;
    ingest.paranoid = order.wish.paranoid;
    let options = CaptureOptions {
        name: order.wish.name.clone(),
        captured: moment(now(), order.began),
        parent: order.parent,
        all_times: false,
        ingest,
    };
    let store = RemoteStore::new(job.client.clone(), job.patience.clone(), SHARE);
    let started = Instant::now();
    let mut teller = Teller::default();
    let mut watch = |at: CaptureProgress| {
        teller.tell(scene, "capture", at.bytes, at.total_bytes);
        ControlFlow::Continue(())
    };
    let outcome = carry_out(device, &store, &options, &mut watch)?;
    for warning in outcome.warnings {
        scene.note(format!("warning: {warning}"))?;
    }
    scene.note(format!(
        "captured in {} s, agent's peak memory {} MiB",
        started.elapsed().as_secs(),
        facts::peak_memory() >> 20
    ))?;
    Ok(outcome.record)
}

/// When the capture is taken, by this machine's clock unless that is plainly
/// wrong; then by the server's, which said when the run began.
fn moment(clock: u64, began: u64) -> u64 {
    if (began..=began.saturating_add(LONGEST_RUN)).contains(&clock) {
        clock
    } else {
        began
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_far_off_is_not_believed() {
        let began = 1_790_000_000;
        assert_eq!(moment(began + 60, began), began + 60);
        assert_eq!(moment(0, began), began);
        assert_eq!(moment(began + 10 * LONGEST_RUN, began), began);
        assert_eq!(moment(u64::MAX, u64::MAX), u64::MAX);
    }
}

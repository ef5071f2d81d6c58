//! `mimeo capture`: a disk becomes an image.

use std::os::unix::fs::FileTypeExt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use image_format::DirStore;
use imager::capture::{CaptureOptions, CaptureProgress, capture};
use imager::disk::Disk;
use imager::disk::file::FileDisk;
use imager::disk::linux::BlockDevice;

use crate::args::CaptureArgs;
use crate::output::{self, ProgressLine, bytes};

/// Captures what the arguments name; the source is only ever read.
pub(crate) fn run(args: &CaptureArgs, json: bool) -> Result<()> {
    let store = DirStore::open(&args.share)
        .with_context(|| format!("opening the share {}", args.share.display()))?;
    let disk = open(args).with_context(|| format!("opening {}", args.source.display()))?;
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let options = CaptureOptions {
        name: args.name.clone(),
        captured: since.as_secs(),
        parent: None,
    };
    let begun = Instant::now();
    let mut line = ProgressLine::new(json);
    let watch = &mut |progress| line.update(|| words(&progress, begun));
    let outcome = capture(disk.as_ref(), &store, &options, watch);
    line.finish();
    let outcome = outcome.with_context(|| format!("capturing {}", args.source.display()))?;
    for warning in &outcome.warnings {
        eprintln!("warning: {warning}");
    }
    output::show(json, &outcome.record, || {
        let record = &outcome.record;
        format!(
            "{} version {} is image {}: {} entries, {} of contents, in {:.1} s",
            record.name,
            record.sequence,
            record.image.short(),
            record.entries,
            bytes(record.logical_size),
            begun.elapsed().as_secs_f64()
        )
    })
}

fn open(args: &CaptureArgs) -> Result<Box<dyn Disk>> {
    let kind = std::fs::metadata(&args.source)?.file_type();
    Ok(match kind.is_block_device() {
        true => Box::new(BlockDevice::open(&args.source)?),
        false => Box::new(FileDisk::open(&args.source, args.sector_size)?),
    })
}

/// How far it is, how fast, how long it may still take.
fn words(progress: &CaptureProgress, begun: Instant) -> String {
    let seconds = begun.elapsed().as_secs().max(1);
    let rate = progress.bytes / seconds;
    let left = progress
        .total_bytes
        .saturating_sub(progress.bytes)
        .checked_div(rate);
    format!(
        "{} of {}, {} of {} files, {}/s, {} s left",
        bytes(progress.bytes),
        bytes(progress.total_bytes),
        progress.files,
        progress.total_files,
        bytes(rate),
        left.map_or_else(|| "?".to_owned(), |left| left.to_string())
    )
}

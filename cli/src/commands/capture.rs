//! `mimeo capture`: a disk or a directory becomes an image.

mod progress;
mod tree;

use std::os::unix::fs::FileTypeExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use image_format::ingest::IngestOptions;
use image_format::{ImageId, Share, Store};
use imager::capture::{CaptureOptions, capture};
use imager::disk::Disk;
use imager::disk::file::FileDisk;
use imager::disk::linux::BlockDevice;

use crate::args::CaptureArgs;
use crate::location;
use crate::output::{self, bytes};
use progress::Progress;

/// Captures what the arguments name; the source is only ever read.
pub(crate) fn run(args: &CaptureArgs, json: bool) -> Result<()> {
    let store = location::store_to_capture(&args.share, &args.name)?;
    let capturing = || format!("capturing {}", args.source.display());
    match args.source.is_dir() {
        true => tree::run(args, &*store, json).with_context(capturing),
        false => disk(args, &*store, json).with_context(capturing),
    }
}

fn disk(args: &CaptureArgs, store: &dyn Store, json: bool) -> Result<()> {
    let disk = open(args).with_context(|| format!("opening {}", args.source.display()))?;
    let options = CaptureOptions {
        name: args.name.clone(),
        captured: now(),
        parent: parent(args, store)?,
        all_times: args.tree.all_times,
        ingest: ingest(args),
    };
    let mut progress = Progress::new(json);
    let outcome = capture(disk.as_ref(), store, &options, &mut |at| progress.disk(&at));
    let seconds = progress.finish();
    let outcome = outcome?;
    for warning in &outcome.warnings {
        eprintln!("warning: {warning}");
    }
    output::show(json, &outcome.record, || {
        let record = &outcome.record;
        format!(
            "{} version {} is image {}: {} entries, {} of contents, in {seconds:.1} s",
            record.name,
            record.sequence,
            record.image.short(),
            record.entries,
            bytes(record.logical_size),
        )
    })
}

/// The image whose unchanged files are not read again: the one named, else the
/// newest of this name.
fn parent(args: &CaptureArgs, store: &dyn Store) -> Result<Option<ImageId>> {
    let share = Share::open_asking(store)?;
    if let Some(asked) = &args.tree.parent {
        let found = share.find(asked).context("looking for the parent")?;
        return Ok(Some(found.image));
    }
    let newest = share.history(&args.name).last();
    Ok(newest
        .filter(|_| !args.tree.paranoid)
        .map(|record| record.image))
}

fn open(args: &CaptureArgs) -> Result<Box<dyn Disk>> {
    let kind = std::fs::metadata(&args.source)?.file_type();
    Ok(match kind.is_block_device() {
        true => Box::new(BlockDevice::open(&args.source)?),
        false => Box::new(FileDisk::open(&args.source, args.sector_size)?),
    })
}

fn ingest(args: &CaptureArgs) -> IngestOptions {
    IngestOptions {
        profile: args.profile.into(),
        threads: args.threads,
        paranoid: args.tree.paranoid,
        ..IngestOptions::default()
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs()
}

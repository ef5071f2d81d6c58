//! `mimeo capture`: a disk or a directory becomes an image.

mod progress;
mod tree;

use std::fs::FileType;
use std::os::unix::fs::FileTypeExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use image_format::ingest::IngestOptions;
use image_format::refs::check_new_name;
use image_format::{ImageId, Share, Store};
use imager::capture::{CaptureOptions, capture};
use imager::disk::Disk;
use imager::disk::file::FileDisk;
use imager::disk::linux::BlockDevice;

use crate::apart;
use crate::args::{CaptureArgs, TreeArgs};
use crate::exit::wrong;
use crate::interrupt;
use crate::location;
use crate::output::{self, bytes};
use progress::Progress;

/// Captures what the arguments name; the source is only ever read.
pub(crate) fn run(args: &CaptureArgs, json: bool) -> Result<()> {
    if let Err(error) = check_new_name(&args.name) {
        return wrong(error.to_string());
    }
    let capturing = || format!("capturing {}", args.source.display());
    let is_directory = check(args).with_context(capturing)?;
    let store = location::store_to_capture(&args.share, [&args.name])?;
    interrupt::note()?;
    match is_directory {
        true => tree::run(args, &*store, json).with_context(capturing),
        false => disk(args, &*store, json).with_context(capturing),
    }
}

/// Whether the source is a directory; refuses what can be no source at all.
fn check(args: &CaptureArgs) -> Result<bool> {
    let found = std::fs::metadata(&args.source)?;
    let kind = found.file_type();
    apart::outside(
        &args.source,
        &args.share,
        "a share is copied with `mimeo image export`",
    )?;
    if kind.is_dir() {
        return Ok(true);
    }
    if !kind.is_file() && !kind.is_block_device() {
        bail!(
            "expected a directory, a block device or a disk image file, found {}",
            word(kind)
        );
    }
    let sector = u64::from(args.sector_size.max(1));
    if kind.is_file() && (found.len() == 0 || !found.len().is_multiple_of(sector)) {
        bail!(
            "no disk image: expected a whole number of sectors of {sector} bytes, found {} bytes; \
             to capture a file, capture its directory instead",
            found.len()
        );
    }
    for_directories_only(&args.tree)?;
    Ok(false)
}

fn word(kind: FileType) -> &'static str {
    match () {
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () if kind.is_char_device() => "a character device",
        () => "something else",
    }
}

/// Options that speak of names in a directory are not passed over in silence.
fn for_directories_only(tree: &TreeArgs) -> Result<()> {
    let given = [
        ("--exclude", !tree.exclude.is_empty()),
        ("--exclude-from", !tree.exclude_from.is_empty()),
        ("--no-default-excludes", tree.no_default_excludes),
        ("--strict", tree.strict),
        ("--skip-unreadable", tree.skip_unreadable),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((option, _)) => wrong(format!(
            "{option} is for directories; of a disk all is captured, and what cannot be read fails it"
        )),
        None => Ok(()),
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
    let outcome = capture(disk.as_ref(), store, &options, &mut |at| {
        progress.disk(&at);
        interrupt::go_on()
    });
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
    location::warn_of_refs(share.unreadable(), &args.share);
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

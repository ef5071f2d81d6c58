//! A directory becomes an image, that of a running system included.
//!
//! ```text
//! walk: names in order -> look at each (threads) -> groups, parent (in order)
//!   -> open, read, cut, hash (threads) -> store (in order) -> compress (threads) -> packs
//! ```
//!
//! Strictly read only: nothing is written, no link is followed, neither pipes
//! nor devices are opened. What waits between two steps is bounded in bytes.

mod before;
mod bytes;
mod error;
mod identity;
mod line;
mod link;
mod notes;
mod read;
mod steps;
mod store;
mod walk;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

use image_format::image::ImageRecord;
use image_format::ingest::{ImageWriter, Ingest, IngestOptions, NewImage};
use image_format::layout::DiskLayout;
use image_format::share::Share;
use image_format::store::Store;

pub use error::TreeError;
pub use identity::{Root, is_system_root};
pub use notes::{Noted, Reason};

use crate::tree::exclude::Excludes;
use crate::tree::marker::Marker;
use crate::tree::metadata;
use notes::Notes;
use read::Reading;
use store::Storing;
use walk::Rules;

/// What is captured, and how.
#[derive(Debug, Clone)]
pub struct TreeOptions {
    /// The name to capture under.
    pub name: String,
    /// Seconds since 1970 now: libraries have no clock.
    pub captured: u64,
    /// The image this one follows; `None` takes the newest of the same name
    /// and source.
    pub parent: Option<ImageRecord>,
    /// What is left out.
    pub excludes: Excludes,
    /// Files, and directories with all that is in them, that are left out: the share.
    pub omit: Vec<PathBuf>,
    /// Keep access and change times as they are; they differ with every capture.
    pub all_times: bool,
    /// Read everything again, whatever the parent says.
    pub paranoid: bool,
    /// Fail when an entry vanishes or changes while it is read.
    pub strict: bool,
    /// Leave out and name what cannot be read, instead of failing.
    pub skip_unreadable: bool,
    /// How many paths are named for each reason.
    pub named: usize,
    /// Threads that read; 0 takes one a core.
    pub threads: usize,
    /// How to store.
    pub ingest: IngestOptions,
}

/// How far a capture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TreeProgress {
    /// Entries handed on.
    pub entries: u64,
    /// Bytes of their contents, holes included.
    pub bytes: u64,
    /// Bytes that were read.
    pub read: u64,
    /// Of these, bytes the share did not have.
    pub new: u64,
    /// Bytes written for them.
    pub stored: u64,
    /// Entries taken from the parent without reading.
    pub unchanged: u64,
    /// About how many bytes of contents there are, if that is known.
    pub total_bytes: Option<u64>,
}

/// A finished capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeOutcome {
    /// The image as committed.
    pub record: ImageRecord,
    /// What was handed on, read and stored.
    pub progress: TreeProgress,
    /// What was left out, or did not hold still.
    pub notes: Vec<(Reason, Noted)>,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// Captures the directory at `root` into `share`'s store. `watch` hears how far
/// it is, and may end it.
///
/// # Errors
/// The first failure, or the wish to end. What was stored until then is orphaned, not an image,
/// and found again by the next capture.
pub fn capture<S: Store>(
    root: &Root,
    share: &Share<S>,
    options: &TreeOptions,
    watch: &mut dyn FnMut(TreeProgress) -> ControlFlow<()>,
) -> Result<TreeOutcome, TreeError> {
    refuse_half_applied(root)?;
    let notes = Notes::new(options.named);
    let parent = match options.paranoid {
        true => None,
        false => parent(root, share, options),
    };
    let omit = omitted(&options.omit);
    let reading = Reading {
        notes: &notes,
        omit: &omit,
        skip_unreadable: options.skip_unreadable,
        all_times: options.all_times,
        captured: i64::try_from(options.captured).unwrap_or(i64::MAX),
    };
    let rules = Rules {
        excludes: &options.excludes,
        omit: &omit,
        notes: &notes,
        skip_unreadable: options.skip_unreadable,
    };
    let mut warnings = Vec::new();
    let (record, progress) = std::thread::scope(|scope| {
        let mut ingest = Ingest::in_scope(scope, share.store(), options.ingest)?;
        let mut image = ImageWriter::new(DiskLayout::tree());
        image.volume(&mut ingest, 0)?;
        let mut storing = Storing::new(ingest, image, &reading, watch);
        let known = parent.as_ref().map(|record| record.logical_size);
        storing.progress.total_bytes = known.or_else(|| root.used_bytes());
        let before = parent.as_ref().map(|record| (share, record));
        let broken = steps::run(
            root,
            &rules,
            &reading,
            before,
            options.threads,
            &mut storing,
        )?;
        warnings.extend(broken.map(|error| {
            let error = with_causes(&error);
            format!("the parent could not be read, so everything after that was: {error}")
        }));
        if options.strict {
            notes.refuse()?;
        }
        let mut progress = storing.progress;
        let record = NewImage {
            name: options.name.clone(),
            captured: options.captured,
            parent: options
                .parent
                .as_ref()
                .or(parent.as_ref())
                .map(|record| record.image),
            system: root.system_words(),
            source: Some(root.identity().to_owned()),
        };
        let Storing { ingest, image, .. } = storing;
        let (record, done) = ingest.finish_counted(image, record)?;
        // The last packs are stored only now.
        (progress.new, progress.stored) = (done.new, done.stored);
        Ok::<_, TreeError>((record, progress))
    })?;
    Ok(TreeOutcome {
        record,
        progress,
        notes: notes.finish(),
        warnings,
    })
}

/// A tree an apply was interrupted in is not whole, and with the note in it no
/// image of it could be applied.
fn refuse_half_applied(root: &Root) -> Result<(), TreeError> {
    match Marker::read(&root.dir) {
        Ok(None) => Ok(()),
        Ok(Some(Ok(marker))) => Err(TreeError::HalfApplied {
            image: marker.image,
        }),
        Ok(Some(Err(()))) | Err(_) => Err(TreeError::Reserved),
    }
}

/// The image to compare with: the one asked for, or the newest of this name
/// if it was taken from the same source.
fn parent<S: Store>(root: &Root, share: &Share<S>, options: &TreeOptions) -> Option<ImageRecord> {
    options.parent.clone().or_else(|| {
        let newest = share.history(&options.name).last()?;
        (newest.source.as_deref() == Some(root.identity())).then(|| newest.clone())
    })
}

/// Device and inode of what is left out, as a walk meets it. What is not there
/// cannot be met.
fn omitted(paths: &[PathBuf]) -> HashSet<Inode> {
    let number = |path: &PathBuf| {
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
        let there = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).ok()?;
        let stat = metadata::stat(there.as_fd(), b"").ok()?;
        Some((stat.device, stat.inode))
    };
    paths.iter().filter_map(number).collect()
}

/// An error with its causes, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

/// Device (major, minor) and inode number.
type Inode = ((u32, u32), u64);
/// Shared among the steps.
type Shared<T> = Arc<std::sync::Mutex<T>>;

//! A directory compared with an image: every attribute and every byte, each
//! difference by name, and what was proven if there is none.
//!
//! One thread goes through the entries of the image; many read and hash. What
//! they found is put together in path order, so that the root hash over it is
//! that of the image.

mod compare;
mod content;
pub(crate) mod difference;
mod extras;
mod order;
mod proven;

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex};

use image_format::ShareError;
use image_format::entry::{Entry, Kind};

pub use compare::How;
pub(crate) use content::holds_piece;
pub use difference::{TreeDifference, TreeWhat};
pub use proven::{Proven, Receipt};

use super::error::TreeError;
use super::held::{Holder, probe};
use super::place::{Descriptors, Folders, PlaceError, ROOT, Trail, known, open_root, text};
use super::plan::wish::Origin;
use compare::Item;
use difference::Report;
use order::Batch;

/// What is asked of a comparison by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Question {
    /// Things that are not of the image are differences.
    pub extras: bool,
    /// What such a target cannot hold anyway is no difference.
    pub allow_loss: bool,
    /// Read what lies on the medium, not what the kernel remembers.
    pub past_cache: bool,
}

/// Compares the directory `target` with a volume. What was proven, or every
/// difference (bounded).
///
/// # Errors
/// The image cannot be read, or the target cannot be opened.
pub fn verify(
    target: &Path,
    origin: &Origin<'_>,
    question: &Question,
    watch: &(dyn Fn(u64) + Sync),
) -> Result<Result<Proven, Vec<TreeDifference>>, TreeError> {
    let opening = |source: rustix::io::Errno| TreeError::Path {
        doing: "opening",
        path: target.display().to_string(),
        source: source.into(),
    };
    let root = open_root(target).map_err(opening)?;
    let can = match question.allow_loss {
        true => probe(&root).map_err(opening)?,
        false => super::held::Abilities::all(),
    };
    let how = How {
        can,
        extras: question.extras,
        past_cache: question.past_cache,
        under_way: false,
    };
    if question.past_cache {
        // What is not written yet cannot leave the cache.
        let _ = rustix::fs::syncfs(root.as_fd());
    }
    verify_at(&Descriptors::new(root), origin, &how, watch)
}

/// The same in folders that are open already.
pub(crate) fn verify_at(
    descriptors: &Descriptors,
    origin: &Origin<'_>,
    how: &How,
    watch: &(dyn Fn(u64) + Sync),
) -> Result<Result<Proven, Vec<TreeDifference>>, TreeError> {
    let links = links(origin, how)?;
    let report = Mutex::new(Report::default());
    let mut walk = Walk {
        descriptors,
        trail: Trail::default(),
        folders: Folders::new(),
        known: Vec::new(),
        links: &links,
        firsts: HashMap::new(),
        how,
        report: &report,
    };
    let threads = content::threads();
    let volume = std::thread::scope(|scope| {
        let shared = compare::Shared {
            how,
            report: &report,
            watch,
        };
        let (send, done) = order::start(scope, shared, threads);
        let mut proof = proven::Running::new(origin.partition, &report);
        let mut holder = Holder::new(&how.can, origin.volume);
        let mut batch = Batch::default();
        let mut flow = order::Flow::new(send, done);
        for entry in (origin.entries)()? {
            let entry = entry?;
            walk.note(&entry.path);
            let Some(entry) = holder.hold(entry, &mut |_| {}) else {
                continue;
            };
            if let Some(item) = walk.entry(entry)? {
                batch.push(item);
                if batch.is_full() {
                    flow.send(std::mem::take(&mut batch), &mut proof);
                }
            }
        }
        flow.send(batch, &mut proof);
        flow.finish(&mut proof);
        Ok::<_, TreeError>(proof.finish())
    })?;
    if how.extras {
        walk.known.sort_unstable();
        extras::find(
            descriptors,
            &walk.folders,
            &walk.known,
            &report,
            how.under_way,
        );
    }
    let report = report
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let differences = report.finish();
    Ok(match differences.is_empty() {
        true => Ok(Proven {
            image: origin.image,
            volume,
        }),
        false => Err(differences),
    })
}

/// For each hard link group the number of its names.
fn links(origin: &Origin<'_>, how: &How) -> Result<HashMap<u32, u32>, ShareError> {
    let mut links = HashMap::new();
    let mut holder = Holder::new(&how.can, origin.volume);
    for entry in (origin.entries)()? {
        let held = holder.hold(entry?, &mut |_| {});
        if let Some(link) = held.and_then(|entry| entry.link) {
            *links.entry(link).or_insert(0) += 1;
        }
    }
    Ok(links)
}

struct Walk<'w> {
    descriptors: &'w Descriptors,
    trail: Trail,
    folders: Folders,
    known: Vec<[u8; 16]>,
    links: &'w HashMap<u32, u32>,
    /// First names of hard link groups.
    firsts: HashMap<u32, Arc<[u8]>>,
    how: &'w How,
    report: &'w Mutex<Report>,
}

impl Walk<'_> {
    /// Remembers a name of the image, also of what a directory cannot hold.
    fn note(&mut self, path: &[u8]) {
        if self.how.extras
            && let Some((parent, name)) = self.trail.parent(path)
        {
            self.known.push(known(parent, name));
        }
    }

    /// The entry with the open folder it lies in; `None` when that folder is not
    /// there, which is told.
    fn entry(&mut self, entry: Entry) -> Result<Option<Item>, TreeError> {
        if entry.path.is_empty() {
            self.trail.enter(b"", ROOT);
            let folder = self.descriptors.root().clone();
            return Ok(Some(Item {
                folder,
                entry,
                names: 1,
                first: None,
            }));
        }
        let strange = || PlaceError::Path {
            path: text(&entry.path),
        };
        let (parent, name) = self.trail.parent(&entry.path).ok_or_else(strange)?;
        if entry.kind == Kind::Directory {
            let id = self.folders.push(parent, name)?;
            self.trail.enter(&entry.path, id);
        }
        let (names, first) = self.group(&entry);
        match self.descriptors.folder(&self.folders, parent) {
            Ok(folder) => Ok(Some(Item {
                folder,
                entry,
                names,
                first,
            })),
            Err(error) => {
                difference::lacking(self.report, &entry.path, error);
                Ok(None)
            }
        }
    }

    /// How many names the inode has, and the first of them if there are several.
    fn group(&mut self, entry: &Entry) -> (u32, Option<Arc<[u8]>>) {
        let Some(link) = entry.link else {
            return (1, None);
        };
        let names = self.links.get(&link).copied().unwrap_or(1);
        let first = self
            .firsts
            .entry(link)
            .or_insert_with(|| entry.path.as_slice().into());
        (names, (names > 1).then(|| Arc::clone(first)))
    }
}

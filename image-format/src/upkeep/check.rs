//! Is every image whole, and is every file of the share what it should be?
//!
//! Without reading data: refs, manifests to their last leaf, the index, and of
//! every pack its length and what it says of itself against the index. With
//! reading data: every byte of every pack, hashed, expanded, hashed again. A
//! pack that images need and that lies in the trash only is read in any case:
//! a repair may have put it there, and then it is damaged.
//! Memory grows with the rows of the index by bits, and with what is wrong.

mod finding;
mod manifests;
mod packs;
mod touched;
mod trash;

use std::collections::{BTreeMap, BTreeSet};

use crate::fetch::MissingChunk;
use crate::ids::{ChunkId, ImageId, PackId};
use crate::image::ImageRecord;
use crate::index::{Index, IndexError, Segment, read_segment};
use crate::manifest::ManifestError;
use crate::share::{Share, ShareError, UnreadableRef, chain, read_ref};
use crate::store::{LeaseId, RefName, Store, StoreError};
use crate::upkeep::mark::Marks;
use touched::Touched;
use trash::InTrash;

pub use finding::Finding;
pub(crate) use finding::as_texts;
pub(crate) use packs::Harm;

/// What to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CheckOptions {
    /// Read every pack to its last byte, and not only what is needed of the trash.
    pub read_data: bool,
}

/// What was looked at and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// How many refs were followed.
    pub refs: u64,
    /// How many different images they name.
    pub images: u64,
    /// How many packs were compared with the index.
    pub packs: u64,
    /// How many blocks they hold.
    pub blocks: u64,
    /// Their stored bytes.
    pub stored: u64,
    /// Bytes of packs that were read and compared.
    pub read: u64,
    /// Packs that no ref reaches: garbage, or a capture's that goes on. Harmless.
    pub unreached_packs: Vec<PackId>,
    /// What is wrong; empty for a healthy share.
    pub findings: Vec<Finding>,
    /// Images that no name leads to, though deletions may explain it. The next
    /// collection takes them away.
    pub nameless: Vec<ImageId>,
}

/// Looks at everything and reads all of it.
///
/// # Errors
/// As [`check_with`].
pub fn check(store: &dyn Store) -> Result<CheckReport, StoreError> {
    check_with(store, &CheckOptions { read_data: true })
}

/// Looks at everything. Findings are part of the report; an error means that
/// the store could not even be listed.
///
/// # Errors
/// The store cannot be listed.
pub fn check_with(store: &dyn Store, options: &CheckOptions) -> Result<CheckReport, StoreError> {
    Ok(look(store, options, None)?.report)
}

/// A report, and what somebody who mends the share needs beside it.
pub(crate) struct Looked<'s> {
    pub(crate) report: CheckReport,
    pub(crate) share: Share<&'s dyn Store>,
    /// What images need, as far as they can be read.
    pub(crate) marks: Marks,
    /// Each damage: the pack, where in it, and of what kind.
    pub(crate) harms: Vec<(PackId, Option<u64>, Harm)>,
    /// Segments that cannot be read.
    pub(crate) damaged_segments: u64,
    /// Refs whose bytes are none.
    pub(crate) damaged_refs: Vec<RefName>,
}

/// Looks at everything and keeps what was learned. Who has a lease names it: it
/// is no sign of somebody else at work.
pub(crate) fn look<'s>(
    store: &'s dyn Store,
    options: &CheckOptions,
    own: Option<LeaseId>,
) -> Result<Looked<'s>, StoreError> {
    let mut check = Check {
        store,
        own,
        report: CheckReport::default(),
        touched: Touched::default(),
        broken: BTreeMap::new(),
        harms: Vec::new(),
        damaged_refs: Vec::new(),
    };
    let records = check.refs()?;
    let before = check.report.findings.len();
    let segments = check.segments()?;
    let damaged_segments = (check.report.findings.len() - before) as u64;
    let index = Index::beside(store, segments)?;
    let share = Share::of_parts(store, index, records);
    let marks = check.images(&share)?;
    check.manifests(&share)?;
    check.packs(&share, &marks, options)?;
    check.name_images(&share);
    check.report.findings.sort();
    Ok(Looked {
        report: check.report,
        share,
        marks,
        harms: check.harms,
        damaged_segments,
        damaged_refs: check.damaged_refs,
    })
}

struct Check<'s> {
    store: &'s dyn Store,
    own: Option<LeaseId>,
    report: CheckReport,
    /// Which images a finding touches is found out at the end, if there are any.
    touched: Touched,
    /// Images whose manifest cannot be read, and so not whom they touch either.
    broken: BTreeMap<ImageId, String>,
    harms: Vec<(PackId, Option<u64>, Harm)>,
    damaged_refs: Vec<RefName>,
}

impl Check<'_> {
    fn refs(&mut self) -> Result<Vec<ImageRecord>, StoreError> {
        let mut records = Vec::new();
        for at in self.store.list_refs()? {
            self.report.refs += 1;
            match read_ref(self.store, &at, None) {
                Ok(read) => records.push(read.record),
                // Deleted since the list was read.
                Err(ShareError::Store(StoreError::Missing { .. })) => self.report.refs -= 1,
                Err(error) => self.unreadable(at, error),
            }
        }
        Ok(records)
    }

    fn unreadable(&mut self, at: RefName, error: ShareError) {
        let found = match UnreadableRef::of(at.clone(), error) {
            Ok(lost) => {
                if lost.is_damaged {
                    self.damaged_refs.push(at.clone());
                }
                format!("{}; {}", lost.reason, lost.next_step())
            }
            Err(error) => chain(&error),
        };
        self.report.findings.push(Finding {
            file: at.file(),
            offset: None,
            expected: "a ref of this name and sequence".to_owned(),
            found,
            images: vec![at],
        });
    }

    /// All segments that can be read: a damaged one is a finding, not the end.
    fn segments(&mut self) -> Result<Vec<Segment>, StoreError> {
        let mut segments = Vec::new();
        for id in self.store.list_indexes()? {
            match read_segment(self.store, id) {
                Ok(segment) => segments.push(segment),
                // Merged since the list was read.
                Err(IndexError::Store(StoreError::Missing { .. })) => {}
                Err(error) => self.report.findings.push(Finding {
                    file: format!("index/{id}.idx"),
                    offset: None,
                    expected: "rows whose hash is the file's name".to_owned(),
                    found: chain(&error),
                    images: Vec::new(),
                }),
            }
        }
        Ok(segments)
    }

    /// Follows every image; marks what it needs.
    fn images(&mut self, share: &Share<&dyn Store>) -> Result<Marks, StoreError> {
        let mut marks = Marks::new(share.index());
        let mut images: BTreeMap<ImageId, Vec<RefName>> = BTreeMap::new();
        for record in share.records() {
            let names = images.entry(record.image).or_default();
            names.push(place(record));
            // A tag of an image that was followed needs nothing more, but for
            // its witnesses.
            if names.len() == 1 || record.witnesses.is_some() {
                self.image(share, record, &mut marks);
            }
        }
        self.report.images = images.len() as u64;
        Ok(marks)
    }

    fn image(&mut self, share: &Share<&dyn Store>, record: &ImageRecord, marks: &mut Marks) {
        let chunks = match share.image_chunks(record) {
            Ok(chunks) => chunks,
            Err(error) => return self.broken_image(share, record, &error),
        };
        let index = share.index();
        let mut lengths = Vec::new();
        for chunk in &chunks {
            match marks.mark_with_bases(index, &chunk.id, &mut |_| {}) {
                Ok(()) => {}
                Err(missing) => self.missing(index, &missing.id),
            }
            let found = index.locate(&chunk.id).map(|at| at.chunk.length);
            if found.is_some_and(|found| found != chunk.length) {
                lengths.push((chunk, found.unwrap_or(0)));
            }
        }
        for (chunk, found) in lengths {
            self.report.findings.push(Finding {
                file: format!("manifests/{}.man", record.image),
                offset: None,
                expected: format!("chunk {} with {found} bytes", chunk.id.short()),
                found: format!("a file that wants {} bytes of it", chunk.length),
                images: vec![place(record)],
            });
        }
    }

    fn broken_image(
        &mut self,
        share: &Share<&dyn Store>,
        record: &ImageRecord,
        error: &ShareError,
    ) {
        // A damaged block is found with the packs, a missing one only here.
        if let Some(id) = unread(error).filter(|id| share.index().locate(id).is_none()) {
            self.missing(share.index(), &id);
        }
        if self.broken.insert(record.image, chain(error)).is_none() {
            self.report.findings.push(Finding {
                file: format!("manifests/{}.man", record.image),
                offset: None,
                expected: "a manifest that can be read to its last leaf".to_owned(),
                found: chain(error),
                images: Vec::new(),
            });
        }
        // The ref names the image, whatever can be read of it.
        let file = format!("manifests/{}.man", record.image);
        let finding = self
            .report
            .findings
            .iter_mut()
            .find(|finding| finding.file == file);
        if let Some(finding) = finding {
            finding.images.push(place(record));
        }
    }

    /// A needed chunk that no block holds: its pack is gone, or nobody knows it.
    fn missing(&mut self, index: &Index, id: &ChunkId) {
        let mut rows = index.segments().iter().flat_map(|segment| {
            let blocks = segment.rows_of(id).filter_map(|row| segment.chunk_row(row));
            blocks.filter_map(|(_, block)| Some(segment.block_row(block)?.0.pack))
        });
        match rows.next() {
            Some(pack) => self.touched.packs.insert(pack),
            None => self.touched.chunks.insert(*id),
        };
    }

    /// Adds what is wrong with packs, and who needs what is damaged.
    fn packs(
        &mut self,
        share: &Share<&dyn Store>,
        marks: &Marks,
        options: &CheckOptions,
    ) -> Result<(), StoreError> {
        let needed = packs::needed(share.index(), marks);
        let mut packs: BTreeSet<PackId> = self.store.list_packs()?.into_iter().collect();
        let in_trash = InTrash::list(self.store, &packs)?;
        self.report.unreached_packs = packs.difference(&needed).copied().collect();
        // Some may lie in the trash: they are read there.
        packs.extend(&needed);
        let packs: Vec<PackId> = packs.into_iter().collect();
        let outcome = packs::look(share, &packs, &|pack| {
            options.read_data || in_trash.has(pack)
        });
        self.report.packs = packs.len() as u64;
        self.report.blocks = outcome.blocks;
        self.report.stored = outcome.stored;
        self.report.read = outcome.read;
        for mut wrong in outcome.wrong {
            if let Some(file) = in_trash.file(&wrong.pack) {
                wrong.finding.file = file;
            }
            self.touched.note(&wrong);
            self.harms.push((wrong.pack, wrong.block, wrong.harm));
            self.report.findings.push(wrong.finding);
        }
        for pack in self.touched.packs.clone() {
            let known = self
                .report
                .findings
                .iter()
                .any(|finding| finding.is_of(&pack));
            if !known {
                self.report.findings.push(Finding::of_pack(
                    &pack,
                    None,
                    "a pack that the index tells of",
                    "nothing",
                ));
            }
        }
        for chunk in &self.touched.chunks {
            self.report.findings.push(Finding {
                file: "index".to_owned(),
                offset: None,
                expected: format!("a block that holds chunk {chunk}"),
                found: "none".to_owned(),
                images: Vec::new(),
            });
        }
        Ok(())
    }

    fn name_images(&mut self, share: &Share<&dyn Store>) {
        if !self.touched.is_empty() {
            self.touched.name_images(share, &mut self.report.findings);
        }
    }
}

fn place(record: &ImageRecord) -> RefName {
    RefName {
        name: record.name.clone(),
        sequence: record.sequence,
    }
}

/// The chunk for whose sake an image could not be read.
fn unread(error: &ShareError) -> Option<ChunkId> {
    match error {
        ShareError::Missing(MissingChunk { id })
        | ShareError::Manifest {
            source: ManifestError::Unread { id, .. },
            ..
        } => Some(*id),
        _ => None,
    }
}

//! Damage is taken out of use: what is whole moves to new packs, what is not
//! goes to the trash with the pack it lies in.
//!
//! As long as a damaged block lies among the packs, every capture of the same
//! files counts on it. Writers do not look into the trash, so the next capture
//! stores its chunks again, and with them every image that needs them is whole.
//! Nothing is destroyed here: garbage collection keeps a damaged pack in the
//! trash for as long as an image needs something that lies nowhere else.
//!
//! A ref that is none is set aside, as if its version had been deleted.

mod salvage;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use thiserror::Error;

use super::check::{CheckOptions, CheckReport, Harm, Looked, as_texts, look};
use super::leases::Lease;
use super::reindex::{ReindexError, reindex};
use crate::block::SealError;
use crate::ids::PackId;
use crate::index::SegmentError;
use crate::pack::PackError;
use crate::store::{RefName, Run, Store, StoreError};
use salvage::Salvage;

/// Damage of bases shows when what they lie in was mended; bases are one deep.
const PASSES: u32 = 8;

/// How to repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RepairOptions {
    /// Only tell what would be done.
    pub dry_run: bool,
}

/// What was done, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RepairReport {
    /// Packs with damage, which lie in the trash now.
    pub damaged: Vec<PackId>,
    /// Blocks of them that are whole and lie in new packs now.
    pub kept: u64,
    /// Blocks of them that are lost.
    pub lost: u64,
    /// New packs.
    pub written: u64,
    /// Whether the index was made again: it told of what no pack holds.
    pub reindexed: bool,
    /// Refs that were none, and are set aside: these versions count as deleted.
    #[serde(serialize_with = "as_texts")]
    pub refs: Vec<RefName>,
}

/// Repairing failed. Every step leaves each image as whole as it was: run it again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RepairError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index could not be made again.
    #[error("making the index again")]
    Index(#[from] ReindexError),
    /// A pack could not be made.
    #[error("writing what is whole of a damaged pack")]
    Pack(#[from] PackError),
    /// A block could not be made.
    #[error("writing what is whole of a block")]
    Block(#[from] SealError),
    /// A segment could not be made.
    #[error("making an index segment")]
    Segment(#[from] SegmentError),
}

/// Reads every pack, takes what is damaged out of use, and looks again: the
/// second report says what images lack until it is captured again. When only
/// telling, it says what is damaged.
///
/// # Errors
/// The store failed.
pub fn repair(
    store: &dyn Store,
    options: &RepairOptions,
) -> Result<(RepairReport, CheckReport), RepairError> {
    let all = CheckOptions { read_data: true };
    let mut report = RepairReport::default();
    if options.dry_run {
        let looked = look(store, &all, None)?;
        let here: BTreeSet<PackId> = store.list_packs()?.into_iter().collect();
        let damaged = damaged(&looked, &here).into_keys();
        report.damaged = damaged.filter(|pack| here.contains(pack)).collect();
        report.reindexed = rows_are_wrong(&looked);
        report.refs.clone_from(&looked.damaged_refs);
        return Ok((report, looked.report));
    }
    let mut lease = Lease::take(store, "repair")?;
    let own = Some(lease.id());
    let run = Run::of(store.now(), lease.id());
    let mut looked = look(store, &all, own)?;
    if set_refs_aside(store, &looked, &mut report)? {
        looked = look(store, &all, own)?;
    }
    if rows_are_wrong(&looked) {
        reindex(store)?;
        report.reindexed = true;
        looked = look(store, &all, own)?;
    }
    for _ in 0..PASSES {
        lease.renew()?;
        if !pass(store, run, &looked, &mut lease, &mut report)? {
            break;
        }
        looked = look(store, &all, own)?;
    }
    Ok((report, looked.report))
}

/// Takes damaged refs out of use; says whether there were any. Nobody can tell
/// what they named, and garbage collection waits for that to be told.
fn set_refs_aside(
    store: &dyn Store,
    looked: &Looked<'_>,
    report: &mut RepairReport,
) -> Result<bool, StoreError> {
    for at in &looked.damaged_refs {
        match store.set_ref_aside(at) {
            Ok(()) => report.refs.push(at.clone()),
            // Deleted meanwhile.
            Err(StoreError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(!looked.damaged_refs.is_empty())
}

/// The index tells of what is not there, or cannot be read.
fn rows_are_wrong(looked: &Looked<'_>) -> bool {
    let mut harms = looked.harms.iter();
    looked.damaged_segments > 0 || harms.any(|(_, _, harm)| *harm == Harm::Row)
}

/// The places that are lost of every damaged pack.
fn damaged(looked: &Looked<'_>, here: &BTreeSet<PackId>) -> BTreeMap<PackId, BTreeSet<u64>> {
    let of = |kind: Harm| {
        let mut packs: BTreeMap<PackId, BTreeSet<u64>> = BTreeMap::new();
        for (pack, place, _) in looked.harms.iter().filter(|(_, _, harm)| *harm == kind) {
            packs.entry(*pack).or_default().extend(place);
        }
        packs
    };
    let mut packs = of(Harm::Bytes);
    // A base may lie elsewhere too: a block that leans on a lost one counts as
    // lost only when nothing else is left to mend.
    let is_last = !packs.keys().any(|pack| here.contains(pack));
    for (pack, places) in of(Harm::Base) {
        let in_trash = !here.contains(&pack);
        match packs.get_mut(&pack) {
            Some(lost) if in_trash => lost.extend(places),
            None if is_last && !in_trash => drop(packs.insert(pack, places)),
            _ => {}
        }
    }
    packs
}

/// Takes what is damaged out of use once; says whether anything changed.
fn pass(
    store: &dyn Store,
    run: Run,
    looked: &Looked<'_>,
    lease: &mut Lease<&dyn Store>,
    report: &mut RepairReport,
) -> Result<bool, RepairError> {
    let here: BTreeSet<PackId> = store.list_packs()?.into_iter().collect();
    let mut any = false;
    for (pack, lost) in damaged(looked, &here) {
        lease.beat()?;
        let salvage = Salvage {
            store,
            run,
            looked,
            pack,
            lost: &lost,
            is_here: here.contains(&pack),
        };
        any |= salvage.carry_out(report)?;
    }
    store.settle()?;
    Ok(any)
}

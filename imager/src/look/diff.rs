//! What differs between two trees. Leaves both have are skipped unread, so the
//! cost follows the differences and not the trees.

mod aspect;
mod linked;
mod merge;

use std::collections::BTreeMap;

use image_format::entry::Entry;
use image_format::ids::ImageId;
use image_format::manifest::directory::LeafRef;
use image_format::share::{Share, ShareError};
use image_format::store::Store;

pub use aspect::Aspect;
use linked::Linked;
use merge::{Cursor, Step};

use super::{LookError, Tree};

/// One path that is not the same in both trees.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, on its way")]
pub enum Change {
    /// Only the newer tree has it.
    Added(Entry),
    /// Only the older tree has it.
    Removed(Entry),
    /// Both have it, but not equal.
    Changed {
        /// In the older tree.
        old: Entry,
        /// In the newer tree.
        new: Entry,
        /// In what they differ; never empty.
        aspects: Vec<Aspect>,
    },
}

impl Change {
    /// The path it is about.
    pub fn path(&self) -> &[u8] {
        match self {
            Self::Added(entry) | Self::Removed(entry) => &entry.path,
            Self::Changed { new, .. } => &new.path,
        }
    }
}

/// The trees of one partition number in two images.
#[derive(Debug)]
pub struct Pair {
    /// The partition's number.
    pub number: u32,
    /// Its tree in the older image, if it has one.
    pub old: Option<Tree>,
    /// Its tree in the newer image, if it has one.
    pub new: Option<Tree>,
}

/// Which trees of two images belong together: those of equal partition numbers.
///
/// # Errors
/// The share cannot answer.
pub fn pairs<S: Store>(
    share: &Share<S>,
    old: ImageId,
    new: ImageId,
) -> Result<Vec<Pair>, LookError> {
    let mut pairs: BTreeMap<u32, Pair> = BTreeMap::new();
    let pair = |number| Pair {
        number,
        old: None,
        new: None,
    };
    for tree in Tree::all(share, old)? {
        let number = tree.number();
        pairs.entry(number).or_insert_with(|| pair(number)).old = Some(tree);
    }
    for tree in Tree::all(share, new)? {
        let number = tree.number();
        pairs.entry(number).or_insert_with(|| pair(number)).new = Some(tree);
    }
    Ok(pairs.into_values().collect())
}

/// Hands every difference at or below `under` to `see`, in path order. `under`
/// is a path as entries have it: no slash at either end, empty for everything.
///
/// # Errors
/// The share cannot answer, or `see` fails.
pub fn diff<S: Store>(
    share: &Share<S>,
    old: &Tree,
    new: &Tree,
    under: &[u8],
    see: &mut dyn FnMut(Change) -> Result<(), LookError>,
) -> Result<(), LookError> {
    let load = |leaf: &LeafRef| {
        let id = new.image();
        let entries = share.leaf(leaf);
        Ok(entries.map_err(|source| ShareError::Manifest { id, source })?)
    };
    let mut before = Cursor::new(old.leaves(), under, &load);
    let mut after = Cursor::new(new.leaves(), under, &load);
    let mut linked = Linked::new(share, old, new);
    merge::merge(&mut before, &mut after, &mut |step| match step {
        Step::Old(entry) => see(Change::Removed(entry)),
        Step::New(entry) => see(Change::Added(entry)),
        Step::Both(old, new) => {
            let aspects = aspect::differing(&old, &new, &mut linked)?;
            match aspects.is_empty() {
                true => Ok(()),
                false => see(Change::Changed { old, new, aspects }),
            }
        }
    })
}

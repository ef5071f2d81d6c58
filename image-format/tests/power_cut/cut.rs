//! What a power cut may leave of what was not durable.

use std::path::Path;
use std::sync::Arc;

use crate::disk::{Disk, File, Names, Node, apply};

/// How much of it was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// All: only what was synced is there.
    Lost,
    /// Nothing.
    Kept,
    /// The names are there, the bytes are not.
    Names,
    /// Each change of names happened or did not, files are whole, cut short,
    /// zeros or empty: another choice for every number.
    Mixed(u64),
}

impl Disk {
    /// What is found when the power is back.
    pub(crate) fn after(&self, cut: Cut) -> Self {
        let mut state = self.state().clone();
        let mut dice = Dice(match cut {
            Cut::Mixed(seed) => seed,
            _ => 0,
        });
        let mut names = std::mem::take(&mut state.durable);
        for change in std::mem::take(&mut state.pending) {
            let happened = match cut {
                Cut::Lost => false,
                Cut::Kept | Cut::Names => true,
                Cut::Mixed(_) => dice.below(2) == 0,
            };
            if happened {
                apply(&mut names, &change);
            }
        }
        for file in &mut state.files {
            file.durable = left_of(file, cut, &mut dice);
            file.seen = Arc::clone(&file.durable);
        }
        state.durable = reachable(names);
        state.seen = state.durable.clone();
        Self::of(state)
    }

    /// As it is: only the process ended, the system goes on.
    pub(crate) fn as_it_is(&self) -> Self {
        let state = self.state().clone();
        Self::of(state)
    }
}

/// In a directory that did not come to be, nothing is.
fn reachable(names: Names) -> Names {
    let mut there = Names::new();
    // A directory stands before what is in it.
    for (path, node) in names {
        let parent = path.parent();
        if parent.is_none_or(|parent: &Path| there.get(parent) == Some(&Node::Folder)) {
            there.insert(path, node);
        }
    }
    there
}

fn left_of(file: &File, cut: Cut, dice: &mut Dice) -> Arc<[u8]> {
    let (old, new) = (&file.durable, &file.seen);
    match cut {
        Cut::Lost | Cut::Names => Arc::clone(old),
        Cut::Kept => Arc::clone(new),
        Cut::Mixed(_) if Arc::ptr_eq(old, new) => Arc::clone(old),
        Cut::Mixed(_) => {
            let landed = match dice.below(4) {
                0 => 0,
                1 => new.len(),
                _ => dice.below(new.len() + 1),
            };
            let mut bytes = new[..landed].to_vec();
            bytes.extend_from_slice(old.get(landed..).unwrap_or_default());
            if dice.below(2) == 0 {
                bytes.resize(bytes.len().max(new.len()), 0);
            }
            bytes.into()
        }
    }
}

/// A small generator (splitmix64): the same seed, the same cut.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % end as u64).unwrap()
    }
}

//! Two trees walked side by side, leaf by leaf; equal leaves are not read.

use std::cmp::Ordering;
use std::collections::VecDeque;

use image_format::entry::Entry;
use image_format::manifest::directory::LeafRef;

use crate::look::LookError;

/// Reads a leaf's entries, in path order.
pub(super) type Load<'l> = dyn Fn(&LeafRef) -> Result<Vec<Entry>, LookError> + 'l;

/// A place in a tree.
pub(super) struct Cursor<'l> {
    leaves: VecDeque<&'l LeafRef>,
    /// Entries of the leaf that is being walked.
    open: VecDeque<Entry>,
    under: Vec<u8>,
    load: &'l Load<'l>,
}

impl<'l> Cursor<'l> {
    /// A cursor before the first entry at or below `under`.
    pub(super) fn new(leaves: &'l [LeafRef], under: &[u8], load: &'l Load<'l>) -> Self {
        let ends = leaves
            .iter()
            .skip(1)
            .map(|leaf| Some(leaf.first.as_slice()));
        let meets = |(leaf, end): (&'l LeafRef, Option<&[u8]>)| {
            meets(under, &leaf.first, end).then_some(leaf)
        };
        Self {
            leaves: leaves
                .iter()
                .zip(ends.chain([None]))
                .filter_map(meets)
                .collect(),
            open: VecDeque::new(),
            under: under.to_vec(),
            load,
        }
    }

    /// The leaf that begins here, if one does.
    fn leaf(&self) -> Option<&'l LeafRef> {
        match self.open.is_empty() {
            true => self.leaves.front().copied(),
            false => None,
        }
    }

    /// A path no entry to come is smaller than; `None` at the end.
    fn path(&self) -> Option<&[u8]> {
        match self.open.front() {
            Some(entry) => Some(&entry.path),
            None => self.leaves.front().map(|leaf| leaf.first.as_slice()),
        }
    }

    /// Passes the leaf that begins here.
    fn skip(&mut self) {
        self.leaves.pop_front();
    }

    /// Reads the leaf that begins here, if one does and nothing is open.
    fn read(&mut self) -> Result<(), LookError> {
        if self.open.is_empty()
            && let Some(leaf) = self.leaves.pop_front()
        {
            let entries = (self.load)(leaf)?.into_iter();
            let wanted = entries.filter(|entry| lies_under(&self.under, &entry.path));
            self.open = wanted.collect();
        }
        Ok(())
    }
}

/// Whether a leaf from `first` to before `end` may hold `under` or what is below it.
fn meets(under: &[u8], first: &[u8], end: Option<&[u8]>) -> bool {
    if under.is_empty() {
        return true;
    }
    let ends_after = |path: &[u8]| end.is_none_or(|end| end > path);
    // Below `under` lies what is from `under/` to before `under0`: the byte after the slash.
    let (below, behind) = ([under, b"/"].concat(), [under, b"0"].concat());
    (first <= under && ends_after(under)) || (first < behind.as_slice() && ends_after(&below))
}

fn lies_under(under: &[u8], path: &[u8]) -> bool {
    let rest = path.strip_prefix(under);
    under.is_empty() || rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
}

/// One path on which the trees may differ.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, on its way")]
pub(super) enum Step {
    /// Only in the older tree.
    Old(Entry),
    /// Only in the newer tree.
    New(Entry),
    /// In both, with something unequal.
    Both(Entry, Entry),
}

/// Walks both to their ends.
pub(super) fn merge(
    old: &mut Cursor<'_>,
    new: &mut Cursor<'_>,
    see: &mut dyn FnMut(Step) -> Result<(), LookError>,
) -> Result<(), LookError> {
    loop {
        if let (Some(before), Some(after)) = (old.leaf(), new.leaf())
            && before.chunk == after.chunk
        {
            old.skip();
            new.skip();
            continue;
        }
        // Whichever is behind is read; the other may still stand before a leaf
        // that turns out equal.
        let order = match (old.path(), new.path()) {
            (None, None) => return Ok(()),
            (Some(before), Some(after)) => before.cmp(after),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
        };
        let (reads_old, reads_new) = (order.is_le(), order.is_ge());
        if (reads_old && old.leaf().is_some()) || (reads_new && new.leaf().is_some()) {
            if reads_old {
                old.read()?;
            }
            if reads_new {
                new.read()?;
            }
            continue;
        }
        let before = reads_old.then(|| old.open.pop_front()).flatten();
        let after = reads_new.then(|| new.open.pop_front()).flatten();
        match (before, after) {
            (Some(before), Some(after)) if before == after => {}
            (Some(before), Some(after)) => see(Step::Both(before, after))?,
            (Some(before), None) => see(Step::Old(before))?,
            (None, Some(after)) => see(Step::New(after))?,
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests;

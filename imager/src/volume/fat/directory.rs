//! Directories of a settled tree: how long each is, and its bytes.

use std::collections::BTreeMap;

use image_format::entry::{Entry, Kind, Times, Timestamp};

use super::name;
use super::slot::{DIRECTORY, LABEL, SLOT, Short, encode_long, long_slots};

/// 1980-01-01: the label has a time nobody reads, and it must be the same every time.
const LABEL_TIME: Timestamp = Timestamp {
    seconds: 315_532_800,
    nanoseconds: 0,
};
/// What a boot sector says when there is no label.
const NO_LABEL: &[u8; 11] = b"NO NAME    ";

/// Which entries lie in which directory, by index into the tree.
pub(super) struct Directories<'tree> {
    entries: &'tree [Entry],
    children: BTreeMap<usize, Vec<usize>>,
    parents: Vec<Option<usize>>,
}

impl<'tree> Directories<'tree> {
    /// `entries` in path order, the root first, every parent before its children.
    pub(super) fn new(entries: &'tree [Entry]) -> Self {
        let mut by_path: BTreeMap<&[u8], usize> = BTreeMap::new();
        let mut children: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut parents = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let parent = entry.parent().and_then(|path| by_path.get(path).copied());
            if let Some(parent) = parent {
                children.entry(parent).or_default().push(index);
            }
            if entry.kind == Kind::Directory {
                by_path.insert(&entry.path, index);
                children.entry(index).or_default();
            }
            parents.push(parent);
        }
        Self {
            entries,
            children,
            parents,
        }
    }

    /// Indexes of all directories, the root first.
    pub(super) fn all(&self) -> impl Iterator<Item = usize> {
        self.children.keys().copied()
    }

    /// Slots of a directory: its own two or the label, and every child's.
    pub(super) fn slots(&self, directory: usize, label: &[u8; 11]) -> usize {
        let own = if self.is_root(directory) {
            usize::from(has_label(label))
        } else {
            2
        };
        let children = self.children.get(&directory).map_or(&[][..], Vec::as_slice);
        own + children
            .iter()
            .filter_map(|&child| self.entries.get(child))
            .map(|entry| 1 + long_units(entry).map_or(0, |units| long_slots(units.len())))
            .sum::<usize>()
    }

    /// The bytes of a directory; `cluster` tells where an entry begins.
    pub(super) fn encode(
        &self,
        directory: usize,
        label: &[u8; 11],
        cluster: &dyn Fn(usize) -> u32,
    ) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.slots(directory, label) * SLOT);
        if self.is_root(directory) {
            if has_label(label) {
                let times = Times {
                    modified: LABEL_TIME,
                    ..Times::default()
                };
                let slot = Short {
                    name: *label,
                    attributes: LABEL,
                    case: 0,
                    times,
                    cluster: 0,
                    size: 0,
                };
                bytes.extend(slot.encode());
            }
        } else {
            let times = self
                .entries
                .get(directory)
                .map(|entry| entry.times)
                .unwrap_or_default();
            let parent = self.parents.get(directory).copied().flatten().unwrap_or(0);
            // The root counts as cluster 0 here, on FAT32 too.
            let above = if self.is_root(parent) {
                0
            } else {
                cluster(parent)
            };
            for (name, cluster) in [
                (*b".          ", cluster(directory)),
                (*b"..         ", above),
            ] {
                let slot = Short {
                    name,
                    attributes: DIRECTORY,
                    case: 0,
                    times,
                    cluster,
                    size: 0,
                };
                bytes.extend(slot.encode());
            }
        }
        for &child in self.children.get(&directory).map_or(&[][..], Vec::as_slice) {
            let Some(entry) = self.entries.get(child) else {
                continue;
            };
            let short = short_name(entry);
            if let Some(units) = long_units(entry) {
                bytes.extend(encode_long(&units, &short));
            }
            let size = u32::try_from(entry.content.size()).unwrap_or(u32::MAX);
            let attributes = entry.flags.to_le_bytes()[0];
            let slot = Short {
                name: short,
                attributes,
                case: 0,
                times: entry.times,
                cluster: cluster(child),
                size,
            };
            bytes.extend(slot.encode());
        }
        bytes
    }

    fn is_root(&self, directory: usize) -> bool {
        self.parents.get(directory).copied().flatten().is_none()
    }
}

fn has_label(label: &[u8; 11]) -> bool {
    label != NO_LABEL && !matches!(label[0], 0 | b' ')
}

fn short_name(entry: &Entry) -> [u8; 11] {
    entry.short_name.unwrap_or(*b"UNNAMED    ")
}

/// The long name, unless the short one already says it.
fn long_units(entry: &Entry) -> Option<Vec<u16>> {
    let says_all = name::display_short(&short_name(entry), 0) == entry.name();
    if says_all {
        None
    } else {
        name::to_units(entry.name())
    }
}

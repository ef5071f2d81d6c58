//! Entries laid out as a FAT volume: every file in one piece, ascending.

use image_format::entry::{Content, Entry, Kind};
use image_format::image::VolumeTree;
use image_format::layout::{FatFacts, Partition, Volume};

use super::super::raw::{Filling, place};
use super::super::{Builder, Layout, Run, VolumeError, Write, not_for};
use super::boot::BootSector;
use super::chain::{Extent, tables};
use super::choose::{Needs, choose, least_size};
use super::directory::Directories;
use super::settle::settle;
use super::slot::SLOT;

/// fatgen103, section 6.3: more slots a directory may not have.
const MOST_SLOTS: usize = 65536;

/// Lays out FAT12, FAT16 and FAT32.
#[derive(Debug)]
pub struct FatBuilder;

/// Where each entry begins, in clusters, and the chains this makes.
struct Places {
    first: Vec<u32>,
    extents: Vec<Extent>,
}

impl Builder for FatBuilder {
    fn lay_out(
        &self,
        partition: &Partition,
        tree: &VolumeTree,
        size: u64,
        sector_size: u32,
    ) -> Result<Layout, Vec<VolumeError>> {
        let Volume::Fat(facts) = &partition.volume else {
            return Err(vec![not_for("FAT", &partition.volume)]);
        };
        let tree = settle(tree)?;
        let directories = Directories::new(&tree.entries);
        check_slots(&tree, &directories, facts)?;
        let counter = |cluster: u64, with_root: bool| {
            clusters(&tree.entries, &directories, facts, cluster, with_root)
        };
        let needs = Needs {
            root_slots: slots_of(&directories, 0, facts),
            clusters: &counter,
        };
        let Some(mut boot) = choose(facts, size, sector_size, &needs) else {
            let needed = least_size(facts, sector_size, &needs);
            return Err(vec![VolumeError::TooSmall { needed, size }]);
        };
        boot.hidden = u32::try_from(partition.start / u64::from(sector_size)).unwrap_or(0);
        let places = allocate(&boot, &tree.entries, &directories, facts);
        Ok(lay(&boot, &tree.entries, &directories, places))
    }

    fn least_size(&self, partition: &Partition, tree: &VolumeTree) -> u64 {
        let Volume::Fat(facts) = &partition.volume else {
            return 0;
        };
        let Ok(tree) = settle(tree) else { return 0 };
        let directories = Directories::new(&tree.entries);
        let counter = |cluster: u64, with_root: bool| {
            clusters(&tree.entries, &directories, facts, cluster, with_root)
        };
        let needs = Needs {
            root_slots: slots_of(&directories, 0, facts),
            clusters: &counter,
        };
        least_size(facts, 512, &needs)
    }
}

fn check_slots(
    tree: &VolumeTree,
    directories: &Directories<'_>,
    facts: &FatFacts,
) -> Result<(), Vec<VolumeError>> {
    let full = directories
        .all()
        .filter(|&index| directories.slots(index, &facts.label) > MOST_SLOTS);
    let refusals: Vec<_> = full
        .filter_map(|index| tree.entries.get(index))
        .map(|entry| VolumeError::Unsupported {
            what: entry.display_path(),
            why: format!("it has more names than the {MOST_SLOTS} slots of a FAT directory hold"),
            next: String::from("spread them over more directories"),
        })
        .collect();
    if refusals.is_empty() {
        Ok(())
    } else {
        Err(refusals)
    }
}

fn slots_of(directories: &Directories<'_>, directory: usize, facts: &FatFacts) -> u32 {
    u32::try_from(directories.slots(directory, &facts.label)).unwrap_or(u32::MAX)
}

/// Clusters of all directories and files.
fn clusters(
    entries: &[Entry],
    directories: &Directories<'_>,
    facts: &FatFacts,
    cluster: u64,
    with_root: bool,
) -> u64 {
    let folders = directories.all().filter(|&index| index != 0 || with_root);
    let folders: u64 = folders
        .map(|index| directory_clusters(directories, index, facts, cluster))
        .sum();
    let files = entries.iter().filter(|entry| entry.kind == Kind::File);
    folders
        + files
            .map(|entry| entry.content.size().div_ceil(cluster))
            .sum::<u64>()
}

/// Even an empty directory has one.
fn directory_clusters(
    directories: &Directories<'_>,
    index: usize,
    facts: &FatFacts,
    cluster: u64,
) -> u64 {
    let bytes = directories.slots(index, &facts.label) as u64 * SLOT as u64;
    bytes.div_ceil(cluster).max(1)
}

/// Directories first, then files, both in path order.
fn allocate(
    boot: &BootSector,
    entries: &[Entry],
    directories: &Directories<'_>,
    facts: &FatFacts,
) -> Places {
    let mut places = Places {
        first: vec![0; entries.len()],
        extents: Vec::new(),
    };
    let mut next = 2;
    let mut take = |index: usize, count: u64| {
        // `choose` made sure that everything fits the clusters there are.
        let count = u32::try_from(count).unwrap_or(0);
        if count > 0 {
            if let Some(first) = places.first.get_mut(index) {
                *first = next;
            }
            places.extents.push(Extent { first: next, count });
            next += count;
        }
    };
    let size = boot.cluster_size();
    for index in directories
        .all()
        .filter(|&index| index != 0 || boot.bits == 32)
    {
        take(index, directory_clusters(directories, index, facts, size));
    }
    for (index, entry) in entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.kind == Kind::File)
    {
        take(index, entry.content.size().div_ceil(size));
    }
    places
}

fn lay(
    boot: &BootSector,
    entries: &[Entry],
    directories: &Directories<'_>,
    places: Places,
) -> Layout {
    let begin = |index: usize| places.first.get(index).copied().unwrap_or(0);
    let size = boot.cluster_size();
    let mut folders = Vec::new();
    for index in directories.all() {
        let mut bytes = directories.encode(index, &boot.label, &begin);
        let (offset, unit) = match boot.cluster_start(begin(index)) {
            Some(start) => (start, size),
            None => (boot.root_start(), boot.root_size()),
        };
        bytes.resize(padded(bytes.len(), unit), 0);
        folders.push(Write { offset, bytes });
    }
    let mut fillings = Vec::new();
    let mut runs = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let start = boot
            .cluster_start(begin(index))
            .filter(|_| entry.kind == Kind::File);
        runs.push(start.map_or_else(Vec::new, |start| {
            lay_file(&entry.content, start, size, &mut fillings)
        }));
    }
    let used: u32 = places.extents.iter().map(|extent| extent.count).sum();
    let withheld = vec![Write {
        offset: 0,
        bytes: boot.encode(used),
    }];
    let folders = folders.into_iter();
    let contents = fillings.into_iter().flat_map(Filling::writes);
    let metadata = tables(boot, places.extents).chain(folders).chain(contents);
    Layout {
        places: runs,
        zeros: Vec::new(),
        metadata: Box::new(metadata),
        withheld,
    }
}

/// Runs of a file that begins at `start`; zeros and inline bytes go to `fillings`.
fn lay_file(content: &Content, start: u64, cluster: u64, fillings: &mut Vec<Filling>) -> Vec<Run> {
    let runs = place(content, start, fillings);
    let end = start + content.size();
    let slack = content.size().next_multiple_of(cluster) - content.size();
    if slack > 0 {
        fillings.push(Filling::Zeros {
            offset: end,
            length: slack,
        });
    }
    runs
}

fn padded(length: usize, unit: u64) -> usize {
    let unit = usize::try_from(unit).unwrap_or(usize::MAX).max(1);
    length.max(1).next_multiple_of(unit)
}

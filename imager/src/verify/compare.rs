//! Names and metadata of a volume against the image's.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use image_format::entry::{Entry, Kind, Timestamp, Xattr};
use image_format::layout::{Ext4Facts, FatFacts, Volume};

use super::difference::{Report, What};
use super::words;
use crate::volume::Found;

/// The same path on both sides, as indexes.
pub(super) struct Pair {
    pub(super) expected: usize,
    pub(super) found: usize,
}

/// Compares what the image keeps of a volume and an apply restores; its size,
/// and with it its features, may be others on another disk.
pub(super) fn volumes(expected: &Volume, found: &Volume, report: &mut Report) {
    match (expected, found) {
        (Volume::Ext4(e), Volume::Ext4(f)) => ext4(e, f, report),
        (Volume::Fat(e), Volume::Fat(f)) => fat(e, f, report),
        (
            Volume::Swap {
                uuid,
                label,
                page_size,
            },
            Volume::Swap {
                uuid: f_uuid,
                label: f_label,
                page_size: f_page,
            },
        ) => {
            report.property(&[], "UUID", (uuid, f_uuid), words::uuid);
            report.property(&[], "label", (label, f_label), |label| words::label(label));
            report.property(&[], "page size", (page_size, f_page), u32::to_string);
        }
        (expected, found) if expected == found => {}
        (expected, found) => {
            let (expected, found) = (words::volume(expected), words::volume(found));
            report.tell(
                &[],
                What::Volume(format!("expected {expected}, found {found}")),
            );
        }
    }
}

fn ext4(expected: &Ext4Facts, found: &Ext4Facts, report: &mut Report) {
    let (e, f) = (expected, found);
    report.property(&[], "UUID", (&e.uuid, &f.uuid), words::uuid);
    report.property(&[], "label", (&e.label, &f.label), |label| {
        words::label(label)
    });
    let seeds = (&e.hash_seed, &f.hash_seed);
    report.property(&[], "seed of directory hashes", seeds, words::uuid);
    let sizes = (&e.block_size, &f.block_size);
    report.property(&[], "block size", sizes, u32::to_string);
    let sizes = (&e.inode_size, &f.inode_size);
    report.property(&[], "inode size", sizes, u32::to_string);
    let ([e_options, _, e_errors], [f_options, _, f_errors]) = (&e.defaults, &f.defaults);
    report.property(
        &[],
        "default mount options",
        (e_options, f_options),
        words::mount_options,
    );
    let behaviours = (e_errors, f_errors);
    report.property(&[], "behaviour on errors", behaviours, words::on_errors);
}

fn fat(expected: &FatFacts, found: &FatFacts, report: &mut Report) {
    let (e, f) = (expected, found);
    report.property(&[], "serial number", (&e.serial, &f.serial), |serial| {
        format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff)
    });
    report.property(&[], "label", (&e.label, &f.label), |label| {
        words::label(label)
    });
    // One made for another width has another boot sector.
    if e.bits == f.bits && e.boot_code != f.boot_code {
        report.tell(&[], What::Volume("boot code differs".to_owned()));
    }
}

/// Pairs equal paths and compares everything but the contents.
pub(super) fn entries(expected: &[Entry], found: &[Found], report: &mut Report) -> Vec<Pair> {
    let groups = Groups::of(expected, found);
    let mut pairs = Vec::with_capacity(expected.len());
    let (mut e, mut f) = (0, 0);
    loop {
        let order = match (expected.get(e), found.get(f)) {
            (None, None) => return pairs,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(expected), Some(found)) => expected.path.cmp(&found.entry.path),
        };
        match order {
            Ordering::Less => {
                report.tell(&expected[e].path, What::Missing);
                e += 1;
            }
            Ordering::Greater => {
                report.tell(&found[f].entry.path, What::Extra);
                f += 1;
            }
            Ordering::Equal => {
                entry(&expected[e], &found[f].entry, &groups, report);
                pairs.push(Pair {
                    expected: e,
                    found: f,
                });
                e += 1;
                f += 1;
            }
        }
    }
}

fn entry(expected: &Entry, found: &Entry, groups: &Groups<'_>, report: &mut Report) {
    let path = &expected.path;
    report.property(path, "kind", (&expected.kind, &found.kind), kind);
    report.property(path, "mode", (&expected.mode, &found.mode), |mode| {
        format!("{mode:04o}")
    });
    report.property(path, "owner", (&expected.uid, &found.uid), u32::to_string);
    report.property(path, "group", (&expected.gid, &found.gid), u32::to_string);
    let (e, f) = (&expected.times, &found.times);
    report.property(
        path,
        "time of modification",
        (&e.modified, &f.modified),
        time,
    );
    report.property(path, "time of birth", (&e.created, &f.created), time);
    report.property(path, "flags", (&expected.flags, &found.flags), |flags| {
        format!("{flags:#x}")
    });
    report.property(
        path,
        "extended attributes",
        (&expected.xattrs, &found.xattrs),
        |list| xattrs(list),
    );
    report.property(
        path,
        "short name",
        (&expected.short_name, &found.short_name),
        |name| name.map_or_else(|| "none".to_owned(), |name| name.escape_ascii().to_string()),
    );
    let groups = (&groups.first_expected(expected), &groups.first_found(found));
    report.property(path, "other names", groups, |first| {
        first.map_or_else(
            || "none".to_owned(),
            |first| first.escape_ascii().to_string(),
        )
    });
}

/// The first path of each group of hard links: numbers differ between a disk
/// and an image, the groups must not.
struct Groups<'a> {
    expected: BTreeMap<u32, &'a [u8]>,
    found: BTreeMap<u32, &'a [u8]>,
}

impl<'a> Groups<'a> {
    fn of(expected: &'a [Entry], found: &'a [Found]) -> Self {
        Self {
            expected: firsts(expected.iter()),
            found: firsts(found.iter().map(|found| &found.entry)),
        }
    }

    fn first_expected(&self, entry: &Entry) -> Option<&'a [u8]> {
        self.expected.get(&entry.link?).copied()
    }

    fn first_found(&self, entry: &Entry) -> Option<&'a [u8]> {
        self.found.get(&entry.link?).copied()
    }
}

fn firsts<'a>(entries: impl Iterator<Item = &'a Entry>) -> BTreeMap<u32, &'a [u8]> {
    let mut firsts = BTreeMap::new();
    for entry in entries {
        if let Some(link) = entry.link {
            firsts.entry(link).or_insert(entry.path.as_slice());
        }
    }
    firsts
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Symlink(target) => format!("link to {}", target.escape_ascii()),
        other => format!("{other:?}"),
    }
}

fn time(time: &Timestamp) -> String {
    time.to_string()
}

fn xattrs(xattrs: &[Xattr]) -> String {
    let one = |xattr: &Xattr| {
        format!(
            "{} ({} bytes)",
            xattr.name.escape_ascii(),
            xattr.value.len()
        )
    };
    format!(
        "[{}]",
        xattrs.iter().map(one).collect::<Vec<_>>().join(", ")
    )
}

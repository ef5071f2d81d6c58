//! Names and metadata of a volume against the image's.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use image_format::entry::{Entry, Kind, Timestamp, Xattr};
use image_format::layout::Volume;

use super::difference::{Report, What};
use crate::volume::Found;

/// The same path on both sides, as indexes.
pub(super) struct Pair {
    pub(super) expected: usize,
    pub(super) found: usize,
}

/// Compares what names a volume; its size may be another on another disk.
pub(super) fn volumes(expected: &Volume, found: &Volume, report: &mut Report) {
    let differs = match (expected, found) {
        (Volume::Ext4(e), Volume::Ext4(f)) => {
            let words = |facts: &image_format::layout::Ext4Facts| {
                (
                    facts.uuid,
                    facts.label,
                    facts.hash_seed,
                    facts.block_size,
                    facts.inode_size,
                )
            };
            words(e) != words(f)
        }
        (Volume::Fat(e), Volume::Fat(f)) => (e.serial, e.label) != (f.serial, f.label),
        (expected, found) => expected != found,
    };
    if differs {
        report.tell(
            &[],
            What::Volume(format!("expected {expected:?}, found {found:?}")),
        );
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

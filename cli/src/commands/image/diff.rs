//! `mimeo image diff`.

use std::io::{BufWriter, StdoutLock, Write};
use std::os::unix::ffi::OsStrExt;

use anyhow::{Result, ensure};
use image_format::entry::{Entry, Kind, Timestamp, printable};
use imager::look::diff::{Aspect, Change, Pair, diff, pairs};
use imager::look::{Last, LookError, Tree};

use super::ls;
use crate::args::DiffArgs;
use crate::location::open;
use crate::output::{JsonList, bytes, to_the_second};

/// Shows what the newer image has, has not, and has otherwise.
pub(super) fn run(args: &DiffArgs, json: bool) -> Result<()> {
    let share = open(&args.share.dir)?;
    let (old, new) = (share.find(&args.old)?, share.find(&args.new)?);
    let mut pairs = pairs(&share, old.image, new.image)?;
    if let Some(number) = args.partition {
        pairs.retain(|pair| pair.number == number);
        ensure!(
            !pairs.is_empty(),
            "neither image has files on partition {number}; see `mimeo image show`"
        );
    }
    let several = pairs.len() > 1;
    let mut report = Report::new(json)?;
    for pair in &pairs {
        report.partition(pair, several)?;
        let (Some(before), Some(after)) = (&pair.old, &pair.new) else {
            continue;
        };
        let find = |tree: &Tree| tree.find(&share, args.path.as_bytes(), Last::Keep);
        let under = match (find(after), find(before)) {
            (Ok(entry), _) | (_, Ok(entry)) => entry.path,
            // On this partition neither has it; another may.
            (Err(LookError::NotThere { .. }), _) if several => continue,
            (Err(error), _) => return Err(error.into()),
        };
        let see = &mut |change| {
            report
                .change(pair.number, &change)
                .map_err(LookError::Output)
        };
        match diff(&share, before, after, &under, see) {
            // Unwrapped, so that a closed pipe is known as one.
            Err(LookError::Output(error)) => return Err(error.into()),
            other => other?,
        }
    }
    report.end()
}

/// Where differences go as they are found.
enum Report {
    Text {
        out: BufWriter<StdoutLock<'static>>,
        counts: [u64; 3],
    },
    Json(JsonList<BufWriter<StdoutLock<'static>>>),
}

impl Report {
    fn new(json: bool) -> Result<Self> {
        let out = BufWriter::new(std::io::stdout().lock());
        Ok(match json {
            true => Self::Json(JsonList::begin(out)?),
            false => Self::Text {
                out,
                counts: [0; 3],
            },
        })
    }

    /// Begins a partition; one that only one image has is a difference by itself.
    fn partition(&mut self, pair: &Pair, several: bool) -> Result<()> {
        let only = match (&pair.old, &pair.new) {
            (Some(_), None) => Some("removed"),
            (None, Some(_)) => Some("added"),
            _ => None,
        };
        match (self, only) {
            (Self::Text { out, .. }, Some(word)) => {
                writeln!(out, "partition {}: {word}", pair.number)?;
            }
            (Self::Text { out, .. }, None) if several => {
                writeln!(out, "partition {}:", pair.number)?;
            }
            (Self::Json(list), Some(word)) => {
                list.add(&serde_json::json!({
                    "partition": pair.number, "path": null, "change": word,
                }))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn change(&mut self, partition: u32, change: &Change) -> std::io::Result<()> {
        match self {
            Self::Json(list) => list.add(&value(partition, change)),
            Self::Text {
                out,
                counts: [added, removed, changed],
            } => match change {
                Change::Added(entry) => {
                    *added += 1;
                    writeln!(out, "+ {}{}", entry.display_path(), extra(entry))
                }
                Change::Removed(entry) => {
                    *removed += 1;
                    writeln!(out, "- {}{}", entry.display_path(), extra(entry))
                }
                Change::Changed { old, new, aspects } => {
                    *changed += 1;
                    let words: Vec<String> = aspects
                        .iter()
                        .map(|aspect| words(*aspect, old, new))
                        .collect();
                    writeln!(out, "~ {}  {}", new.display_path(), words.join(", "))
                }
            },
        }
    }

    fn end(self) -> Result<()> {
        match self {
            Self::Json(list) => list.end(),
            Self::Text {
                mut out,
                counts: [added, removed, changed],
            } => {
                writeln!(out, "{added} added, {removed} removed, {changed} changed")?;
                Ok(out.flush()?)
            }
        }
    }
}

/// What a new or lost name is worth saying beside.
fn extra(entry: &Entry) -> String {
    match &entry.kind {
        Kind::Directory => "/".to_owned(),
        Kind::Symlink(target) => format!(" -> {}", printable(target)),
        Kind::File if entry.content.size() > 0 => format!("  {}", bytes(entry.content.size())),
        _ => String::new(),
    }
}

/// One aspect with what it was and what it is, where that fits into a line.
fn words(aspect: Aspect, old: &Entry, new: &Entry) -> String {
    let both = |old: String, new: String| format!("{} {old} -> {new}", aspect.word());
    match aspect {
        Aspect::Content => {
            let (before, after) = (old.content.size(), new.content.size());
            match before == after {
                true => aspect.word().to_owned(),
                false => both(bytes(before), bytes(after)),
            }
        }
        Aspect::Mode => both(format!("{:04o}", old.mode), format!("{:04o}", new.mode)),
        Aspect::Owner => {
            let owner = |entry: &Entry| format!("{}:{}", entry.uid, entry.gid);
            both(owner(old), owner(new))
        }
        Aspect::Target => both(target(old), target(new)),
        Aspect::Times if old.times.modified != new.times.modified => {
            let (before, after) = moments(old.times.modified, new.times.modified);
            both(before, after)
        }
        _ => aspect.word().to_owned(),
    }
}

/// Both to the second, or to the nanosecond where only that tells them apart.
fn moments(old: Timestamp, new: Timestamp) -> (String, String) {
    let same = old.seconds == new.seconds;
    let shown = |time: Timestamp| match u64::try_from(time.seconds) {
        Err(_) => time.to_string(),
        Ok(seconds) if same => format!("{}.{:09} UTC", to_the_second(seconds), time.nanoseconds),
        Ok(seconds) => format!("{} UTC", to_the_second(seconds)),
    };
    (shown(old), shown(new))
}

fn target(entry: &Entry) -> String {
    match &entry.kind {
        Kind::Symlink(target) => printable(target),
        _ => String::new(),
    }
}

fn value(partition: u32, change: &Change) -> serde_json::Value {
    let path = format!("/{}", printable(change.path()));
    match change {
        Change::Added(entry) => serde_json::json!({
            "partition": partition, "path": path, "change": "added", "new": ls::words(entry, entry.content.size()),
        }),
        Change::Removed(entry) => serde_json::json!({
            "partition": partition, "path": path, "change": "removed", "old": ls::words(entry, entry.content.size()),
        }),
        Change::Changed { old, new, aspects } => serde_json::json!({
            "partition": partition,
            "path": path,
            "change": "changed",
            "what": aspects.iter().map(|aspect| aspect.word()).collect::<Vec<_>>(),
            "old": ls::words(old, old.content.size()),
            "new": ls::words(new, new.content.size()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_times_that_differ_never_look_the_same() {
        let at = |seconds, nanoseconds| Timestamp {
            seconds,
            nanoseconds,
        };
        for (old, new, shown) in [
            (
                at(60, 1),
                at(65, 1),
                ["1970-01-01 00:01:00 UTC", "1970-01-01 00:01:05 UTC"],
            ),
            (
                at(60, 1),
                at(60, 2),
                [
                    "1970-01-01 00:01:00.000000001 UTC",
                    "1970-01-01 00:01:00.000000002 UTC",
                ],
            ),
            (at(-60, 0), at(-70, 0), ["-60.000000000", "-70.000000000"]),
        ] {
            let (before, after) = moments(old, new);
            assert_eq!([before.as_str(), after.as_str()], shown);
        }
    }
}

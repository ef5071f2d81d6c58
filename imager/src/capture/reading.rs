//! Which file is read when, and the thread that reads ahead.

use std::io;
use std::sync::mpsc::SyncSender;

use image_format::entry::Entry;

use crate::disk::Disk;
use crate::near::Near;
use crate::volume::{Data, Found, Run};

/// Bytes handed on at a time.
pub(super) const PORTION: usize = 1 << 20;

/// A volume with what was found in it.
pub(super) struct Volume<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) found: &'a [Found],
}

/// A file with contents, at its place in the order.
pub(super) struct File {
    pub(super) volume: usize,
    pub(super) entry: usize,
    /// Length with holes.
    pub(super) size: u64,
    /// Length without holes.
    pub(super) bytes: u64,
    first: u64,
}

/// A part of a file; the parts of one file follow each other.
pub(super) enum Portion {
    Hole(u64),
    Bytes(Vec<u8>),
    End,
}

/// Where reading failed.
pub(super) struct ReadError {
    pub(super) volume: usize,
    pub(super) entry: usize,
    pub(super) offset: u64,
    pub(super) source: io::Error,
}

/// All files with contents, volume after volume, each in the order of first bytes.
pub(super) fn order(volumes: &[Volume<'_>]) -> Vec<File> {
    let mut files = Vec::new();
    for (volume, Volume { found, .. }) in volumes.iter().enumerate() {
        for (entry, found) in found.iter().enumerate() {
            let (size, bytes, first) = match &found.data {
                Data::None => continue,
                Data::Bytes(bytes) => (bytes.len() as u64, bytes.len() as u64, 0),
                Data::Runs { size, runs } => {
                    let clipped = runs.iter().map(|run| clip(run, *size));
                    let bytes = clipped.fold(0, u64::saturating_add);
                    (*size, bytes, runs.first().map_or(0, |run| run.physical))
                }
            };
            files.push(File {
                volume,
                entry,
                size,
                bytes,
                first,
            });
        }
    }
    files.sort_by_key(|file| (file.volume, file.first, file.entry));
    files
}

/// Bytes of a run below the end of the file.
fn clip(run: &Run, size: u64) -> u64 {
    run.length.min(size.saturating_sub(run.logical))
}

/// Reads all files in order; ends early when nobody listens any more, or with
/// the first error.
pub(super) fn read_all(
    volumes: &[Volume<'_>],
    order: &[File],
    send: &SyncSender<Result<Portion, ReadError>>,
) {
    let mut current: Option<(usize, Near<'_>)> = None;
    for file in order {
        let Some(volume) = volumes.get(file.volume) else {
            return;
        };
        let near = match &mut current {
            Some((index, near)) if *index == file.volume => near,
            other => &mut other.insert((file.volume, Near::new(volume.disk))).1,
        };
        let Some(found) = volume.found.get(file.entry) else {
            return;
        };
        match read(found, near, send) {
            Ok(()) => {}
            Err(Ended::Unheard) => return,
            Err(Ended::Failed { offset, source }) => {
                let (volume, entry) = (file.volume, file.entry);
                let _ = send.send(Err(ReadError {
                    volume,
                    entry,
                    offset,
                    source,
                }));
                return;
            }
        }
    }
}

enum Ended {
    Unheard,
    Failed { offset: u64, source: io::Error },
}

fn read(
    found: &Found,
    near: &mut Near<'_>,
    send: &SyncSender<Result<Portion, ReadError>>,
) -> Result<(), Ended> {
    let hand_on = |portion| send.send(Ok(portion)).map_err(|_| Ended::Unheard);
    match &found.data {
        Data::None => {}
        Data::Bytes(bytes) => hand_on(Portion::Bytes(bytes.clone()))?,
        Data::Runs { size, runs } => {
            let mut at = 0_u64;
            for run in runs.iter().filter(|run| clip(run, *size) > 0) {
                let hole = run
                    .logical
                    .checked_sub(at)
                    .ok_or_else(|| disorder(&found.entry, run))?;
                if hole > 0 {
                    hand_on(Portion::Hole(hole))?;
                }
                read_run(run, clip(run, *size), near, &hand_on)?;
                at = run.logical + clip(run, *size);
            }
            if at < *size {
                hand_on(Portion::Hole(*size - at))?;
            }
        }
    }
    hand_on(Portion::End)
}

/// Runs must ascend; a damaged volume is not silently captured as something else.
fn disorder(entry: &Entry, run: &Run) -> Ended {
    let text = format!("{}: its extents overlap", entry.display_path());
    let source = io::Error::new(io::ErrorKind::InvalidData, text);
    Ended::Failed {
        offset: run.physical,
        source,
    }
}

fn read_run(
    run: &Run,
    length: u64,
    near: &mut Near<'_>,
    hand_on: &impl Fn(Portion) -> Result<(), Ended>,
) -> Result<(), Ended> {
    let mut done = 0_u64;
    while done < length {
        let part = usize::try_from(length - done)
            .unwrap_or(PORTION)
            .min(PORTION);
        let mut bytes = vec![0; part];
        let offset = run.physical.saturating_add(done);
        near.read(offset, &mut bytes)
            .map_err(|source| Ended::Failed { offset, source })?;
        hand_on(Portion::Bytes(bytes))?;
        done += part as u64;
    }
    Ok(())
}

//! The one hand that writes to the target: after its first failed write it
//! writes nothing more, and what must come last it keeps back.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::ApplyError;
use crate::disk::Disk;
use crate::plan::Plan;
use crate::volume::Write;

/// Zeros are written and compared this many bytes at a time.
const ZEROS: usize = 1 << 20;

/// Writes to a disk until the first failure.
pub(super) struct Pen<'disk> {
    disk: &'disk dyn Disk,
    broken: AtomicBool,
    /// Ranges kept back, with the bytes that belong there.
    held: Mutex<Vec<Write>>,
}

impl<'disk> Pen<'disk> {
    /// A pen that keeps back what `plan` wants written last.
    pub(super) fn new(disk: &'disk dyn Disk, plan: &Plan) -> Self {
        let ranges = plan.volumes.iter().flat_map(|volume| &volume.held);
        let zeros = |&(offset, length): &(u64, u64)| Write {
            offset,
            bytes: vec![0; usize::try_from(length).unwrap_or(0)],
        };
        Self {
            disk,
            broken: AtomicBool::new(false),
            held: Mutex::new(ranges.map(zeros).collect()),
        }
    }

    pub(super) fn disk(&self) -> &'disk dyn Disk {
        self.disk
    }

    /// What was kept back.
    pub(super) fn held(&self) -> Vec<Write> {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether a write failed, here or in another thread.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Nothing more is written from here on.
    pub(super) fn put_down(&self) {
        self.broken.store(true, Ordering::Release);
    }

    /// Writes at once, kept-back ranges included.
    pub(super) fn write(
        &self,
        what: &'static str,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), ApplyError> {
        if self.is_broken() {
            return Err(ApplyError::Stopped);
        }
        self.disk.write_at(offset, bytes).map_err(|source| {
            self.put_down();
            unwritten(what, offset, bytes.len() as u64, source)
        })
    }

    /// Writes contents, except what falls into a kept-back range.
    pub(super) fn write_content(&self, offset: u64, bytes: &[u8]) -> Result<(), ApplyError> {
        let end = offset + bytes.len() as u64;
        let mut rest = offset;
        {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            for range in held.iter_mut() {
                let range_end = range.offset + range.bytes.len() as u64;
                // Ranges begin raw volumes, and nothing lies across two volumes.
                if range.offset <= offset && offset < range_end {
                    let stop = end.min(range_end);
                    let (to, from) = (span(range.offset, offset, stop), span(offset, offset, stop));
                    if let (Some(to), Some(from)) = (range.bytes.get_mut(to), bytes.get(from)) {
                        to.copy_from_slice(from);
                    }
                    rest = stop;
                }
            }
        }
        match bytes.get(span(offset, rest, end)) {
            Some([]) | None => Ok(()),
            Some(bytes) => self.write("contents", rest, bytes),
        }
    }

    /// Makes a range read as zeros, in the quickest way the medium has.
    pub(super) fn zero(&self, offset: u64, length: u64) -> Result<(), ApplyError> {
        if self.is_broken() {
            return Err(ApplyError::Stopped);
        }
        self.disk.zero(offset, length).map_err(|source| {
            self.put_down();
            unwritten("zeros", offset, length, source)
        })
    }

    /// Writes zeros over a range, whatever it holds.
    pub(super) fn destroy(&self, offset: u64, length: u64) -> Result<(), ApplyError> {
        let zeros = vec![0; ZEROS.min(usize::try_from(length).unwrap_or(ZEROS))];
        let (mut at, end) = (offset, offset.saturating_add(length).min(self.disk.size()));
        while at < end {
            let part = zeros.len().min(usize::try_from(end - at).unwrap_or(ZEROS));
            self.write("zeros where it would boot", at, &zeros[..part])?;
            at += part as u64;
        }
        Ok(())
    }

    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ApplyError> {
        self.disk
            .read_at(offset, buffer)
            .map_err(|source| ApplyError::Read {
                offset,
                length: buffer.len() as u64,
                source,
            })
    }

    pub(super) fn sync(&self) -> Result<(), ApplyError> {
        self.settle(self.disk.sync())
    }

    pub(super) fn bypass_cache(&self) -> Result<(), ApplyError> {
        self.settle(self.disk.bypass_cache())
    }

    /// A failed flush is a failed write that nobody can name.
    fn settle(&self, done: io::Result<()>) -> Result<(), ApplyError> {
        done.map_err(|source| {
            self.put_down();
            ApplyError::Sync { source }
        })
    }
}

/// A disk is never full: then it is a file whose file system is.
fn unwritten(what: &'static str, offset: u64, length: u64, source: io::Error) -> ApplyError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ApplyError::Full {
            what,
            offset,
            length,
            source,
        },
        _ => ApplyError::Write {
            what,
            offset,
            length,
            source,
        },
    }
}

/// `from..to` counted from `base`; empty when that is not a range.
fn span(base: u64, from: u64, to: u64) -> std::ops::Range<usize> {
    let place = |at: u64| usize::try_from(at.saturating_sub(base)).unwrap_or(usize::MAX);
    place(from)..place(to)
}

//! Contents hashed piece by piece.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use image_format::entry::Piece;
use image_format::ids::ChunkId;
use rustix::fs::SeekFrom;
use rustix::io::{Errno, Result};

/// Files longer than this are hashed by several threads.
const LONG: u64 = 32 << 20;
/// Bytes read at a time where a hole should be.
const PORTION: usize = 1 << 20;

/// A stretch of a file that is not as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wrong {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// Reading waits for the medium: more threads than processors.
pub(super) fn threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (cores * 3).clamp(4, 24)
}

/// Whether the bytes at `at` are those of a piece; `buffer` is used again and again.
pub(crate) fn holds_piece(
    file: impl AsFd,
    at: u64,
    piece: &Piece,
    buffer: &mut Vec<u8>,
) -> Result<bool> {
    match piece {
        Piece::Chunk { id, length } => {
            let length = usize::try_from(*length).map_err(|_| Errno::FBIG)?;
            let bytes = read(&file, at, length, buffer)?;
            Ok(bytes.len() == length && ChunkId::of(bytes) == *id)
        }
        Piece::Hole { length } => is_zero(&file, at, *length, buffer),
    }
}

/// Reads up to `length` bytes; fewer at the end of the file.
pub(super) fn read(file: impl AsFd, at: u64, length: usize, buffer: &mut Vec<u8>) -> Result<&[u8]> {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    let mut done = 0;
    while done < length {
        let Some(rest) = buffer.get_mut(done..length) else {
            break;
        };
        match rustix::io::pread(&file, rest, at.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(buffer.get(..done).unwrap_or_default())
}

/// Whether a stretch reads as zeros; holes are not read.
fn is_zero(file: impl AsFd, from: u64, length: u64, buffer: &mut Vec<u8>) -> Result<bool> {
    let end = from.saturating_add(length);
    let mut at = from;
    while at < end {
        at = match rustix::fs::seek(&file, SeekFrom::Data(at)) {
            Ok(data) => data.max(at),
            // Nothing but a hole up to the end of the file.
            Err(Errno::NXIO) => return Ok(true),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => at,
            Err(error) => return Err(error),
        };
        if at >= end {
            break;
        }
        let part = usize::try_from(end - at).unwrap_or(PORTION).min(PORTION);
        let bytes = read(&file, at, part, buffer)?;
        if bytes.is_empty() || bytes.iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
        at = at.saturating_add(bytes.len() as u64);
    }
    Ok(true)
}

/// All pieces that are not right.
pub(super) fn wrong(file: &OwnedFd, pieces: &[Piece], buffer: &mut Vec<u8>) -> Result<Vec<Wrong>> {
    let mut starts = Vec::with_capacity(pieces.len());
    let mut at = 0_u64;
    for piece in pieces {
        starts.push((at, piece));
        at = at.saturating_add(piece.length());
    }
    if at < LONG {
        let mut wrong = Vec::new();
        for (at, piece) in starts {
            check(file, at, piece, buffer, &mut wrong)?;
        }
        return Ok(wrong);
    }
    wrong_in_long(file, &starts)
}

fn check(
    file: &OwnedFd,
    at: u64,
    piece: &Piece,
    buffer: &mut Vec<u8>,
    wrong: &mut Vec<Wrong>,
) -> Result<()> {
    if !holds_piece(file, at, piece, buffer)? {
        let (offset, length) = (at, piece.length());
        wrong.push(Wrong { offset, length });
    }
    Ok(())
}

/// A long file keeps more than one processor busy. Holes are asked for by one
/// thread alone: the place where a descriptor stands is shared.
fn wrong_in_long(file: &OwnedFd, starts: &[(u64, &Piece)]) -> Result<Vec<Wrong>> {
    let mut wrong = Vec::new();
    let mut buffer = Vec::new();
    let is_hole = |piece: &Piece| matches!(piece, Piece::Hole { .. });
    for (at, piece) in starts.iter().filter(|(_, piece)| is_hole(piece)) {
        check(file, *at, piece, &mut buffer, &mut wrong)?;
    }
    let next = AtomicUsize::new(0);
    let all = Mutex::new((wrong, None));
    let work = || {
        let (mut buffer, mut wrong) = (Vec::new(), Vec::new());
        let mut failure = None;
        while let Some((at, piece)) = starts.get(next.fetch_add(1, Ordering::Relaxed)) {
            if is_hole(piece) {
                continue;
            }
            if let Err(error) = check(file, *at, piece, &mut buffer, &mut wrong) {
                failure = Some(error);
                break;
            }
        }
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        all.0.append(&mut wrong);
        all.1 = all.1.or(failure);
    };
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(work);
        }
    });
    let (mut wrong, failure) = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    wrong.sort();
    failure.map_or(Ok(wrong), Err)
}

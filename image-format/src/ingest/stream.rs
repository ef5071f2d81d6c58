//! One stream on its way into the store.

use super::cut::Cutter;
use super::{Ingest, IngestError};
use crate::entry::{Content, Piece};
use crate::lane::{Class, LaneKey};

/// Takes a stream's bytes and holes in order and answers with its [`Content`].
pub struct StreamWriter<'i, 's> {
    ingest: &'i mut Ingest<'s>,
    cutter: Cutter,
    size: u64,
    taken: u64,
    pieces: Pieces,
}

impl<'i, 's> StreamWriter<'i, 's> {
    pub(super) fn new(ingest: &'i mut Ingest<'s>, hint: &[u8], size: u64) -> Self {
        Self {
            ingest,
            cutter: Cutter::new(hint, size),
            size,
            taken: 0,
            pieces: Pieces::of(hint),
        }
    }

    /// `length` bytes that were never written: they read as zeros.
    ///
    /// # Errors
    /// More than the announced size, or the store failed.
    pub fn hole(&mut self, length: u64) -> Result<(), IngestError> {
        self.advance(length)?;
        let (ingest, pieces) = (&mut *self.ingest, &mut self.pieces);
        self.cutter.hole(length, &mut |cut| ingest.put(pieces, cut))
    }

    /// The next bytes, in portions of any size.
    ///
    /// # Errors
    /// More than the announced size, or the store failed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), IngestError> {
        self.advance(bytes.len() as u64)?;
        let (ingest, pieces) = (&mut *self.ingest, &mut self.pieces);
        self.cutter.write(bytes, &mut |cut| ingest.put(pieces, cut))
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// Less than the announced size came, or the store failed.
    pub fn finish(mut self) -> Result<Content, IngestError> {
        if self.taken != self.size {
            return Err(IngestError::Size {
                expected: self.size,
                found: self.taken,
            });
        }
        let (ingest, pieces) = (self.ingest, &mut self.pieces);
        let inline = self.cutter.finish(&mut |cut| ingest.put(pieces, cut))?;
        Ok(match inline {
            Some(bytes) if bytes.is_empty() => Content::Empty,
            Some(bytes) => Content::Inline(bytes),
            None => Content::Pieces(self.pieces.finish()),
        })
    }

    fn advance(&mut self, length: u64) -> Result<(), IngestError> {
        let taken = self.taken.saturating_add(length);
        if taken > self.size {
            return Err(IngestError::Size {
                expected: self.size,
                found: taken,
            });
        }
        self.taken = taken;
        Ok(())
    }
}

/// The pieces of a stream that went into the store so far.
#[derive(Debug, Clone)]
pub struct Pieces {
    key: LaneKey,
    list: Vec<Piece>,
    has_chunks: bool,
}

impl Pieces {
    /// None yet. `hint` is the stream's path or name.
    pub fn of(hint: &[u8]) -> Self {
        Self {
            key: LaneKey::of(hint),
            list: Vec::new(),
            has_chunks: false,
        }
    }

    /// All of them, in order.
    pub fn finish(self) -> Vec<Piece> {
        self.list
    }

    /// Appends one; holes side by side are one.
    pub(super) fn push(&mut self, piece: Piece) {
        match (self.list.last_mut(), piece) {
            (Some(Piece::Hole { length: before }), Piece::Hole { length }) => {
                *before = before.saturating_add(length);
            }
            _ => self.list.push(piece),
        }
    }

    /// Which chunks the next one belongs to. Later chunks of a file are of the
    /// class its beginning has.
    pub(super) fn key_for(&mut self, chunk: &[u8]) -> &LaneKey {
        if !std::mem::replace(&mut self.has_chunks, true) {
            self.key.class = Class::of(chunk);
        }
        &self.key
    }
}

//! One stream on its way into the store.

use super::{Ingest, IngestError};
use crate::chunker::{Chunker, Chunking};
use crate::entry::{Content, INLINE_LIMIT, Piece};
use crate::lane::{Class, LaneKey};

/// Takes a stream's bytes and holes in order and answers with its [`Content`].
pub struct StreamWriter<'i, 's> {
    ingest: &'i mut Ingest<'s>,
    key: LaneKey,
    chunker: Chunker,
    size: u64,
    taken: u64,
    /// Contents that may still live in the manifest.
    inline: Option<Vec<u8>>,
    pieces: Vec<Piece>,
}

impl<'i, 's> StreamWriter<'i, 's> {
    pub(super) fn new(
        ingest: &'i mut Ingest<'s>,
        key: LaneKey,
        chunking: Chunking,
        size: u64,
    ) -> Self {
        let inline = (size <= INLINE_LIMIT as u64).then(Vec::new);
        Self {
            ingest,
            key,
            chunker: Chunker::new(chunking),
            size,
            taken: 0,
            inline,
            pieces: Vec::new(),
        }
    }

    /// `length` bytes that were never written: they read as zeros.
    ///
    /// # Errors
    /// More than the announced size, or the store failed.
    pub fn hole(&mut self, length: u64) -> Result<(), IngestError> {
        if length == 0 {
            return Ok(());
        }
        self.advance(length)?;
        if let Some(bytes) = self.inline.take() {
            self.cut(&bytes)?;
        }
        let (key, ingest, pieces) = (&mut self.key, &mut *self.ingest, &mut self.pieces);
        self.chunker
            .finish(length, &mut |chunk| store(ingest, key, pieces, chunk))?;
        match self.pieces.last_mut() {
            Some(Piece::Hole { length: before }) => *before += length,
            _ => self.pieces.push(Piece::Hole { length }),
        }
        Ok(())
    }

    /// The next bytes, in portions of any size.
    ///
    /// # Errors
    /// More than the announced size, or the store failed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), IngestError> {
        self.advance(bytes.len() as u64)?;
        match &mut self.inline {
            Some(inline) => {
                inline.extend_from_slice(bytes);
                Ok(())
            }
            None => self.cut(bytes),
        }
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
        if self.size == 0 {
            return Ok(Content::Empty);
        }
        if let Some(bytes) = self.inline {
            return Ok(Content::Inline(bytes));
        }
        let (key, ingest, pieces) = (&mut self.key, &mut *self.ingest, &mut self.pieces);
        self.chunker
            .finish(0, &mut |chunk| store(ingest, key, pieces, chunk))?;
        Ok(Content::Pieces(self.pieces))
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

    fn cut(&mut self, bytes: &[u8]) -> Result<(), IngestError> {
        let (key, ingest, pieces) = (&mut self.key, &mut *self.ingest, &mut self.pieces);
        self.chunker
            .push(bytes, &mut |chunk| store(ingest, key, pieces, chunk))
    }
}

fn store(
    ingest: &mut Ingest<'_>,
    key: &mut LaneKey,
    pieces: &mut Vec<Piece>,
    chunk: &[u8],
) -> Result<(), IngestError> {
    // Later chunks of a file are of the class its beginning has.
    if pieces.is_empty() {
        key.class = Class::of(chunk);
    }
    let (id, length) = ingest.chunk(key, chunk)?;
    pieces.push(Piece::Chunk { id, length });
    Ok(())
}

//! Chunks by their ids: found in the index, fetched in their blocks, verified.

use std::sync::{Arc, Mutex, PoisonError};

use crate::block::{self, OpenBlock};
use crate::fetch::MissingChunk;
use crate::ids::{BlockId, ChunkRef};
use crate::index::Index;
use crate::manifest::ManifestError;
use crate::store::{BlockPlace, Source};

use super::ShareError;

/// Raw bytes of open blocks that are kept: neighbours are asked for one after
/// another, and bases of neighbours lie together too.
const KEPT: usize = 64 << 20;

/// Reads single chunks of a share. Keeps the last few blocks open.
#[derive(Debug, Default)]
pub struct ChunkReader {
    kept: Mutex<Vec<(BlockId, Arc<OpenBlock>)>>,
}

impl ChunkReader {
    /// The bytes of a chunk, compared with its id.
    ///
    /// # Errors
    /// It is in no block, or its block cannot be read.
    pub fn chunk(
        &self,
        index: &Index,
        source: &(impl Source + ?Sized),
        at: &ChunkRef,
    ) -> Result<Vec<u8>, ShareError> {
        let (place, chunk) = index.find(&at.id).ok_or(MissingChunk { id: at.id })?;
        let open = match self.kept(&place.block) {
            Some(open) => open,
            None => {
                let open = self.open(index, source, &place, &source.block(&place)?)?;
                self.keep(place.block, open)
            }
        };
        let bytes = open.chunk(&chunk)?;
        if chunk.length != at.length {
            return Err(ShareError::Length {
                at: *at,
                found: chunk.length,
            });
        }
        Ok(bytes.to_vec())
    }

    /// Opens a stored block, with its bases fetched if it has any.
    ///
    /// # Errors
    /// The block or one of its bases cannot be read.
    pub fn open(
        &self,
        index: &Index,
        source: &(impl Source + ?Sized),
        place: &BlockPlace,
        stored: &[u8],
    ) -> Result<OpenBlock, ShareError> {
        let mut failed = None;
        let opened = block::open_with(place, stored, &mut |base| {
            let bytes = self.base(index, source, base);
            bytes.map_err(|error| failed.get_or_insert(error)).ok()
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(opened?),
        }
    }

    /// A base lies in a block without bases, so this goes no deeper.
    fn base(
        &self,
        index: &Index,
        source: &(impl Source + ?Sized),
        at: &ChunkRef,
    ) -> Result<Vec<u8>, ShareError> {
        let (place, chunk) = index.find_plain(&at.id).ok_or(MissingChunk { id: at.id })?;
        let open = match self.kept(&place.block) {
            Some(open) => open,
            None => self.keep(place.block, block::open(&place, &source.block(&place)?)?),
        };
        Ok(open.chunk(&chunk)?.to_vec())
    }

    /// The same in the words of a manifest's reader.
    ///
    /// # Errors
    /// As [`Self::chunk`].
    pub fn manifest_chunk(
        &self,
        index: &Index,
        source: &(impl Source + ?Sized),
        at: &ChunkRef,
    ) -> Result<Vec<u8>, ManifestError> {
        self.chunk(index, source, at)
            .map_err(|error| ManifestError::Unread {
                id: at.id,
                reason: chain(&error),
            })
    }

    fn kept(&self, block: &BlockId) -> Option<Arc<OpenBlock>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .find(|(id, _)| id == block)
            .map(|(_, open)| Arc::clone(open))
    }

    fn keep(&self, block: BlockId, open: OpenBlock) -> Arc<OpenBlock> {
        let open = Arc::new(open);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push((block, Arc::clone(&open)));
        let mut all: usize = kept.iter().map(|(_, open)| open.raw().len()).sum();
        while all > KEPT && kept.len() > 1 {
            let (_, oldest) = kept.remove(0);
            all -= oldest.raw().len();
        }
        open
    }
}

/// Opens any block of a share, with its bases, on as many threads as like.
pub struct Expander<'a> {
    index: &'a Index,
    source: &'a dyn Source,
    reader: ChunkReader,
}

impl<'a> Expander<'a> {
    /// Blocks and bases come from `source`, where `index` says.
    pub fn new(index: &'a Index, source: &'a dyn Source) -> Self {
        Self {
            index,
            source,
            reader: ChunkReader::default(),
        }
    }

    /// Opens a block whose stored bytes are at hand.
    ///
    /// # Errors
    /// The block or one of its bases cannot be read.
    pub fn open(&self, place: &BlockPlace, stored: &[u8]) -> Result<OpenBlock, ShareError> {
        self.reader.open(self.index, self.source, place, stored)
    }

    /// Fetches a block and opens it.
    ///
    /// # Errors
    /// The block or one of its bases cannot be read.
    pub fn block(&self, place: &BlockPlace) -> Result<OpenBlock, ShareError> {
        self.open(place, &self.source.block(place)?)
    }

    /// The bytes of a chunk, compared with its id.
    ///
    /// # Errors
    /// It is in no block, or its block cannot be read.
    pub fn chunk(&self, at: &ChunkRef) -> Result<Vec<u8>, ShareError> {
        self.reader.chunk(self.index, self.source, at)
    }

    /// The bytes of a chunk out of a block without bases, as a base must be.
    ///
    /// # Errors
    /// It is in no such block, or its block cannot be read.
    pub fn base(&self, at: &ChunkRef) -> Result<Vec<u8>, ShareError> {
        self.reader.base(self.index, self.source, at)
    }
}

/// An error with all its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

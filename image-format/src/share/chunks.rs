//! Chunks by their ids: found in the index, fetched in their blocks, verified.

use std::sync::{Arc, Mutex, PoisonError};

use crate::block::{self, OpenBlock};
use crate::fetch::MissingChunk;
use crate::ids::{BlockId, ChunkRef};
use crate::index::Index;
use crate::manifest::ManifestError;
use crate::store::Source;

use super::ShareError;

/// Open blocks that are kept: neighbours are asked for one after another.
const KEPT: usize = 8;

/// Reads single chunks of a share. Keeps the last few blocks open.
#[derive(Debug)]
pub struct ChunkReader {
    kept: Mutex<Vec<(BlockId, Arc<OpenBlock>)>>,
}

impl Default for ChunkReader {
    fn default() -> Self {
        Self {
            kept: Mutex::new(Vec::with_capacity(KEPT)),
        }
    }
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
                let open = Arc::new(block::open(&place, &source.block(&place)?)?);
                self.keep(place.block, &open);
                open
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

    fn keep(&self, block: BlockId, open: &Arc<OpenBlock>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((block, Arc::clone(open)));
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

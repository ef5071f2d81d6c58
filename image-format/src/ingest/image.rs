//! The manifest of an image on its way into the store, leaf by leaf.

use super::{Ingest, IngestError};
use crate::block::SealError;
use crate::entry::{Content, Entry, Piece};
use crate::ids::ChunkRef;
use crate::lane::LaneKey;
use crate::layout::DiskLayout;
use crate::manifest::{ImageBuilder, Part, Root, Witness};

/// Takes the entries of an image in path order and stores its manifest as it goes.
#[derive(Debug)]
pub struct ImageWriter {
    builder: ImageBuilder,
}

impl ImageWriter {
    /// The beginning of an image of this disk.
    pub fn new(disk: DiskLayout) -> Self {
        Self {
            builder: ImageBuilder::new(disk),
        }
    }

    /// Begins the volume in this partition (index into the layout's partitions).
    ///
    /// # Errors
    /// There is no such partition, it is not in order, or the store failed.
    pub fn volume(&mut self, ingest: &mut Ingest<'_>, partition: u32) -> Result<(), IngestError> {
        self.builder
            .volume(partition, &mut |part| store(ingest, part))
    }

    /// Takes the next entry: the root first, then in bytewise order of the whole
    /// path. Its chunks were written before or are in the store.
    ///
    /// # Errors
    /// It may not follow those before, says what cannot be, names a chunk that
    /// was never written, or the store failed.
    pub fn entry(
        &mut self,
        ingest: &mut Ingest<'_>,
        entry: Entry,
        witness: Option<Witness>,
    ) -> Result<(), IngestError> {
        if let Content::Pieces(pieces) = &entry.content {
            for piece in pieces {
                if let Piece::Chunk { id, length } = *piece {
                    ingest.check_chunk(&ChunkRef { id, length })?;
                }
            }
        }
        self.builder
            .entry(&entry, witness, &mut |part| store(ingest, part))
    }

    /// The root, and where the list of witnesses is.
    pub(super) fn finish(
        self,
        ingest: &mut Ingest<'_>,
    ) -> Result<(Root, Option<ChunkRef>), IngestError> {
        let (root, witnesses) = self.builder.finish(&mut |part| store(ingest, part))?;
        let witnesses = witnesses.map(|list| store(ingest, Part::Witnesses(&list)));
        Ok((root, witnesses.transpose()?))
    }
}

fn store(ingest: &mut Ingest<'_>, part: Part<'_>) -> Result<ChunkRef, IngestError> {
    let bytes = part.bytes();
    if bytes.len() > crate::chunker::MAX_CHUNK {
        return Err(SealError::Length { found: bytes.len() }.into());
    }
    let (id, length) = ingest.chunk(&LaneKey::manifest(), bytes)?;
    Ok(ChunkRef { id, length })
}

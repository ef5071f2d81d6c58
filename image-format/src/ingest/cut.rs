//! A stream cut and hashed by whichever thread reads it; only what comes out
//! goes through the one door of the ingest.

use crate::chunker::{Chunker, Chunking, HEAD, MAX_CHUNK};
use crate::entry::INLINE_LIMIT;
use crate::ids::ChunkId;
use crate::lane::LaneKey;

/// A piece of a stream on its way into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// So many bytes that were never written; they read as zeros.
    Hole(u64),
    /// A chunk with its bytes.
    Chunk(HashedChunk),
}

/// Bytes and the id they hash to; only made by hashing them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedChunk {
    id: ChunkId,
    bytes: Vec<u8>,
}

impl HashedChunk {
    /// Hashes `bytes`. `None` for more than a chunk may hold, or nothing.
    pub fn of(bytes: Vec<u8>) -> Option<Self> {
        let id = (1..=MAX_CHUNK)
            .contains(&bytes.len())
            .then(|| ChunkId::of(&bytes))?;
        Some(Self { id, bytes })
    }

    /// The hash of its bytes.
    pub fn id(&self) -> ChunkId {
        self.id
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Cut {
    /// Bytes it keeps in memory.
    pub fn weight(&self) -> usize {
        match self {
            Self::Hole(_) => 0,
            Self::Chunk(chunk) => chunk.bytes.len(),
        }
    }
}

/// Cuts a stream at the places the format asks for and hashes what it cuts.
#[derive(Debug)]
pub struct Cutter {
    extension: Vec<u8>,
    size: u64,
    /// What came before it is decided how to cut, below [`HEAD`] bytes and a portion.
    head: Vec<u8>,
    chunker: Option<Chunker>,
}

impl Cutter {
    /// A cutter for a stream of about `size` bytes; `hint` is the file's path
    /// or name. Both, and the first bytes, decide how it is cut.
    pub fn new(hint: &[u8], size: u64) -> Self {
        Self {
            extension: LaneKey::of(hint).extension,
            size,
            head: Vec::new(),
            chunker: None,
        }
    }

    /// The next bytes, in portions of any size.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write<E>(
        &mut self,
        bytes: &[u8],
        out: &mut impl FnMut(Cut) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(chunker) = &mut self.chunker {
            return chunker.push(bytes, &mut |chunk| out(hashed(chunk)));
        }
        self.head.extend_from_slice(bytes);
        match self.head.len() < HEAD {
            true => Ok(()),
            false => self.begin(out).map(drop),
        }
    }

    /// `length` bytes that were never written.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn hole<E>(
        &mut self,
        length: u64,
        out: &mut impl FnMut(Cut) -> Result<(), E>,
    ) -> Result<(), E> {
        if length == 0 {
            return Ok(());
        }
        self.begin(out)?
            .finish(length, &mut |chunk| out(hashed(chunk)))?;
        out(Cut::Hole(length))
    }

    /// Ends the stream; answers with its bytes when they are few enough to
    /// live in the manifest, and then nothing was cut.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish<E>(
        mut self,
        out: &mut impl FnMut(Cut) -> Result<(), E>,
    ) -> Result<Option<Vec<u8>>, E> {
        if self.chunker.is_none() && self.head.len() <= INLINE_LIMIT {
            return Ok(Some(self.head));
        }
        self.begin(out)?
            .finish(0, &mut |chunk| out(hashed(chunk)))?;
        Ok(None)
    }

    /// From here on it is cut.
    fn begin<E>(&mut self, out: &mut impl FnMut(Cut) -> Result<(), E>) -> Result<&mut Chunker, E> {
        let head = std::mem::take(&mut self.head);
        let chunker = self.chunker.get_or_insert_with(|| {
            let chunking = Chunking::for_stream(&self.extension, self.size, &head);
            Chunker::new(chunking)
        });
        chunker.push(&head, &mut |chunk| out(hashed(chunk)))?;
        Ok(chunker)
    }
}

/// The chunker hands out nothing that is empty or too long.
fn hashed(chunk: &[u8]) -> Cut {
    Cut::Chunk(HashedChunk {
        id: ChunkId::of(chunk),
        bytes: chunk.to_vec(),
    })
}

impl HashedChunk {
    /// The bytes, for the lane that keeps them.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn cut(parts: &[Result<&[u8], u64>], size: u64) -> (Vec<Cut>, Option<Vec<u8>>) {
        let mut cuts = Vec::new();
        let mut out = |cut| {
            cuts.push(cut);
            Ok::<(), Infallible>(())
        };
        let mut cutter = Cutter::new(b"a/file.bin", size);
        for part in parts {
            match part {
                Ok(bytes) => cutter.write(bytes, &mut out).unwrap(),
                Err(hole) => cutter.hole(*hole, &mut out).unwrap(),
            }
        }
        let inline = cutter.finish(&mut out).unwrap();
        (cuts, inline)
    }

    #[test]
    fn few_bytes_stay_inline_and_a_hole_or_one_more_byte_makes_them_chunks() {
        assert_eq!(
            cut(&[Ok(b"ab"), Ok(b"c")], 3),
            (vec![], Some(b"abc".to_vec()))
        );
        assert_eq!(cut(&[], 0), (vec![], Some(vec![])));
        let (cuts, inline) = cut(&[Ok(b"abc"), Err(5)], 8);
        assert_eq!(inline, None);
        assert_eq!(cuts.len(), 2);
        assert!(matches!(&cuts[0], Cut::Chunk(chunk) if chunk.id() == ChunkId::of(b"abc")));
        assert_eq!(cuts[1], Cut::Hole(5));
        // A file that grew while it was read.
        let grown = vec![7; INLINE_LIMIT + 1];
        let (cuts, inline) = cut(&[Ok(&grown[..1]), Ok(&grown[1..])], 1);
        assert_eq!((cuts.len(), inline), (1, None));
        assert_eq!(cuts[0].weight(), grown.len());
    }

    #[test]
    fn a_chunk_is_neither_empty_nor_too_long() {
        assert!(HashedChunk::of(Vec::new()).is_none());
        assert!(HashedChunk::of(vec![0; MAX_CHUNK + 1]).is_none());
        assert_eq!(HashedChunk::of(vec![0]).unwrap().id(), ChunkId::of(&[0]));
    }
}

//! Where the bytes of a stream come from: a pipe, or a file that can be passed over.

use std::io::{self, Read};
use std::path::Path;

use super::FileError;
use super::pieces::Pieces;

/// Bytes that come in order.
pub(super) trait Input {
    /// As [`Read::read`].
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, FileError>;
    /// Passes over `length` bytes; fewer where there are not so many.
    fn skip(&mut self, length: u64) -> Result<u64, FileError>;
}

/// Anything that can be read once.
pub(super) struct PipeInput<R>(pub(super) R);

impl<R: Read> Input for PipeInput<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, FileError> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(from_pipe),
            }
        }
    }

    fn skip(&mut self, length: u64) -> Result<u64, FileError> {
        io::copy(&mut (&mut self.0).take(length), &mut io::sink()).map_err(from_pipe)
    }
}

fn from_pipe(source: io::Error) -> FileError {
    FileError::io("reading", Path::new("-"), source)
}

/// A file up to its last valid footer.
pub(super) struct PiecesInput<'p> {
    pub(super) pieces: &'p Pieces,
    pub(super) at: u64,
    pub(super) end: u64,
}

impl Input for PiecesInput<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, FileError> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let read = self
            .pieces
            .read_some(self.at, buffer.get_mut(..wanted).unwrap_or_default())?;
        self.at += read as u64;
        Ok(read)
    }

    fn skip(&mut self, length: u64) -> Result<u64, FileError> {
        let length = length.min(self.end.saturating_sub(self.at));
        self.at += length;
        Ok(length)
    }
}

//! Reads around the page cache: whole sectors into aligned memory (open(2), `O_DIRECT`).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Direct reads go through a buffer of this size, aligned for every device.
const DIRECT: usize = 1 << 20;
const MEMORY_ALIGNMENT: usize = 4096;

/// Fills `buffer` from a file opened with `O_DIRECT`; the caller has checked
/// that the device of `size` bytes has all that is asked for.
pub(super) fn read(
    file: &File,
    size: u64,
    sector_size: u32,
    offset: u64,
    buffer: &mut [u8],
) -> io::Result<()> {
    let sector = u64::from(sector_size);
    let lead = offset % sector;
    let end = offset + buffer.len() as u64;
    let mut at = offset - lead;
    let mut aligned = Aligned::new(
        buffer
            .len()
            .saturating_add(2 * MEMORY_ALIGNMENT)
            .min(DIRECT),
    );
    let room = aligned.bytes().len() as u64 / sector * sector;
    let mut filled = 0;
    let mut skip = usize::try_from(lead).unwrap_or(0);
    while filled < buffer.len() {
        let take = (end - at).next_multiple_of(sector).min(room).min(size - at);
        let piece = &mut aligned.bytes()[..usize::try_from(take).unwrap_or(0)];
        file.read_exact_at(piece, at)?;
        let fresh = piece.get(skip..).unwrap_or_default();
        let length = fresh.len().min(buffer.len() - filled);
        buffer[filled..filled + length].copy_from_slice(&fresh[..length]);
        filled += length;
        at += take;
        skip = 0;
    }
    Ok(())
}

/// Memory that direct reads accept, without asking the allocator for alignment.
struct Aligned {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    fn new(length: usize) -> Self {
        let memory = vec![0; length + MEMORY_ALIGNMENT];
        let start = memory
            .as_ptr()
            .align_offset(MEMORY_ALIGNMENT)
            .min(MEMORY_ALIGNMENT);
        Self {
            memory,
            start,
            length,
        }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.length]
    }
}

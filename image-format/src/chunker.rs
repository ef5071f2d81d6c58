//! Where a stream is cut into chunks.
//!
//! Equal contents must be cut at equal places for ever, or nothing dedups: the
//! numbers here and the golden test below belong to the format.

use fastcdc::v2020::{Normalization, cut, select_masks};

/// Contents below this are one chunk: cutting them finds next to nothing.
pub const WHOLE_BELOW: u64 = 1 << 20;
/// No chunk is longer.
pub const MAX_CHUNK: usize = 4 << 20;

// Even sizes: FastCDC looks at two bytes at a time.
const LEAST: usize = 256 << 10;
const AVERAGE: usize = 1 << 20;
/// Of a stream's first bytes so many are looked at to tell its kind.
pub const HEAD: usize = 4096;
/// Small enough for a page that changed, large enough for the index.
const FIXED: usize = 16 << 10;
/// More pieces than this make a manifest large: then they are longer.
const FIXED_PIECES: u64 = 1 << 20;
/// Below this only the name says that a stream is written at random: first
/// bytes like those of a disk are no rarity among firmware and boot sectors.
const DISK_AT_LEAST: u64 = 64 << 20;
/// Kinds that are written at random inside: disks of virtual machines, mail stores, databases.
const WRITTEN_AT_RANDOM: [&[u8]; 12] = [
    b"vhd", b"vhdx", b"qcow2", b"qcow", b"vmdk", b"vdi", b"img", b"raw", b"pst", b"mdf", b"edb",
    b"ibd",
];
/// Where a disk in a file says what it is: QEMU, Hyper-V (both), VMware, `VirtualBox`,
/// GPT (sectors of 512 bytes), MBR or boot sector, ext2 to ext4.
const DISK_MAGICS: [(usize, &[u8]); 8] = [
    (0, b"QFI\xfb"),
    (0, b"vhdxfile"),
    (0, b"conectix"),
    (0, b"KDMV"),
    (0x40, b"\x7f\x10\xda\xbe"),
    (512, b"EFI PART"),
    (510, b"\x55\xaa"),
    (0x438, b"\x53\xef"),
];

/// The extension under which a whole volume is streamed: see [`VOLUME_HINT`].
const VOLUME: &[u8] = b"mimeovolume";
/// What a volume that is taken as it lies is called when it is streamed: it is
/// cut at multiples of 1 MiB of the volume, so that two volumes of one base
/// share what did not move.
pub const VOLUME_HINT: &[u8] = b"volume.mimeovolume";

/// How a stream is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunking {
    /// Not at all, only at holes.
    Whole,
    /// Where the content says so (FastCDC, Xia and others, 2020).
    ContentDefined,
    /// At multiples of so many bytes of the stream.
    Fixed(usize),
}

impl Chunking {
    /// The rule for a stream of `size` bytes whose name has this lower-case
    /// extension and which begins with `head` (at most [`HEAD`] bytes count).
    pub fn for_stream(extension: &[u8], size: u64, head: &[u8]) -> Self {
        if size < WHOLE_BELOW {
            Self::Whole
        } else if extension == VOLUME {
            Self::Fixed(AVERAGE)
        } else if WRITTEN_AT_RANDOM.contains(&extension) || size >= DISK_AT_LEAST && is_disk(head) {
            Self::Fixed(fixed_piece(size))
        } else {
            Self::ContentDefined
        }
    }
}

fn is_disk(head: &[u8]) -> bool {
    let at = |(offset, magic): &(usize, &[u8])| {
        head.get(*offset..)
            .is_some_and(|rest| rest.starts_with(magic))
    };
    DISK_MAGICS.iter().any(at)
}

/// The least power of two, from [`FIXED`] on, that keeps to [`FIXED_PIECES`].
fn fixed_piece(size: u64) -> usize {
    let mut piece = FIXED;
    while piece < MAX_CHUNK && size.div_ceil(piece as u64) > FIXED_PIECES {
        piece *= 2;
    }
    piece
}

/// Cuts a stream; keeps at most three [`MAX_CHUNK`] of it.
#[derive(Debug)]
pub struct Chunker {
    chunking: Chunking,
    kept: Vec<u8>,
    /// Bytes of `kept` that went out already.
    gone: usize,
    /// Stream offset of the first kept byte that is not gone.
    at: u64,
    masks: (u64, u64),
}

impl Chunker {
    /// A chunker at the start of a stream.
    pub fn new(chunking: Chunking) -> Self {
        let masks = select_masks(AVERAGE, Normalization::Level1);
        Self {
            chunking,
            kept: Vec::new(),
            gone: 0,
            at: 0,
            masks,
        }
    }

    /// Takes bytes and hands out every chunk that is complete.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn push<E>(
        &mut self,
        bytes: &[u8],
        out: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for part in bytes.chunks(MAX_CHUNK) {
            self.kept.extend_from_slice(part);
            while self.left() >= self.decided() {
                self.hand_out(out)?;
            }
            // What is kept is up to a whole chunk: moved to the front once for
            // each of its length, not with every portion.
            if self.gone >= MAX_CHUNK {
                self.kept.drain(..self.gone);
                self.gone = 0;
            }
        }
        Ok(())
    }

    /// Cuts here, whatever the content says: the stream ends or has a hole of
    /// `hole` bytes.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish<E>(
        &mut self,
        hole: u64,
        out: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while self.left() > 0 {
            self.hand_out(out)?;
        }
        self.kept.clear();
        self.gone = 0;
        self.at = self.at.saturating_add(hole);
        Ok(())
    }

    fn left(&self) -> usize {
        self.kept.len() - self.gone
    }

    /// With so many bytes at hand the next cut no longer depends on what follows.
    fn decided(&self) -> usize {
        match self.chunking {
            Chunking::Whole | Chunking::ContentDefined => MAX_CHUNK,
            Chunking::Fixed(size) => self.to_boundary(size),
        }
    }

    fn to_boundary(&self, size: usize) -> usize {
        let size = size.clamp(1, MAX_CHUNK);
        let past = usize::try_from(self.at % size as u64).unwrap_or(0);
        size - past
    }

    fn hand_out<E>(&mut self, out: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let window = self.kept.get(self.gone..).unwrap_or_default();
        let length = match self.chunking {
            Chunking::Whole => window.len().min(MAX_CHUNK),
            Chunking::ContentDefined => {
                let (strict, loose) = self.masks;
                cut(
                    window,
                    LEAST,
                    AVERAGE,
                    MAX_CHUNK,
                    strict,
                    loose,
                    strict << 1,
                    loose << 1,
                )
                .1
            }
            Chunking::Fixed(size) => self.to_boundary(size).min(window.len()),
        };
        let chunk = window.get(..length.max(1)).unwrap_or(window);
        let taken = chunk.len();
        out(chunk)?;
        self.gone += taken;
        self.at = self.at.saturating_add(taken as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests;

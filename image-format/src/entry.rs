//! One name in a volume, as readers find it and builders lay it down.
//!
//! The same words serve ext4, FAT and POSIX trees. What a file system does not
//! know stays at its default; what a target cannot hold is the plan's business.

use std::fmt::{self, Write};

use crate::ids::{ChunkId, ChunkRef};

/// A moment in nanoseconds since 1970-01-01 UTC; far past and future included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Whole seconds, negative before 1970.
    pub seconds: i64,
    /// 0 ..= 999 999 999, counted forward from `seconds`.
    pub nanoseconds: u32,
}

/// Seconds with nine digits behind the point; before 1970 with a minus in front.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanoseconds) = (self.seconds, self.nanoseconds);
        if seconds >= 0 || nanoseconds == 0 {
            return write!(f, "{seconds}.{nanoseconds:09}");
        }
        // Nanoseconds count forward: half a second before 1970 is -1 and half a second.
        let whole = seconds.saturating_add(1).unsigned_abs();
        let part = 1_000_000_000_u32.saturating_sub(nanoseconds);
        write!(f, "-{whole}.{part:09}")
    }
}

/// The four times of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Times {
    /// Contents last written (mtime).
    pub modified: Timestamp,
    /// Contents last read (atime).
    pub accessed: Timestamp,
    /// Inode last changed (ctime).
    pub changed: Timestamp,
    /// Inode made (crtime, birth).
    pub created: Timestamp,
}

/// What kind of thing a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file; its contents are in [`Entry::content`].
    File,
    /// A symbolic link and where it points, byte for byte.
    Symlink(Vec<u8>),
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// A socket's name.
    Socket,
    /// A whole volume nobody reads as files: its bytes are the content.
    RawVolume,
}

/// An extended attribute with its full name, as `user.comment`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Xattr {
    /// Full name including the namespace.
    pub name: Vec<u8>,
    /// Value as the kernel hands it out (ACLs in their portable form).
    pub value: Vec<u8>,
}

/// A stretch of a file's contents; stretches follow each other without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Bytes that were never written: they read as zeros and take no room.
    Hole {
        /// Length in bytes.
        length: u64,
    },
    /// Bytes of a chunk, whole.
    Chunk {
        /// The chunk.
        id: ChunkId,
        /// Its length in bytes.
        length: u32,
    },
}

impl Piece {
    /// How many bytes of the file it covers.
    pub fn length(&self) -> u64 {
        match *self {
            Self::Hole { length } => length,
            Self::Chunk { length, .. } => u64::from(length),
        }
    }
}

/// The contents of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Content {
    /// There is none: not a file, an empty file, or a later name of a hard link.
    #[default]
    Empty,
    /// Up to [`INLINE_LIMIT`] bytes, kept in the manifest itself.
    Inline(Vec<u8>),
    /// Pieces in file order.
    Pieces(Vec<Piece>),
}

/// Contents up to this many bytes live in the manifest and need no block.
pub const INLINE_LIMIT: usize = 1024;

impl Content {
    /// The length of the contents in bytes, holes included.
    pub fn size(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Pieces(pieces) => pieces.iter().map(Piece::length).sum(),
        }
    }

    /// Its chunks in file order, repeats included.
    pub fn chunks(&self) -> impl Iterator<Item = ChunkRef> + '_ {
        let pieces = match self {
            Self::Pieces(pieces) => pieces.as_slice(),
            Self::Empty | Self::Inline(_) => &[],
        };
        pieces.iter().filter_map(|piece| match *piece {
            Piece::Chunk { id, length } => Some(ChunkRef { id, length }),
            Piece::Hole { .. } => None,
        })
    }
}

/// One name in a volume.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Path from the volume's root: components joined by `/`, no slash at
    /// either end; the root itself is the empty path. Bytes, not text.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-id and sticky bits (`07777`).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Its times.
    pub times: Times,
    /// Attribute flags in the words of its file system: on ext4 the inode flags
    /// a user can set (`FS_IOC_SETFLAGS`), on FAT the attribute byte.
    pub flags: u32,
    /// Extended attributes, sorted by name.
    pub xattrs: Vec<Xattr>,
    /// Names of one inode share this number; the first in path order carries
    /// the content, the others are [`Content::Empty`]. `None`: one name only.
    pub link: Option<u32>,
    /// The 8.3 name as stored on FAT (11 bytes, space padded).
    pub short_name: Option<[u8; 11]>,
    /// The contents.
    pub content: Content,
}

impl Entry {
    /// An entry of `kind` at `path` with everything else at rest.
    pub fn new(path: impl Into<Vec<u8>>, kind: Kind) -> Self {
        Self {
            path: path.into(),
            kind,
            mode: 0,
            uid: 0,
            gid: 0,
            times: Times::default(),
            flags: 0,
            xattrs: Vec::new(),
            link: None,
            short_name: None,
            content: Content::Empty,
        }
    }

    /// The last component of the path; empty for the root.
    pub fn name(&self) -> &[u8] {
        self.path
            .rsplit(|&byte| byte == b'/')
            .next()
            .unwrap_or_default()
    }

    /// The path of the directory it lies in; `None` for the root.
    pub fn parent(&self) -> Option<&[u8]> {
        if self.path.is_empty() {
            return None;
        }
        let cut = self
            .path
            .iter()
            .rposition(|&byte| byte == b'/')
            .unwrap_or(0);
        Some(&self.path[..cut])
    }

    /// The path for people: unprintable bytes escaped, a slash in front.
    pub fn display_path(&self) -> String {
        format!("/{}", printable(&self.path))
    }
}

/// A name, path or link target for people. UTF-8 stands as it is; a backslash
/// is `\\`, and each byte of a control character or of what is no UTF-8 is
/// `\xNN`, so that the bytes can be told from the text.
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for part in bytes.utf8_chunks() {
        for letter in part.valid().chars() {
            match letter {
                '\\' => text.push_str("\\\\"),
                _ if letter.is_control() => {
                    escape(&mut text, letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => text.push(letter),
            }
        }
        escape(&mut text, part.invalid());
    }
    text
}

fn escape(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // A string takes whatever is written to it.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stands_as_it_is_and_other_bytes_can_be_told_from_it() {
        for (bytes, shown) in [
            (
                "Gr\u{fc}\u{df}e \u{65e5}\u{672c} 'a\"".as_bytes(),
                "Gr\u{fc}\u{df}e \u{65e5}\u{672c} 'a\"",
            ),
            (b"a\nb\x1b[1m\x7f", r"a\x0ab\x1b[1m\x7f"),
            (b"a\\x0a", r"a\\x0a"),
            (b"\xff\xc3", r"\xff\xc3"),
            ("\u{85}".as_bytes(), r"\xc2\x85"),
        ] {
            assert_eq!(printable(bytes), shown);
        }
    }

    #[test]
    fn times_before_1970_count_towards_it() {
        for (seconds, nanoseconds, shown) in [
            (1, 5, "1.000000005"),
            (-1, 0, "-1.000000000"),
            (-1, 250_000_000, "-0.750000000"),
            (-2_145_916_801, 123_456_789, "-2145916800.876543211"),
            (i64::MIN, 1, "-9223372036854775807.999999999"),
        ] {
            let time = Timestamp {
                seconds,
                nanoseconds,
            };
            assert_eq!(time.to_string(), shown);
        }
    }
}

//! Tree to initramfs and back: the "newc" cpio archive.
//!
//! Format: the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`.
//! The same tree always gives the same bytes: sorted, times zero, owner root,
//! inode numbers in sequence.

use thiserror::Error;

use crate::tree::{Node, Tree, TreeError};

const MAGIC: &[u8; 6] = b"070701";
/// Magic and thirteen fields of eight hexadecimal digits.
const HEADER: usize = 6 + 13 * 8;
const TRAILER: &str = "TRAILER!!!";
/// The kernel rounds each header with its name, and each content, to this.
const ALIGN: usize = 4;
/// Longest name with its NUL: the kernel ignores anything longer.
const LONGEST_NAME: usize = 4097;

const TYPE_MASK: u32 = 0o170_000;
const TYPE_FOLDER: u32 = 0o040_000;
const TYPE_FILE: u32 = 0o100_000;
const TYPE_LINK: u32 = 0o120_000;
const TYPE_DEVICE: u32 = 0o020_000;

/// Positions of the fields after the magic.
const FIELD_MODE: usize = 1;
const FIELD_LINKS: usize = 4;
const FIELD_SIZE: usize = 6;
const FIELD_MAJOR: usize = 9;
const FIELD_MINOR: usize = 10;
const FIELD_NAME: usize = 11;

/// Why a tree cannot become an archive or an archive cannot be read.
#[derive(Debug, Error)]
pub enum CpioError {
    /// The archive ends before its trailer.
    #[error("archive is cut short at offset {at}")]
    Short {
        /// Byte offset where something was expected.
        at: usize,
    },
    /// A header or name that no writer makes.
    #[error("archive header at offset {at}: {reason}")]
    Header {
        /// Byte offset of the header.
        at: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Its content does not fit a 32-bit length.
    #[error("{path:?} is too long for an initramfs")]
    TooLong {
        /// Path in the tree.
        path: String,
    },
    /// A file with the name that ends an archive.
    #[error("{TRAILER:?} ends an archive and cannot be the name of a file in one")]
    Trailer,
    /// The archive's path cannot be part of a tree.
    #[error("archive entry at offset {at}: {source}")]
    Entry {
        /// Byte offset of the header.
        at: usize,
        /// What the tree says.
        source: TreeError,
    },
}

/// Writes the archive of `tree`.
pub fn write(tree: &Tree) -> Result<Vec<u8>, CpioError> {
    let mut archive = Vec::new();
    // Inode 0 means "none" to some readers, so they count from 1.
    for (inode, (path, node)) in (1u32..).zip(tree.iter()) {
        if path == TRAILER {
            return Err(CpioError::Trailer);
        }
        let (mode, links, device, content): (u32, u32, (u32, u32), &[u8]) = match node {
            Node::Folder { mode } => (TYPE_FOLDER | mode, 2, (0, 0), &[]),
            Node::File { mode, bytes } => (TYPE_FILE | mode, 1, (0, 0), bytes),
            Node::Link { target } => (TYPE_LINK | 0o777, 1, (0, 0), target.as_bytes()),
            Node::Device { mode, major, minor } => (TYPE_DEVICE | mode, 1, (*major, *minor), &[]),
        };
        let size = u32::try_from(content.len()).map_err(|_| CpioError::TooLong {
            path: path.to_owned(),
        })?;
        header(
            &mut archive,
            [inode, mode, links, size, device.0, device.1],
            path,
        );
        archive.extend_from_slice(content);
        pad(&mut archive);
    }
    header(&mut archive, [0, 0, 1, 0, 0, 0], TRAILER);
    Ok(archive)
}

/// Appends a header: inode, mode, links, size, major and minor are what varies.
fn header(archive: &mut Vec<u8>, varying: [u32; 6], name: &str) {
    let [inode, mode, links, size, major, minor] = varying;
    // Tree paths are at most 4096 bytes, so the length with NUL fits.
    let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
    let fields = [
        inode, mode, 0, 0, links, 0, size, 0, 0, major, minor, name_size, 0,
    ];
    archive.extend_from_slice(MAGIC);
    for field in fields {
        archive.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    pad(archive);
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(ALIGN), 0);
}

/// Reads an archive as [`write()`] and GNU cpio make it (without hard links).
pub fn read(archive: &[u8]) -> Result<Tree, CpioError> {
    let mut tree = Tree::new();
    let mut at = 0;
    loop {
        let entry = Entry::read(archive, at)?;
        if entry.name == TRAILER {
            return Ok(tree);
        }
        let next = entry.next;
        let name = entry.name.strip_prefix("./").unwrap_or(entry.name);
        if name == TRAILER {
            return Err(CpioError::Trailer);
        }
        if name != "." {
            let node = entry.node(at)?;
            tree.put(name, node)
                .map_err(|source| CpioError::Entry { at, source })?;
        }
        at = next;
    }
}

/// One entry as it lies in the archive.
struct Entry<'a> {
    mode: u32,
    links: u32,
    device: (u32, u32),
    name: &'a str,
    content: &'a [u8],
    next: usize,
}

impl<'a> Entry<'a> {
    fn read(archive: &'a [u8], at: usize) -> Result<Self, CpioError> {
        let wrong = |reason| CpioError::Header { at, reason };
        let header = archive
            .get(at..)
            .and_then(|rest| rest.get(..HEADER))
            .ok_or(CpioError::Short { at })?;
        if !header.starts_with(MAGIC) {
            return Err(wrong("no newc magic"));
        }
        let field = |index| field(header, index).ok_or(wrong("a field is not hexadecimal"));
        let name_size = field(FIELD_NAME)? as usize;
        if !(2..=LONGEST_NAME).contains(&name_size) {
            return Err(wrong("impossible length of the name"));
        }
        let name_at = at + HEADER;
        let name = archive
            .get(name_at..name_at + name_size)
            .ok_or(CpioError::Short { at: name_at })?;
        let (name, end) = name.split_at(name_size - 1);
        let name = std::str::from_utf8(name).map_err(|_| wrong("name is not UTF-8"))?;
        if end != [0] {
            return Err(wrong("name does not end in NUL"));
        }
        let content_at = (name_at + name_size).next_multiple_of(ALIGN);
        let size = field(FIELD_SIZE)? as usize;
        let content = archive
            .get(content_at..)
            .and_then(|rest| rest.get(..size))
            .ok_or(CpioError::Short { at: content_at })?;
        Ok(Self {
            mode: field(FIELD_MODE)?,
            links: field(FIELD_LINKS)?,
            device: (field(FIELD_MAJOR)?, field(FIELD_MINOR)?),
            name,
            content,
            next: (content_at + size).next_multiple_of(ALIGN),
        })
    }

    fn node(&self, at: usize) -> Result<Node, CpioError> {
        let wrong = |reason| CpioError::Header { at, reason };
        let mode = self.mode & 0o7777;
        match self.mode & TYPE_MASK {
            TYPE_FOLDER => Ok(Node::Folder { mode }),
            TYPE_FILE if self.links > 1 => Err(wrong("hard links are not supported")),
            TYPE_FILE => Ok(Node::File {
                mode,
                bytes: self.content.to_vec(),
            }),
            TYPE_LINK => std::str::from_utf8(self.content)
                .map(|target| Node::Link {
                    target: target.to_owned(),
                })
                .map_err(|_| wrong("link target is not UTF-8")),
            TYPE_DEVICE => {
                let (major, minor) = self.device;
                Ok(Node::Device { mode, major, minor })
            }
            _ => Err(wrong("neither file, folder, link nor character device")),
        }
    }
}

fn field(header: &[u8], index: usize) -> Option<u32> {
    let start = MAGIC.len() + index * 8;
    let digits = header.get(start..start + 8)?;
    // from_str_radix alone would let a plus sign through.
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tree {
        let mut tree = Tree::new();
        tree.file("init", 0o755, b"program".to_vec()).unwrap();
        tree.file("etc/mimeo/boot.json", 0o644, b"{}".to_vec())
            .unwrap();
        tree.put(
            "dev/console",
            Node::Device {
                mode: 0o600,
                major: 5,
                minor: 1,
            },
        )
        .unwrap();
        tree.put(
            "lib64",
            Node::Link {
                target: "lib".to_owned(),
            },
        )
        .unwrap();
        tree
    }

    #[test]
    fn a_tree_comes_back_from_its_archive() {
        assert_eq!(read(&write(&sample()).unwrap()).unwrap(), sample());
    }

    #[test]
    fn the_same_tree_gives_the_same_bytes() {
        assert_eq!(write(&sample()).unwrap(), write(&sample()).unwrap());
    }

    #[test]
    fn a_header_lies_as_the_kernel_documents_it() {
        let mut tree = Tree::new();
        tree.file("a", 0o644, b"xyz".to_vec()).unwrap();
        let archive = write(&tree).unwrap();
        let expected = b"07070100000001000081a4000000000000000000000001000000000000000300000000\
            0000000000000000000000000000000200000000a\0xyz\0";
        assert_eq!(archive.get(..expected.len()), Some(expected.as_slice()));
    }

    #[test]
    fn a_file_named_like_the_trailer_is_refused_in_both_directions() {
        let mut tree = Tree::new();
        tree.file("TRAILER!!!", 0o644, vec![1]).unwrap();
        assert!(matches!(write(&tree), Err(CpioError::Trailer)));
        let mut tree = Tree::new();
        tree.file("xxTRAILER!!!", 0o644, vec![1]).unwrap();
        let mut archive = write(&tree).unwrap();
        archive[HEADER..HEADER + 2].copy_from_slice(b"./");
        assert!(matches!(read(&archive), Err(CpioError::Trailer)));
    }

    #[test]
    fn a_cut_archive_is_an_error_at_every_length() {
        let archive = write(&sample()).unwrap();
        // The last three bytes pad the trailer's name and carry nothing.
        for length in 0..archive.len() - 3 {
            assert!(read(&archive[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn no_flipped_byte_makes_the_reader_panic() {
        let archive = write(&sample()).unwrap();
        for at in 0..archive.len() {
            for flip in [0x01, 0x10, 0x80, 0xff] {
                let mut damaged = archive.clone();
                damaged[at] ^= flip;
                let _ = read(&damaged);
            }
        }
    }

    #[test]
    fn an_entry_that_leaves_the_tree_is_refused() {
        let mut archive = write(&sample()).unwrap();
        let at = archive
            .windows(8)
            .position(|name| name == b"mimeo/bo")
            .unwrap();
        archive[at - 4..at - 1].copy_from_slice(b"/..");
        assert!(matches!(read(&archive), Err(CpioError::Entry { .. })));
    }
}

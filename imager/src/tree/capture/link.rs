//! Names of one inode: numbered alike in every capture of the same tree.

use std::collections::{HashMap, HashSet};

use crate::tree::metadata::Stat;
use rustix::fs::FileType;

/// One of several names of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    /// Number of the group.
    pub(super) number: u32,
    /// Whether it is the first in path order, which carries the contents.
    pub(super) first: bool,
}

struct Group {
    number: u32,
    /// Names not seen yet.
    left: u32,
}

/// All groups of a tree, asked in path order.
#[derive(Default)]
pub(super) struct Links {
    open: HashMap<((u32, u32), u64), Group>,
    used: HashSet<u32>,
}

impl Links {
    /// The group of a name; `None` when its inode has no other.
    pub(super) fn of(&mut self, path: &[u8], stat: &Stat) -> Option<Link> {
        if stat.links < 2 || stat.file_type == FileType::Directory {
            return None;
        }
        let inode = (stat.device, stat.inode);
        let Some(group) = self.open.get_mut(&inode) else {
            let number = self.number(path);
            let left = stat.links - 1;
            self.open.insert(inode, Group { number, left });
            return Some(Link {
                number,
                first: true,
            });
        };
        let number = group.number;
        group.left -= 1;
        if group.left == 0 {
            self.open.remove(&inode);
        }
        Some(Link {
            number,
            first: false,
        })
    }

    /// A number that follows from the first path: what else changes in the
    /// tree does not change it, so that equal parts of two images stay equal.
    fn number(&mut self, path: &[u8]) -> u32 {
        let hash = blake3::hash(path);
        let [a, b, c, d, ..] = *hash.as_bytes();
        let mut number = u32::from_le_bytes([a, b, c, d]);
        while !self.used.insert(number) {
            number = number.wrapping_add(1);
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_format::entry::Times;

    fn stat(inode: u64, links: u32) -> Stat {
        Stat {
            device: (8, 1),
            inode,
            file_type: FileType::RegularFile,
            mode: 0,
            uid: 0,
            gid: 0,
            size: 0,
            sectors: 0,
            links,
            times: Times::default(),
            node: (0, 0),
            is_mount: false,
        }
    }

    #[test]
    fn the_first_name_numbers_its_group_whatever_else_there_is() {
        let mut some = Links::default();
        assert_eq!(some.of(b"a", &stat(1, 1)), None);
        let first = some.of(b"b", &stat(2, 3)).unwrap();
        assert!(first.first);
        let mut more = Links::default();
        more.of(b"another", &stat(9, 2)).unwrap();
        assert_eq!(more.of(b"b", &stat(77, 2)), Some(first));
        for path in [b"c", b"d"] {
            let later = some.of(path, &stat(2, 3)).unwrap();
            assert_eq!((later.number, later.first), (first.number, false));
        }
        assert!(some.open.is_empty(), "nothing is kept of whole groups");
        // Numbers are not given twice, even to a path seen before.
        assert_ne!(some.of(b"b", &stat(5, 2)).unwrap().number, first.number);
    }
}

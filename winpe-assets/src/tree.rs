//! Path to node: every boot tree is one, whether it becomes an initramfs, a
//! folder the server hands out, or a medium.

use std::collections::BTreeMap;

use thiserror::Error;

/// Longest path a tree holds, in bytes: Linux's own PATH_MAX.
const LONGEST_PATH: usize = 4096;

/// Deepest path, in names. Each folder above a path is kept with its whole
/// path: without a bound a short archive would fill the memory.
const DEEPEST: usize = 32;

/// One thing in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder {
        /// Permission bits.
        mode: u32,
    },
    /// A regular file.
    File {
        /// Permission bits.
        mode: u32,
        /// What is in it.
        bytes: Vec<u8>,
    },
    /// A symbolic link.
    Link {
        /// Where it points, as written.
        target: String,
    },
    /// A character device.
    Device {
        /// Permission bits.
        mode: u32,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// Why something cannot be put into a tree.
#[derive(Debug, Error)]
pub enum TreeError {
    /// The path would leave the tree, or no file system would take it.
    #[error("path {path:?} cannot be part of a boot tree: {reason}")]
    Path {
        /// The offending path, shortened.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two different things want the same place.
    #[error("path {path:?} is in the boot tree already")]
    Taken {
        /// The path of both.
        path: String,
    },
    /// Something lies below a file.
    #[error("path {path:?}: its parent {parent:?} is not a folder")]
    NotAFolder {
        /// The path asked for.
        path: String,
        /// The file, link or device in its way.
        parent: String,
    },
}

/// A tree of files, sorted by path, parents always present.
///
/// Paths are relative, with `/` between names: `lib/modules/9p.ko`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// A tree with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `node` at `path` and makes the folders above it.
    pub fn put(&mut self, path: &str, node: Node) -> Result<(), TreeError> {
        check_path(path)?;
        for (slash, _) in path.match_indices('/') {
            let parent = path.get(..slash).unwrap_or_default();
            match self.nodes.get(parent) {
                Some(Node::Folder { .. }) => {}
                Some(_) => {
                    return Err(TreeError::NotAFolder {
                        path: path.to_owned(),
                        parent: parent.to_owned(),
                    });
                }
                None => {
                    self.nodes
                        .insert(parent.to_owned(), Node::Folder { mode: 0o755 });
                }
            }
        }
        match self.nodes.get(path) {
            // A folder made for a child above may still learn its own mode.
            Some(Node::Folder { .. }) if matches!(node, Node::Folder { .. }) => {}
            Some(_) => {
                return Err(TreeError::Taken {
                    path: path.to_owned(),
                });
            }
            None => {}
        }
        self.nodes.insert(path.to_owned(), node);
        Ok(())
    }

    /// Puts a regular file with permission bits `mode`.
    pub fn file(&mut self, path: &str, mode: u32, bytes: Vec<u8>) -> Result<(), TreeError> {
        self.put(path, Node::File { mode, bytes })
    }

    /// What lies at `path`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// The content of the regular file at `path`.
    #[must_use]
    pub fn bytes(&self, path: &str) -> Option<&[u8]> {
        match self.nodes.get(path) {
            Some(Node::File { bytes, .. }) => Some(bytes),
            _ => None,
        }
    }

    /// Everything, parents before children, in the order of the bytes of the paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// Only the regular files, in the same order.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.nodes.iter().filter_map(|(path, node)| match node {
            Node::File { bytes, .. } => Some((path.as_str(), bytes.as_slice())),
            _ => None,
        })
    }
}

/// Refuses what leaves the tree or has two spellings.
fn check_path(path: &str) -> Result<(), TreeError> {
    let refuse = |reason| {
        let shown = path.chars().take(120).collect();
        Err(TreeError::Path {
            path: shown,
            reason,
        })
    };
    if path.len() > LONGEST_PATH {
        return refuse("longer than 4096 bytes");
    }
    if path.contains(['\0', '\\']) {
        return refuse("holds a NUL or a backslash");
    }
    if path.split('/').count() > DEEPEST {
        return refuse("more than 32 names deep");
    }
    for name in path.split('/') {
        match name {
            "" => return refuse("empty name (leading, trailing or double slash)"),
            "." | ".." => return refuse("a name is . or .."),
            _ if name.len() > 255 => return refuse("a name is longer than 255 bytes"),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_made_and_come_first() {
        let mut tree = Tree::new();
        tree.file("a/b/c", 0o644, vec![1]).unwrap();
        let paths: Vec<_> = tree.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["a", "a/b", "a/b/c"]);
    }

    #[test]
    fn paths_that_leave_the_tree_are_refused() {
        let mut tree = Tree::new();
        for path in [
            "", "/", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a\0b", "a\\b",
        ] {
            assert!(tree.file(path, 0o644, vec![]).is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_path_as_deep_as_no_file_lies_is_refused() {
        let mut tree = Tree::new();
        assert!(tree.file(&["a"; DEEPEST].join("/"), 0o644, vec![]).is_ok());
        let deeper = ["b"; DEEPEST + 1].join("/");
        assert!(tree.file(&deeper, 0o644, vec![]).is_err());
    }

    #[test]
    fn nothing_lies_below_a_file_or_twice_in_one_place() {
        let mut tree = Tree::new();
        tree.file("a", 0o644, vec![]).unwrap();
        assert!(matches!(
            tree.file("a/b", 0o644, vec![]),
            Err(TreeError::NotAFolder { .. })
        ));
        assert!(matches!(
            tree.file("a", 0o644, vec![]),
            Err(TreeError::Taken { .. })
        ));
    }
}

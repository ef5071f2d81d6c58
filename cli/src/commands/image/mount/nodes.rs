//! Which number stands for which name, as long as the kernel remembers it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use image_format::entry::Entry;

/// The number of the mount's root, by the protocol.
pub(super) const ROOT: u64 = 1;

/// Something that is shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// The folder that holds a disk's volumes.
    Top,
    /// An entry of a tree.
    In {
        /// Which tree.
        tree: usize,
        /// Its path there.
        path: Vec<u8>,
    },
}

/// Numbers are hashes of what they stand for, so a folder can be listed
/// without remembering all that is in it. The key of the hash is random: no
/// image can be made in which two names meet.
#[derive(Debug)]
pub(super) struct Nodes {
    keys: RandomState,
    root: Node,
    known: Mutex<HashMap<u64, (Node, u64)>>,
}

impl Nodes {
    pub(super) fn new(root: Node) -> Self {
        Self {
            keys: RandomState::new(),
            root,
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u64, (Node, u64)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of an entry; all names of a hard link have one.
    pub(super) fn number(&self, tree: usize, entry: &Entry) -> u64 {
        match entry.link {
            Some(link) => self.hash(&(tree, link)),
            None => self.number_at(tree, &entry.path),
        }
    }

    /// The number of the folder at a path.
    pub(super) fn number_at(&self, tree: usize, path: &[u8]) -> u64 {
        match &self.root {
            Node::In {
                tree: at,
                path: root,
            } if *at == tree && *root == path => ROOT,
            _ => self.hash(&(tree, path)),
        }
    }

    fn hash(&self, what: &impl std::hash::Hash) -> u64 {
        // 63 bits: programs exist that read the number as signed.
        (self.keys.hash_one(what) >> 1).max(ROOT + 1)
    }

    /// What a number stands for.
    pub(super) fn node(&self, number: u64) -> Option<Node> {
        match number {
            ROOT => Some(self.root.clone()),
            _ => self.known().get(&number).map(|(node, _)| node.clone()),
        }
    }

    /// The kernel was told this number once more.
    pub(super) fn told(&self, number: u64, node: Node) {
        let mut known = self.known();
        let (_, count) = known.entry(number).or_insert((node, 0));
        *count = count.saturating_add(1);
    }

    /// The kernel forgot what it was told `times` times.
    pub(super) fn forgot(&self, number: u64, times: u64) {
        let mut known = self.known();
        if let Some((_, count)) = known.get_mut(&number) {
            *count = count.saturating_sub(times);
            if *count == 0 {
                known.remove(&number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use image_format::entry::Kind;

    use super::*;

    #[test]
    fn numbers_are_known_until_they_are_forgotten() {
        let path = |path: &str| Node::In {
            tree: 0,
            path: path.into(),
        };
        let nodes = Nodes::new(path(""));
        assert_eq!(nodes.number_at(0, b""), ROOT);
        let number = nodes.number_at(0, b"etc");
        assert_eq!(nodes.node(number), None);
        nodes.told(number, path("etc"));
        nodes.told(number, path("etc"));
        nodes.forgot(number, 1);
        assert_eq!(nodes.node(number), Some(path("etc")));
        nodes.forgot(number, 1);
        assert_eq!(nodes.node(number), None);
        assert_eq!(nodes.node(ROOT), Some(path("")));
    }

    #[test]
    fn names_of_one_link_have_one_number() {
        let nodes = Nodes::new(Node::Top);
        let mut names = ["a", "b"].map(|name| Entry::new(name, Kind::File));
        assert_ne!(nodes.number(0, &names[0]), nodes.number(0, &names[1]));
        names.iter_mut().for_each(|entry| entry.link = Some(1));
        assert_eq!(nodes.number(0, &names[0]), nodes.number(0, &names[1]));
        assert_ne!(nodes.number(0, &names[0]), nodes.number(1, &names[0]));
    }
}

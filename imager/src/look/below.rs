//! Everything below a folder, leaf by leaf.

use std::sync::Arc;

use image_format::entry::Entry;
use image_format::share::Share;
use image_format::store::Store;

use super::{LookError, Tree};

/// The entries below a folder in path order; after an error there is no more.
#[derive(Debug)]
pub struct Below<'t, S: Store> {
    share: &'t Share<S>,
    tree: &'t Tree,
    /// What their paths begin with; empty for the root.
    prefix: Vec<u8>,
    next: usize,
    leaf: Arc<Vec<Entry>>,
    row: usize,
}

impl<'t, S: Store> Below<'t, S> {
    pub(super) fn new(share: &'t Share<S>, tree: &'t Tree, folder: &[u8]) -> Self {
        let prefix = match folder {
            [] => Vec::new(),
            _ => [folder, b"/"].concat(),
        };
        Self {
            share,
            tree,
            next: tree.leaf_of(&prefix),
            prefix,
            leaf: Arc::default(),
            row: 0,
        }
    }

    /// Reads the next leaf that may hold entries; whether there was one.
    fn read(&mut self) -> Result<bool, LookError> {
        let Some(leaf) = self.tree.leaves().get(self.next) else {
            return Ok(false);
        };
        if leaf.first > self.prefix && !leaf.first.starts_with(&self.prefix) {
            return Ok(false);
        }
        self.leaf = self.tree.leaf(self.share, self.next)?;
        self.next = self.next.saturating_add(1);
        let before = |entry: &Entry| entry.path < self.prefix;
        self.row = self.leaf.partition_point(before);
        Ok(true)
    }
}

impl<S: Store> Iterator for Below<'_, S> {
    type Item = Result<Entry, LookError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.leaf.get(self.row) {
                self.row = self.row.saturating_add(1);
                if !entry.path.starts_with(&self.prefix) {
                    self.next = usize::MAX;
                    self.leaf = Arc::default();
                    return None;
                }
                // The root is not below itself.
                if entry.path.is_empty() {
                    continue;
                }
                return Some(Ok(entry.clone()));
            }
            match self.read() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.next = usize::MAX;
                    self.leaf = Arc::default();
                    return Some(Err(error));
                }
            }
        }
    }
}

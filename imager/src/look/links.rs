//! Hard links: which name carries the contents and how many names there are.
//! Only the whole tree can tell, so it is read once, when somebody asks.

use std::collections::HashMap;

use image_format::entry::Entry;
use image_format::share::Share;
use image_format::store::Store;

use super::{LookError, Tree};

/// The hard links of one tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    groups: HashMap<u32, Group>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    first: Vec<u8>,
    names: u32,
}

impl Links {
    /// Reads the whole tree.
    ///
    /// # Errors
    /// The share cannot answer.
    pub fn read<S: Store>(share: &Share<S>, tree: &Tree) -> Result<Self, LookError> {
        let mut links = Self::default();
        for entry in share.entries(&tree.image(), tree.volume())? {
            links.add(&entry?);
        }
        Ok(links)
    }

    fn add(&mut self, entry: &Entry) {
        if let Some(link) = entry.link {
            let group = self.groups.entry(link).or_insert_with(|| Group {
                first: entry.path.clone(),
                names: 0,
            });
            group.names = group.names.saturating_add(1);
        }
    }

    /// The first name of a link in path order: it carries the contents.
    pub fn first_name(&self, link: u32) -> Option<&[u8]> {
        self.groups.get(&link).map(|group| group.first.as_slice())
    }

    /// How many names it has.
    pub fn names(&self, link: u32) -> u32 {
        self.groups.get(&link).map_or(1, |group| group.names)
    }

    /// The first entry of a link, reading no further than it.
    ///
    /// # Errors
    /// The share cannot answer.
    pub(super) fn first<S: Store>(
        share: &Share<S>,
        tree: &Tree,
        link: u32,
    ) -> Result<Option<Entry>, LookError> {
        for entry in share.entries(&tree.image(), tree.volume())? {
            let entry = entry?;
            if entry.link == Some(link) {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }
}

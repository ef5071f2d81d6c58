//! Hard links on both sides. Their numbers mean nothing outside their tree, so
//! names are compared; trees are read for that only when a link has changed.

use image_format::entry::{Content, Entry, Kind};
use image_format::share::Share;
use image_format::store::Store;

use super::aspect::Names;
use crate::look::{Links, LookError, Tree};

/// The links of two trees, read at the first question.
pub(super) struct Linked<'d, S: Store> {
    share: &'d Share<S>,
    old: Side<'d>,
    new: Side<'d>,
}

struct Side<'d> {
    tree: &'d Tree,
    links: Option<Links>,
}

impl<'d, S: Store> Linked<'d, S> {
    pub(super) fn new(share: &'d Share<S>, old: &'d Tree, new: &'d Tree) -> Self {
        let side = |tree| Side { tree, links: None };
        Self {
            share,
            old: side(old),
            new: side(new),
        }
    }
}

impl Side<'_> {
    /// The first name of an entry's group; its own path where there is none.
    fn first<S: Store>(&mut self, share: &Share<S>, entry: &Entry) -> Result<Vec<u8>, LookError> {
        let Some(link) = entry.link else {
            return Ok(entry.path.clone());
        };
        let links = match &mut self.links {
            Some(links) => links,
            none => none.insert(Links::read(share, self.tree)?),
        };
        let first = links.first_name(link).unwrap_or(&entry.path);
        Ok(first.to_vec())
    }

    fn contents<S: Store>(
        &mut self,
        share: &Share<S>,
        entry: &Entry,
    ) -> Result<Content, LookError> {
        if entry.content != Content::Empty || entry.kind != Kind::File || entry.link.is_none() {
            return Ok(entry.content.clone());
        }
        let first = self.first(share, entry)?;
        let carrier = self.tree.entry(share, &first)?;
        carrier
            .map(|entry| entry.content)
            .ok_or_else(|| LookError::NoContents {
                path: entry.display_path(),
            })
    }
}

impl<S: Store> Names for Linked<'_, S> {
    fn same_group(&mut self, old: &Entry, new: &Entry) -> Result<bool, LookError> {
        // A name with contents is the first of its group, so it names the group.
        if old.content != Content::Empty && new.content != Content::Empty {
            return Ok(true);
        }
        Ok(self.old.first(self.share, old)? == self.new.first(self.share, new)?)
    }

    fn contents(&mut self, old: &Entry, new: &Entry) -> Result<(Content, Content), LookError> {
        let before = self.old.contents(self.share, old)?;
        Ok((before, self.new.contents(self.share, new)?))
    }
}

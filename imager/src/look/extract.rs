//! Files and folders of an image, copied into a folder with all that is known
//! of them. Nothing outside that folder is touched: every name is opened below
//! it, and no symbolic link is followed.

mod dress;
mod short;
mod target;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;

use image_format::entry::{Content, Entry, Kind, printable};
use image_format::share::Share;
use image_format::store::Store;

use super::contents::Contents;
use super::{Last, Links, LookError, Tree};
use dress::Dress;
pub use short::Shortfall;
use target::Target;

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extracted {
    /// Names made, folders included.
    pub entries: u64,
    /// Bytes of contents, holes included.
    pub bytes: u64,
    /// What the folder could not hold.
    pub shortfall: Shortfall,
}

/// Copies what `paths` lead to, and all below it, into the folder `into`, each
/// under the path it has in the image. Files that are there are refused, or
/// with `force` replaced, each at once; folders are filled up.
///
/// # Errors
/// A path leads nowhere, a file is there already, the share cannot answer, or
/// the folder cannot be written. What was copied before stays.
pub fn extract<S: Store>(
    share: &Share<S>,
    tree: &Tree,
    paths: &[Vec<u8>],
    into: &Path,
    force: bool,
) -> Result<Extracted, LookError> {
    let find = |path: &Vec<u8>| tree.find(share, path, Last::Keep);
    let wanted = outermost(paths.iter().map(find).collect::<Result<_, _>>()?);
    let mut work = Work {
        share,
        tree,
        target: Target::open(into, force)?,
        links: None,
        linked: HashMap::new(),
        folders: Vec::new(),
        still: Vec::new(),
        done: Extracted::default(),
    };
    for entry in wanted {
        work.ways_to(&entry)?;
        let path = entry.path.clone();
        work.entry(entry)?;
        for entry in tree.below(share, &path) {
            work.entry(entry?)?;
        }
    }
    work.finish()
}

/// Without those that lie below others.
fn outermost(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let mut kept: Vec<Entry> = Vec::new();
    for entry in entries {
        let inside = |outer: &Entry| {
            let rest = entry.path.strip_prefix(outer.path.as_slice());
            outer.path.is_empty()
                || rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
        };
        if !kept.iter().any(inside) {
            kept.push(entry);
        }
    }
    kept
}

struct Work<'w, S: Store> {
    share: &'w Share<S>,
    tree: &'w Tree,
    target: Target,
    /// Read when a name comes whose contents another name carries.
    links: Option<Links>,
    /// Where a link's contents lie by now.
    linked: HashMap<u32, Vec<u8>>,
    /// Folders made here: dressed when nothing more goes into them.
    folders: Vec<Entry>,
    /// Flags after which nothing can be changed: set at the very end.
    still: Vec<Entry>,
    done: Extracted,
}

impl<S: Store> Work<'_, S> {
    /// Makes the folders on the way to an entry.
    fn ways_to(&mut self, entry: &Entry) -> Result<(), LookError> {
        let slashes = entry
            .path
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/');
        for (at, _) in slashes {
            let path = entry.path.get(..at).unwrap_or_default();
            let folder = self.tree.entry(self.share, path)?;
            let folder = folder.ok_or_else(|| LookError::NotThere {
                path: format!("/{}", printable(path)),
            })?;
            self.folder(folder)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: Entry) -> Result<(), LookError> {
        if let Some(at) = entry.link.and_then(|link| self.linked.get(&link)) {
            self.target.link(at, &entry.path)?;
            self.done.entries += 1;
            return Ok(());
        }
        match &entry.kind {
            Kind::Directory => return self.folder(entry),
            Kind::File | Kind::RawVolume => {
                let content = self.content(&entry)?;
                self.file(&entry, content)?;
            }
            Kind::Symlink(to) => {
                let made = self.target.symlink(to, &entry.path)?;
                dress::unopened(&made, &entry, &mut self.done.shortfall)?;
            }
            Kind::CharDevice { .. } | Kind::BlockDevice { .. } | Kind::Fifo | Kind::Socket => {
                let Some(made) = self.target.node(&entry)? else {
                    self.done.shortfall.add(short::NODE, &entry);
                    return Ok(());
                };
                dress::unopened(&made, &entry, &mut self.done.shortfall)?;
            }
        }
        if let Some(link) = entry.link {
            self.linked.insert(link, entry.path.clone());
        }
        self.done.entries += 1;
        if dress::is_still(&entry) {
            self.still.push(bare(entry));
        }
        Ok(())
    }

    fn folder(&mut self, entry: Entry) -> Result<(), LookError> {
        if self.target.folder(&entry.path)? {
            self.done.entries += 1;
            self.folders.push(bare(entry));
        }
        Ok(())
    }

    fn content(&mut self, entry: &Entry) -> Result<Content, LookError> {
        let (Some(link), Content::Empty) = (entry.link, &entry.content) else {
            return Ok(entry.content.clone());
        };
        let links = match &mut self.links {
            Some(links) => links,
            none => none.insert(Links::read(self.share, self.tree)?),
        };
        let first = links.first_name(link).unwrap_or(&entry.path);
        let carrier = self.tree.entry(self.share, first)?;
        carrier
            .map(|entry| entry.content)
            .ok_or_else(|| LookError::NoContents {
                path: entry.display_path(),
            })
    }

    fn file(&mut self, entry: &Entry, content: Content) -> Result<(), LookError> {
        let contents = Contents::new(content);
        // A volume of sectors is the whole tree and has no name of its own.
        let path = match entry.kind {
            Kind::RawVolume => format!("partition-{}.img", self.tree.number()).into_bytes(),
            _ => entry.path.clone(),
        };
        let new = self.target.file(&path)?;
        new.fill(self.share, &contents)?;
        Dress::new(new.file(), entry, &mut self.done.shortfall).all()?;
        new.finish()?;
        self.done.bytes = self.done.bytes.saturating_add(contents.size());
        Ok(())
    }

    fn dress(&mut self, file: &OwnedFd, entry: &Entry) -> Result<(), LookError> {
        Dress::new(file, entry, &mut self.done.shortfall).all()
    }

    /// Folders from the innermost on, then what makes things unchangeable.
    fn finish(mut self) -> Result<Extracted, LookError> {
        while let Some(entry) = self.folders.pop() {
            let folder = self.target.open_folder(&entry.path)?;
            self.dress(&folder, &entry)?;
            if dress::is_still(&entry) {
                self.still.push(entry);
            }
        }
        while let Some(entry) = self.still.pop() {
            let file = self.target.open_again(&entry.path)?;
            dress::still(&file, &entry, &mut self.done.shortfall)?;
        }
        Ok(self.done)
    }
}

/// The entry without what takes room.
fn bare(mut entry: Entry) -> Entry {
    entry.content = Content::Empty;
    entry
}

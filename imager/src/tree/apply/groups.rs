//! Hard links that lie in the target already.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use image_format::ShareError;
use image_format::entry::Kind;
use rustix::fs::{Mode, OFlags, ResolveFlags, Stat};

use crate::tree::held::Holder;
use crate::tree::plan::{Origin, Plan};

/// All names of each group of hard links in the image.
#[derive(Debug, Default)]
pub(super) struct Groups {
    names: HashMap<u32, Vec<Vec<u8>>>,
}

impl Groups {
    /// Looked for only where what lies there may be kept.
    pub(super) fn of(plan: &Plan, origin: &Origin<'_>) -> Result<Self, ShareError> {
        let mut groups = Self::default();
        if !plan.wishes.reuse {
            return Ok(groups);
        }
        let mut holder = Holder::new(&plan.can, origin.volume);
        for entry in (origin.entries)()? {
            let held = holder.hold(entry?, &mut |_| {});
            if let Some((link, entry)) = held.and_then(|entry| Some((entry.link?, entry)))
                && entry.kind != Kind::Directory
            {
                groups.names.entry(link).or_default().push(entry.path);
            }
        }
        Ok(groups)
    }

    /// Whether `found` has exactly the names that the image gives this group: then
    /// none leads out of the target.
    pub(super) fn is_whole(&self, root: &OwnedFd, link: u32, found: &Stat) -> bool {
        let Some(names) = self.names.get(&link) else {
            return false;
        };
        let is_it = |name: &Vec<u8>| inode(root, name) == Some((found.st_dev, found.st_ino));
        u64::try_from(names.len()) == Ok(found.st_nlink) && names.iter().all(is_it)
    }
}

/// What has a path in the target; links are not followed, mounts not crossed. A
/// kernel before 5.6 cannot promise that: nothing then.
fn inode(root: &OwnedFd, path: &[u8]) -> Option<(u64, u64)> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let there = rustix::fs::openat2(root, path, flags, Mode::empty(), resolve).ok()?;
    let found = rustix::fs::fstat(there).ok()?;
    Some((found.st_dev, found.st_ino))
}

//! In what two entries of one path differ.

use image_format::entry::{Content, Entry, Kind};

use crate::look::LookError;

/// Something about an entry that is not the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// What kind of thing it is.
    Kind,
    /// The bytes of the file, or where its holes lie.
    Content,
    /// Where a symbolic link points.
    Target,
    /// The numbers of a device.
    Device,
    /// Permission bits.
    Mode,
    /// Owner or group.
    Owner,
    /// One of the four times.
    Times,
    /// Attribute flags.
    Flags,
    /// Extended attributes, ACLs among them.
    Xattrs,
    /// Which names it is a hard link with.
    Links,
    /// The 8.3 name on FAT.
    ShortName,
}

impl Aspect {
    /// The word for people and programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Content => "content",
            Self::Target => "target",
            Self::Device => "device",
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Times => "times",
            Self::Flags => "flags",
            Self::Xattrs => "xattrs",
            Self::Links => "links",
            Self::ShortName => "short name",
        }
    }
}

/// Answers what one entry alone cannot: which names a hard link has.
pub(super) trait Names {
    /// Whether two names of hard links stand for the same group.
    fn same_group(&mut self, old: &Entry, new: &Entry) -> Result<bool, LookError>;
    /// The contents, carried by whichever name.
    fn contents(&mut self, old: &Entry, new: &Entry) -> Result<(Content, Content), LookError>;
}

/// All in which they differ; empty when only the numbers of links do.
pub(super) fn differing(
    old: &Entry,
    new: &Entry,
    names: &mut dyn Names,
) -> Result<Vec<Aspect>, LookError> {
    let mut found: Vec<Aspect> = kind(&old.kind, &new.kind).into_iter().collect();
    let mut differs = |aspect, unequal: bool| {
        if unequal {
            found.push(aspect);
        }
    };
    if std::mem::discriminant(&old.kind) == std::mem::discriminant(&new.kind) {
        let unequal = match carried_elsewhere(old) || carried_elsewhere(new) {
            true => {
                let (before, after) = names.contents(old, new)?;
                before != after
            }
            false => old.content != new.content,
        };
        differs(Aspect::Content, unequal);
    }
    differs(Aspect::Mode, old.mode != new.mode);
    differs(Aspect::Owner, (old.uid, old.gid) != (new.uid, new.gid));
    differs(Aspect::Times, old.times != new.times);
    differs(Aspect::Flags, old.flags != new.flags);
    differs(Aspect::Xattrs, old.xattrs != new.xattrs);
    let links = match (old.link, new.link) {
        (None, None) => false,
        (Some(_), Some(_)) => !names.same_group(old, new)?,
        _ => true,
    };
    differs(Aspect::Links, links);
    differs(Aspect::ShortName, old.short_name != new.short_name);
    Ok(found)
}

fn kind(old: &Kind, new: &Kind) -> Option<Aspect> {
    match (old, new) {
        _ if old == new => None,
        (Kind::Symlink(_), Kind::Symlink(_)) => Some(Aspect::Target),
        (Kind::CharDevice { .. }, Kind::CharDevice { .. })
        | (Kind::BlockDevice { .. }, Kind::BlockDevice { .. }) => Some(Aspect::Device),
        _ => Some(Aspect::Kind),
    }
}

/// A name of a hard link that may not be the one with the contents.
fn carried_elsewhere(entry: &Entry) -> bool {
    entry.link.is_some() && entry.content == Content::Empty && entry.kind == Kind::File
}

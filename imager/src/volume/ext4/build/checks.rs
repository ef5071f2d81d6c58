//! Why an entry cannot be in an ext4 volume.

use image_format::entry::{Content, Entry, Kind, Piece};

use crate::volume::VolumeError;

use super::super::codec::device::{MAJORS, MINORS};
use super::super::codec::directory::LONGEST_NAME;
use super::super::codec::inode::FLAGS_KEPT;
use super::super::codec::time;
use super::super::fault::unsupported;
use super::shape::Shape;

/// Adds every reason why `entry` cannot be stored.
pub(super) fn check(shape: &Shape, entry: &Entry, errors: &mut Vec<VolumeError>) {
    let mut refuse = |why: &str, next: &str| {
        errors.push(unsupported(entry.display_path(), why, next));
    };
    let name = entry.name();
    if !entry.path.is_empty() {
        if name.is_empty() || name.len() > LONGEST_NAME || name.contains(&0) {
            refuse(
                "a name has 1 to 255 bytes and no zero among them",
                "rename it",
            );
        }
        if matches!(name, b"." | b"..") {
            refuse("the name means a directory itself", "rename it");
        }
    }
    if entry.mode > 0o7777 {
        refuse("its mode has bits beyond 07777", "correct its mode");
    }
    if entry.flags & !FLAGS_KEPT != 0 {
        refuse("its flags are not ext4 attribute flags", "clear them");
    }
    let times = &entry.times;
    for when in [times.modified, times.accessed, times.changed, times.created] {
        if time::encode(when).is_none() {
            refuse("a time is outside 1901 to 2446", "correct its times");
        }
    }
    if let Some(why) = wrong_kind(shape, entry) {
        refuse(why, "leave it out or capture the partition as a raw volume");
    }
    if entry.content != Content::Empty && entry.kind != Kind::File {
        refuse("only files have contents", "capture again");
    }
    if !is_size_possible(shape, &entry.content) {
        refuse("it is longer than 2^32 blocks", "leave it out");
    }
}

fn wrong_kind(shape: &Shape, entry: &Entry) -> Option<&'static str> {
    match &entry.kind {
        Kind::RawVolume => Some("a raw volume is not a file"),
        Kind::Symlink(target) if target.is_empty() || target.len() >= shape.block_size => {
            Some("a link target has at least one byte and less than a block")
        }
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor }
            if *major >= MAJORS || *minor >= MINORS =>
        {
            Some("its device number is too large")
        }
        _ => None,
    }
}

/// Sums without overflow, up to the last block number ext4 has for a file.
fn is_size_possible(shape: &Shape, content: &Content) -> bool {
    let limit = u64::from(u32::MAX) * shape.block();
    let size = match content {
        Content::Pieces(pieces) => pieces
            .iter()
            .map(Piece::length)
            .try_fold(0, u64::checked_add),
        other => Some(other.size()),
    };
    size.is_some_and(|size| size <= limit)
}

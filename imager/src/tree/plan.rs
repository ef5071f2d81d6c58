//! What applying an image to a directory will do, and every reason not to,
//! before anything is touched.

mod error;
mod mounts;
mod room;
mod target;
pub(crate) mod wish;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use image_format::entry::{Content, Entry, Kind, Piece};
use image_format::ids::ImageId;

pub use error::PlanError;
pub use room::Room;
pub(crate) use target::{for_each_name, is_lost_and_found};
pub use wish::{EntryStream, Origin, Others, Wishes};

use super::held::{Abilities, Holder, Losses, probe};
use super::place::text;

/// How much there is of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// Entries of every kind.
    pub entries: u64,
    /// Files, each name of a hard link counted.
    pub files: u64,
    /// Folders, the target itself included.
    pub folders: u64,
    /// Bytes of contents, holes included.
    pub bytes: u64,
    /// Bytes of contents that are written.
    pub data: u64,
}

/// A plan nobody refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The image.
    pub image: ImageId,
    /// Index into the layout's partitions.
    pub partition: u32,
    /// The target directory.
    pub target: PathBuf,
    /// It has to be made.
    pub make: bool,
    /// An interrupted apply of the same image is gone on with.
    pub resume: bool,
    /// What is written.
    pub extent: Extent,
    /// What is left out.
    pub losses: Losses,
    /// Names in the target itself before.
    pub found: u64,
    /// The first of these names, unprintable bytes escaped.
    pub found_first: Vec<String>,
    /// Room needed and there.
    pub room: Room,
    /// What the target can hold.
    pub can: Abilities,
    /// As wished; going on means reuse.
    pub wishes: Wishes,
}

/// Makes a plan. Nothing is changed but a probe folder that is made and removed:
/// in the target, or in the nearest folder above that is there.
///
/// # Errors
/// Every loss nobody agreed to, or the first other reason not to do it.
pub fn plan(origin: &Origin<'_>, target: &Path, wishes: &Wishes) -> Result<Plan, PlanError> {
    let found = target::look(target)?;
    let others = target::others(&found, target, origin, wishes)?;
    if others == Others::Remove && found.exists {
        mounts::refuse(target)?;
    }
    let can = probe(&found.folder).map_err(|source| PlanError::Probe {
        folder: found.place.clone(),
        source: source.into(),
    })?;
    let wishes = Wishes {
        others,
        reuse: wishes.reuse || found.resumes(origin),
        ..*wishes
    };
    let mut count = Count::new(&found);
    let losses = count.all(origin, &can)?;
    if losses.refuse() && !wishes.allow_loss {
        return Err(PlanError::Losses { losses });
    }
    let room = count.room.finish(&found.folder, &wishes)?;
    Ok(Plan {
        image: origin.image,
        partition: origin.partition,
        target: target.to_owned(),
        make: !found.exists,
        resume: found.resumes(origin),
        extent: count.extent,
        losses,
        found: found.names,
        found_first: found.first_names(),
        room,
        can,
        wishes,
    })
}

struct Count {
    extent: Extent,
    room: room::Need,
}

impl Count {
    fn new(found: &target::Found) -> Self {
        Self {
            extent: Extent::default(),
            room: room::Need::new(found),
        }
    }

    fn all(&mut self, origin: &Origin<'_>, can: &Abilities) -> Result<Losses, PlanError> {
        let mut holder = Holder::new(can, origin.volume);
        let mut losses = Losses::default();
        for entry in (origin.entries)()? {
            let entry = entry?;
            refuse_raw(&entry)?;
            if entry.path.split(|&byte| byte == b'/').next() == Some(super::marker::MARKER) {
                let path = text(&entry.path);
                return Err(PlanError::Reserved { path });
            }
            let path: Arc<[u8]> = entry.path.as_slice().into();
            let held = holder.hold(entry, &mut |loss| losses.note(loss, &path));
            if let Some(held) = held {
                self.entry(&held);
            }
        }
        Ok(losses)
    }

    fn entry(&mut self, entry: &Entry) {
        let extent = &mut self.extent;
        extent.entries += 1;
        match entry.kind {
            Kind::Directory => extent.folders += 1,
            Kind::File => extent.files += 1,
            _ => {}
        }
        let data = written(&entry.content);
        extent.bytes = extent.bytes.saturating_add(entry.content.size());
        extent.data = extent.data.saturating_add(data);
        self.room.entry(entry, data);
    }
}

fn refuse_raw(entry: &Entry) -> Result<(), PlanError> {
    match (&entry.kind, entry.path.is_empty()) {
        (Kind::RawVolume, _) => Err(PlanError::Raw),
        (Kind::Directory, true) => Ok(()),
        (_, true) => Err(PlanError::Raw),
        _ => Ok(()),
    }
}

/// Bytes of contents that are not holes.
pub(crate) fn written(content: &Content) -> u64 {
    match content {
        Content::Empty => 0,
        Content::Inline(bytes) => bytes.len() as u64,
        Content::Pieces(pieces) => pieces
            .iter()
            .filter(|piece| matches!(piece, Piece::Chunk { .. }))
            .map(Piece::length)
            .fold(0, u64::saturating_add),
    }
}

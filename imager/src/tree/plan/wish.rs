//! What is to be applied, and how it is wished.

use image_format::ShareError;
use image_format::entry::Entry;
use image_format::ids::ImageId;
use image_format::layout::Volume;

/// Entries of one volume as they come, in path order.
pub type EntryStream<'a> = Box<dyn Iterator<Item = Result<Entry, ShareError>> + 'a>;

/// One volume of an image.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// The image.
    pub image: ImageId,
    /// Index into the layout's partitions.
    pub partition: u32,
    /// What the partition holds.
    pub volume: &'a Volume,
    /// Begins the entries anew; each activity goes through them once or twice.
    pub entries: &'a dyn Fn() -> Result<EntryStream<'a>, ShareError>,
}

/// What happens to things in the target that are not of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Others {
    /// There must be none.
    #[default]
    Refuse,
    /// They are removed: the target becomes exactly the image.
    Remove,
    /// They stay; what the image has too is replaced.
    Keep,
}

impl Others {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Remove => "remove",
            Self::Keep => "keep",
        }
    }

    pub(crate) fn of_word(word: &str) -> Option<Self> {
        [Self::Refuse, Self::Remove, Self::Keep]
            .into_iter()
            .find(|one| one.word() == word)
    }
}

/// What is wished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wishes {
    /// What happens to other things in the target.
    pub others: Others,
    /// What lies there already is hashed and kept where it is right.
    pub reuse: bool,
    /// What the target cannot hold is left out and told.
    pub allow_loss: bool,
}

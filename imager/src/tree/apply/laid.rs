//! What the walk through the names leaves for the later steps.

use image_format::entry::Timestamp;

use crate::tree::place::{FolderId, Folders, Rows};

/// What the later steps need to know.
pub(super) struct Laid {
    pub(super) folders: Folders,
    /// For each folder what is set on it last.
    pub(super) folder_rows: Vec<FolderRow>,
    pub(super) rows: Rows,
    /// Further names of hard links.
    pub(super) links: Vec<Link>,
    /// What becomes immutable or append-only in the end.
    pub(super) still: Vec<Still>,
    /// Hashes of all names of the image, where extras are removed later.
    pub(super) known: Vec<[u8; 16]>,
}

/// A folder that is finished last.
#[derive(Debug, Clone, Copy)]
pub(super) struct FolderRow {
    pub(super) temper: u32,
    pub(super) modified: Timestamp,
    pub(super) accessed: Timestamp,
}

/// A further name.
pub(super) struct Link {
    /// Folder and name of the first.
    pub(super) first: (FolderId, u32),
    /// Folder and name of this one.
    pub(super) name: (FolderId, u32),
}

/// A file that becomes immutable or append-only.
pub(super) struct Still {
    pub(super) name: (FolderId, u32),
    pub(super) flags: u32,
}

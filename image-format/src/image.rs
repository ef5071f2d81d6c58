//! An image as one value: what apply writes, and the record that stands beside it.

use serde::{Deserialize, Serialize};

use crate::entry::Entry;
use crate::ids::{ChunkRef, ImageId};
use crate::layout::DiskLayout;

/// Everything an apply writes. Its root hash is the [`ImageId`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The disk with its partitions.
    pub disk: DiskLayout,
    /// One tree for each partition that holds entries.
    pub volumes: Vec<VolumeTree>,
}

/// The entries of one partition, in path order (bytewise, parents first).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeTree {
    /// Index into [`DiskLayout::partitions`].
    pub partition: u32,
    /// All entries; a raw volume has exactly one, [`crate::entry::Kind::RawVolume`].
    pub entries: Vec<Entry>,
}

/// What people want to know of an image; not part of its identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// Which image.
    pub image: ImageId,
    /// The name it was captured under.
    pub name: String,
    /// Counts up with every capture under this name; readers refuse a lower one.
    pub sequence: u64,
    /// Seconds since 1970 when the capture began.
    pub captured: u64,
    /// The image it was compared with, if any.
    pub parent: Option<ImageId>,
    /// Operating system as found, e.g. `debian 12`.
    pub system: Option<SystemWords>,
    /// Logical bytes of all contents.
    pub logical_size: u64,
    /// Entries over all volumes.
    pub entries: u64,
    /// How it was compressed, in the words of who captured it.
    #[serde(default)]
    pub profile: Option<String>,
    /// What was captured, in words that are the same the next time.
    #[serde(default)]
    pub source: Option<String>,
    /// The list of witnesses (see [`crate::manifest::witness`]), if there are any.
    #[serde(default)]
    pub witnesses: Option<ChunkRef>,
}

/// The operating system in the words it uses itself (`os-release`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct SystemWords {
    /// `ID`.
    pub id: String,
    /// `VERSION_ID`.
    pub version: String,
    /// `PRETTY_NAME`.
    pub name: String,
    /// e.g. `x86_64`, where it could be told.
    pub architecture: String,
}

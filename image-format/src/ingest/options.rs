//! How to store, what is said of the image, how far it is.

use crate::ids::ImageId;
use crate::image::SystemWords;
use crate::profile::Profile;

/// A pack is closed at so many bytes: it is built in memory, on small machines too.
const PACK_TARGET: u64 = 64 << 20;

/// How to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestOptions {
    /// How hard to compress.
    pub profile: Profile,
    /// Expand every block again and compare, also where the profile does not ask for it.
    pub paranoid: bool,
    /// Threads that compress; 0 takes one a core.
    pub threads: usize,
    /// Bytes at which a pack is closed, at most [`crate::pack::MAX_PACK`] less a block.
    pub pack_target: u64,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self {
            profile: Profile::Fast,
            paranoid: false,
            threads: 0,
            pack_target: PACK_TARGET,
        }
    }
}

/// What is said of a new image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImage {
    /// The name to commit it under.
    pub name: String,
    /// Seconds since 1970 when the capture began.
    pub captured: u64,
    /// The image it was compared with.
    pub parent: Option<ImageId>,
    /// The operating system, if one was found.
    pub system: Option<SystemWords>,
    /// What was captured, in words that are the same the next time.
    pub source: Option<String>,
}

/// How far an ingest is, in bytes unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IngestProgress {
    /// Read from streams; holes do not count.
    pub read: u64,
    /// Of these, not in the store before.
    pub new: u64,
    /// Written into blocks.
    pub stored: u64,
    /// Number of chunks seen.
    pub chunks: u64,
    /// Number of chunks that were new.
    pub new_chunks: u64,
    /// Number of packs stored.
    pub packs: u64,
}

//! How hard to compress: three choices, each measured as a whole.

use serde::{Deserialize, Serialize};
use zstd::zstd_safe::{CCtx, CParameter, SafeResult};

use crate::block::MAX_RAW;

/// What a capture or an `optimize` spends for size.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// As fast as a disk reads: for captures.
    #[default]
    Fast,
    /// About four times the time for an eighth less: for a share at rest.
    Balanced,
    /// Nearly as small as zstd can: for what is kept long and sent often.
    Archive,
}

impl Profile {
    /// Its name, as it stands in refs and on command lines.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Balanced => "balanced",
            Self::Archive => "archive",
        }
    }

    /// A block is closed at so many raw bytes.
    pub fn block_target(self) -> usize {
        match self {
            Self::Fast | Self::Balanced => 8 << 20,
            Self::Archive => 15 << 20,
        }
    }

    /// The most raw bytes of a block: a chunk that would pass it begins the next.
    pub fn block_limit(self) -> usize {
        let target = self.block_target();
        (target + target / 4).min(MAX_RAW as usize)
    }

    /// Whether a writer expands each block again and compares: where old blocks
    /// may be given up for the new ones, and where it costs little.
    pub fn verifies(self) -> bool {
        self != Self::Fast
    }

    /// Sets every parameter for a block of `raw` bytes after `prefix` bytes of bases.
    pub(crate) fn tune(self, context: &mut CCtx<'_>, raw: usize, prefix: usize) -> SafeResult {
        let level = match self {
            Self::Fast => 3,
            Self::Balanced => 9,
            Self::Archive => 17,
        };
        context.set_parameter(CParameter::CompressionLevel(level))?;
        if self == Self::Fast {
            // A table a quarter as long: a twelfth of the time for a hundredth
            // of the size.
            context.set_parameter(CParameter::ChainLog(14))?;
        }
        if self == Self::Archive {
            // Level 19 is a sixteenth smaller and takes two and a half times as
            // long, most of it to look in more places for each match. Matches
            // of three bytes give a part of that back for little.
            context.set_parameter(CParameter::SearchLog(2))?;
            context.set_parameter(CParameter::MinMatch(3))?;
        }
        context.set_parameter(CParameter::WindowLog(window_log(raw + prefix)))?;
        Ok(0)
    }
}

/// The least window that reaches from the last byte to the first, as a power of two.
fn window_log(bytes: usize) -> u32 {
    bytes.max(1 << 17).next_power_of_two().trailing_zeros()
}

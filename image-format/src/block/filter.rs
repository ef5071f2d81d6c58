//! Branch filters: call targets become absolute, so that equal calls are equal bytes.
//!
//! A compiler writes how far a call jumps; two calls of one function then look
//! different. A filter adds the place to the distance, after which they look
//! alike, and zstd finds them. Every filter is a bijection of all byte strings
//! of a length: what is no code at all comes back too, only larger.

mod arm64;
mod x86;

/// What was done to the raw bytes before they were compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Filter {
    /// Nothing.
    #[default]
    None,
    /// CALL and JMP of x86, 32 and 64 bits.
    X86,
    /// BL and ADRP of ARM64.
    Arm64 {
        /// The first byte at which an instruction begins, 0 to 3: chunks are cut anywhere.
        start: u8,
    },
}

impl Filter {
    /// The filter byte and the start byte of a header.
    pub(super) fn encode(self) -> (u8, u8) {
        match self {
            Self::None => (0, 0),
            Self::X86 => (1, 0),
            Self::Arm64 { start } => (2, start),
        }
    }

    pub(super) fn decode(filter: u8, start: u8) -> Option<Self> {
        match (filter, start) {
            (0, 0) => Some(Self::None),
            (1, 0) => Some(Self::X86),
            (2, 0..=3) => Some(Self::Arm64 { start }),
            _ => None,
        }
    }

    /// The ARM64 filter with the start that finds the most calls.
    pub fn arm64(bytes: &[u8]) -> Self {
        Self::Arm64 {
            start: arm64::start(bytes),
        }
    }

    /// Makes targets absolute, in place.
    pub fn apply(self, bytes: &mut [u8]) {
        match self {
            Self::None => {}
            Self::X86 => x86::apply(bytes),
            Self::Arm64 { start } => arm64::turn(bytes, start, arm64::Turn::Absolute),
        }
    }

    /// Undoes [`Filter::apply`] of the same filter, in place.
    pub fn undo(self, bytes: &mut [u8]) {
        match self {
            Self::None => {}
            Self::X86 => x86::undo(bytes),
            Self::Arm64 { start } => arm64::turn(bytes, start, arm64::Turn::Relative),
        }
    }
}

#[cfg(test)]
mod tests;

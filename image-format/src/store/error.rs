//! What went wrong at a store.

use std::error::Error as StdError;
use std::path::PathBuf;

use thiserror::Error;

use super::name::RefName;
use crate::ids::PackId;
use crate::job::BlockPlace;

/// What went wrong at a store.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It is not there.
    #[error("{what} {name} is not in the store")]
    Missing {
        /// Pack, index segment, manifest or ref.
        what: &'static str,
        /// Which.
        name: String,
    },
    /// The file is shorter than the index says.
    #[error("{place} reaches past the end of the pack")]
    Range {
        /// What was asked for.
        place: BlockPlace,
    },
    /// A pack is shorter than what was asked of it.
    #[error("pack {} has no {length} bytes from byte {offset}", pack.short())]
    Short {
        /// Which.
        pack: PackId,
        /// From where.
        offset: u64,
        /// How many.
        length: u32,
    },
    /// The bytes do not belong to the name they were given.
    #[error("{what} {name} was refused: {reason}")]
    Refused {
        /// Pack, index segment, manifest or ref.
        what: &'static str,
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
    /// Another capture took this sequence.
    #[error("ref {at} exists already or does not follow the newest one (sequence {newest})")]
    Conflict {
        /// What should have been written.
        at: RefName,
        /// The newest sequence there is, 0 for none.
        newest: u64,
    },
    /// The medium is full.
    #[error(
        "no room left for {}: make room, as with `mimeo share gc`, and begin again; nothing that was there is touched",
        path.display()
    )]
    Full {
        /// What was being written.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The share may only be read by this program.
    #[error(
        "{} may only be read by this program: it has the feature {feature:?}; use a newer program to write",
        path.display()
    )]
    ReadOnly {
        /// Where.
        path: PathBuf,
        /// What this program does not know.
        feature: String,
    },
    /// The medium failed.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was being done, as `writing`.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not a share, or one of another version.
    #[error("{} is not a share this program can use: expected {expected}, found {found}", path.display())]
    Format {
        /// Where.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// What stands there, and what to do.
        found: String,
    },
    /// A fault that a simulation asked for.
    #[error("stopped by the simulation at operation {operation}")]
    Stopped {
        /// The operation's number, from 0.
        operation: u64,
    },
    /// A store that lies elsewhere failed.
    #[error("{doing} failed")]
    Remote {
        /// What was being done.
        doing: String,
        /// Whether trying again later may help.
        retry: bool,
        /// Why.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
}

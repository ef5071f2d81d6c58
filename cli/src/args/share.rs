//! `mimeo share`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

/// `mimeo share`.
#[derive(Debug, Subcommand)]
pub(crate) enum ShareCommand {
    /// Make an empty share in a new or empty folder
    Init {
        /// The folder
        dir: PathBuf,
    },
    /// Check that every image is whole
    Check(CheckArgs),
    /// Remove what no image needs
    ///
    /// Captures and deployments may go on meanwhile. What is removed can still
    /// be read for a day, and longer by who is at work: only a later run
    /// destroys it and makes room.
    Gc(GcArgs),
    /// Show what takes room, and what each image adds
    Stats {
        /// The share's folder
        dir: PathBuf,
    },
    /// Make the index again from the packs
    Reindex {
        /// The share's folder
        dir: PathBuf,
    },
}

/// `mimeo share check`.
#[derive(Debug, ClapArgs)]
pub(crate) struct CheckArgs {
    /// The share's folder
    pub(crate) dir: PathBuf,
    /// Read every pack to its last byte as well, and open every block
    #[arg(long)]
    pub(crate) read_data: bool,
}

/// `mimeo share gc`.
#[derive(Debug, ClapArgs)]
pub(crate) struct GcArgs {
    /// The share's folder
    pub(crate) dir: PathBuf,
    /// Only tell what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Hours for which what is removed can still be read; with 0 it is destroyed
    /// in this run, if nobody is at work
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    pub(crate) grace: u64,
}

//! `mimeo capture`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use image_format::profile::Profile;

/// `mimeo capture`.
#[derive(Debug, ClapArgs)]
pub(crate) struct CaptureArgs {
    /// Directory, block device or disk image file to capture; it is only read
    ///
    /// A directory is captured as it stands, the root of a running system
    /// included. What is mounted below it is left out.
    pub(crate) source: PathBuf,
    /// The share to capture into
    #[arg(long, value_name = "DIR")]
    pub(crate) share: PathBuf,
    /// Name of the image
    #[arg(long)]
    pub(crate) name: String,
    /// How hard to compress
    #[arg(long, value_name = "PROFILE", default_value = "fast")]
    pub(crate) profile: ProfileArg,
    /// Threads that read and threads that compress; 0 is one a core
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) threads: usize,
    /// Sector size of the disk in an image file
    #[arg(long, value_name = "BYTES", default_value_t = 512)]
    pub(crate) sector_size: u32,
    /// What of it, and what is not read again
    #[command(flatten)]
    pub(crate) tree: TreeArgs,
}

/// What is captured of a source, and what is not read again.
#[derive(Debug, ClapArgs)]
pub(crate) struct TreeArgs {
    /// Image to compare with; otherwise the newest of this name and, of a
    /// directory, of the same source
    #[arg(long, value_name = "NAME|ID")]
    pub(crate) parent: Option<String>,
    /// Keep access and change times; every capture differs then
    #[arg(long)]
    pub(crate) all_times: bool,
    /// Read everything again and check every block that is written
    #[arg(long)]
    pub(crate) paranoid: bool,
    /// Leave out what matches, as in .gitignore; may be given again
    #[arg(long, help_heading = "Options for directories", value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,
    /// Leave out what matches a line of this file; may be given again
    #[arg(long, help_heading = "Options for directories", value_name = "FILE")]
    pub(crate) exclude_from: Vec<PathBuf>,
    /// Take in paging files, and of a system also temporary files and caches
    #[arg(long, help_heading = "Options for directories")]
    pub(crate) no_default_excludes: bool,
    /// Fail when an entry vanishes or changes while it is read
    #[arg(long, help_heading = "Options for directories")]
    pub(crate) strict: bool,
    /// Leave out and name what cannot be read, instead of failing
    #[arg(long, help_heading = "Options for directories")]
    pub(crate) skip_unreadable: bool,
}

/// The words for profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileArg {
    /// As fast as a disk reads
    Fast,
    /// Four times the time for an eighth less
    Balanced,
    /// Twenty times the time for a sixth less
    Archive,
}

impl From<ProfileArg> for Profile {
    fn from(word: ProfileArg) -> Self {
        match word {
            ProfileArg::Fast => Self::Fast,
            ProfileArg::Balanced => Self::Balanced,
            ProfileArg::Archive => Self::Archive,
        }
    }
}

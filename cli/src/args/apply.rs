//! `mimeo apply` and `mimeo verify`.

use std::path::PathBuf;

use clap::Args;

/// `mimeo apply`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // Each is a switch of its own.
pub(crate) struct ApplyArgs {
    /// Name or id of the image
    pub(crate) image: String,
    /// Directory, block device or disk image file to write. A directory that is
    /// missing is made
    pub(crate) target: PathBuf,
    /// The share
    #[arg(long, value_name = "DIR")]
    pub(crate) share: PathBuf,
    /// Only print what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Only this partition of the image; a directory takes the one that holds
    /// the system by default
    #[arg(long, value_name = "NUMBER")]
    pub(crate) partition: Option<u32>,
    /// Keep what lies at its place already and is right
    #[arg(long)]
    pub(crate) reuse: bool,
    /// File for the proof of what was read back
    #[arg(long, value_name = "FILE", conflicts_with = "no_verify")]
    pub(crate) receipt: Option<PathBuf>,
    /// Directory: make it exactly the image, remove everything else in it
    #[arg(long, conflicts_with = "keep", help_heading = "Directories")]
    pub(crate) clean: bool,
    /// Directory: leave what is not of the image
    #[arg(long, help_heading = "Directories")]
    pub(crate) keep: bool,
    /// Directory: leave out what it cannot hold, and say so
    #[arg(long, help_heading = "Directories")]
    pub(crate) allow_loss: bool,
    /// Directory: read everything back and compare it; this is the default
    #[arg(long, conflicts_with = "no_verify", help_heading = "Directories")]
    pub(crate) verify: bool,
    /// Directory: do not read back; nothing is proven then
    #[arg(long, help_heading = "Directories")]
    pub(crate) no_verify: bool,
    /// Destroy what the disk holds without asking; ID as the plan shows it
    #[arg(long, value_name = "ID", help_heading = "Disks")]
    pub(crate) yes_destroy: Option<String>,
    /// Length of a disk image file to be made; K, M, G or T count in 1024
    #[arg(long, value_name = "BYTES", value_parser = crate::size::parse, help_heading = "Disks")]
    pub(crate) size: Option<u64>,
    /// Sector size of the disk in an image file [default: 512]
    #[arg(long, value_name = "BYTES", value_parser = crate::size::sector, help_heading = "Disks")]
    pub(crate) sector_size: Option<u32>,
    /// Make a volume of a directory's image
    #[arg(long, value_name = "KIND", help_heading = "Disks")]
    pub(crate) format: Option<VolumeKind>,
    /// Partition that takes what room is left [default: the largest ext4]
    #[arg(long, value_name = "NUMBER", help_heading = "Disks")]
    pub(crate) grow: Option<u32>,
}

/// What a directory's image can become on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum VolumeKind {
    /// An ext4 volume
    Ext4,
}

/// `mimeo verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Name or id of the image
    pub(crate) image: String,
    /// Directory, block device or disk image file; it is only read
    pub(crate) target: PathBuf,
    /// The share
    #[arg(long, value_name = "DIR")]
    pub(crate) share: PathBuf,
    /// The target holds only this partition of the image
    #[arg(long, value_name = "NUMBER")]
    pub(crate) partition: Option<u32>,
    /// Directory: things that are not of the image are no difference
    #[arg(long, help_heading = "Directories")]
    pub(crate) keep: bool,
    /// Directory: what it cannot hold is no difference
    #[arg(long, help_heading = "Directories")]
    pub(crate) allow_loss: bool,
    /// File for the proof of what was read
    #[arg(long, value_name = "FILE", help_heading = "Directories")]
    pub(crate) receipt: Option<PathBuf>,
    /// Sector size of the disk in an image file [default: 512]
    #[arg(long, value_name = "BYTES", value_parser = crate::size::sector, help_heading = "Disks")]
    pub(crate) sector_size: Option<u32>,
}

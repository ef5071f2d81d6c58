//! What `mimeo apply` and `mimeo verify` are told.

use std::path::PathBuf;

use clap::Args as ClapArgs;

/// `mimeo apply`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ApplyArgs {
    /// Name or id of the image
    pub(crate) image: String,
    /// Block device or disk image file to write
    pub(crate) target: PathBuf,
    /// The share
    #[arg(long, value_name = "DIR")]
    pub(crate) share: PathBuf,
    /// Only print what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Destroy what the target holds without asking; ID as the plan shows it
    #[arg(long, value_name = "ID")]
    pub(crate) yes_destroy: Option<String>,
    /// Length of a disk image file to be made; K, M, G or T count in 1024
    #[arg(long, value_name = "BYTES", value_parser = crate::size::parse)]
    pub(crate) size: Option<u64>,
    /// Sector size of the disk in an image file [default: 512]
    #[arg(long, value_name = "BYTES", value_parser = crate::size::sector)]
    pub(crate) sector_size: Option<u32>,
    /// Only this partition of the image, without a table
    #[arg(long, value_name = "NUMBER")]
    pub(crate) partition: Option<u32>,
    /// Partition that takes what room is left [default: the largest ext4]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) grow: Option<u32>,
    /// Look for contents that lie at their place already on all of the target
    #[arg(long)]
    pub(crate) reuse: bool,
    /// File for the proof of what was read back
    #[arg(long, value_name = "FILE")]
    pub(crate) receipt: Option<PathBuf>,
}

/// `mimeo verify`.
#[derive(Debug, ClapArgs)]
pub(crate) struct VerifyArgs {
    /// Name or id of the image
    pub(crate) image: String,
    /// Block device or disk image file; it is only read
    pub(crate) target: PathBuf,
    /// The share
    #[arg(long, value_name = "DIR")]
    pub(crate) share: PathBuf,
    /// Sector size of the disk in an image file [default: 512]
    #[arg(long, value_name = "BYTES", value_parser = crate::size::sector)]
    pub(crate) sector_size: Option<u32>,
    /// The target holds only this partition of the image
    #[arg(long, value_name = "NUMBER")]
    pub(crate) partition: Option<u32>,
}

//! `mimeo image`: its commands and their options.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::{DeleteArgs, ExportArgs, ImportArgs, TagArgs};

/// `mimeo image`.
#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// List the images
    List(ListArgs),
    /// Show an image: system, disk layout, sizes, what it shares with others
    Show(ShowArgs),
    /// List files of an image
    Ls(LsArgs),
    /// Print the contents of a file of an image
    Cat(CatArgs),
    /// Copy files and folders out of an image, with all that is known of them
    Extract(ExtractArgs),
    /// Show what differs between two images
    Diff(DiffArgs),
    /// Show an image as a folder, read-only, until it is stopped
    ///
    /// A disk shows its partitions as folders named by their numbers; one that
    /// holds sectors instead of files is a file. Stop it with Ctrl-C, or with
    /// `umount` from elsewhere.
    Mount(MountArgs),
    /// Copy images into a single file (.mim): to carry, to pipe, to keep
    Export(ExportArgs),
    /// Copy the images of a single file (.mim) into a share
    Import(ImportArgs),
    /// Give an image one more name
    Tag(TagArgs),
    /// Delete a version of an image; `share gc` then frees what it alone needed
    Delete(DeleteArgs),
}

/// Where images lie.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct ShareArg {
    /// The share
    #[arg(long = "share", value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

/// One image.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct ImageArg {
    /// Image: its name, name@version, or the first digits of its id
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// The share
    #[command(flatten)]
    pub(crate) share: ShareArg,
}

/// One volume of an image.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub(crate) struct PartitionArg {
    /// Partition number; by default the one that holds the system
    #[arg(long = "partition", value_name = "NUMBER")]
    pub(crate) number: Option<u32>,
}

/// `mimeo image list`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ListArgs {
    /// List every version, not only the newest of each name
    #[arg(long)]
    pub(crate) all: bool,
    /// The share
    #[command(flatten)]
    pub(crate) share: ShareArg,
}

/// `mimeo image show`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ShowArgs {
    /// The image
    #[command(flatten)]
    pub(crate) image: ImageArg,
    /// Leave out what it shares with others, for which all images are read
    #[arg(long)]
    pub(crate) brief: bool,
}

/// `mimeo image ls`.
#[derive(Debug, ClapArgs)]
pub(crate) struct LsArgs {
    /// The image
    #[command(flatten)]
    pub(crate) image: ImageArg,
    /// Folder or file inside the image
    #[arg(default_value = "/")]
    pub(crate) path: OsString,
    /// List folders in folders as well
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// Show mode, owner, size and time as well
    #[arg(short, long)]
    pub(crate) long: bool,
    /// The volume
    #[command(flatten)]
    pub(crate) partition: PartitionArg,
}

/// `mimeo image cat`.
#[derive(Debug, ClapArgs)]
pub(crate) struct CatArgs {
    /// The image
    #[command(flatten)]
    pub(crate) image: ImageArg,
    /// File inside the image; symbolic links are followed inside the image
    pub(crate) path: OsString,
    /// The volume
    #[command(flatten)]
    pub(crate) partition: PartitionArg,
}

/// `mimeo image extract`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ExtractArgs {
    /// The image
    #[command(flatten)]
    pub(crate) image: ImageArg,
    /// Files and folders inside the image
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<OsString>,
    /// Folder to write into, under the paths they have in the image
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Replace files that are there already
    #[arg(long)]
    pub(crate) force: bool,
    /// The volume
    #[command(flatten)]
    pub(crate) partition: PartitionArg,
}

/// `mimeo image diff`.
#[derive(Debug, ClapArgs)]
pub(crate) struct DiffArgs {
    /// The older image: its name, name@version, or the first digits of its id
    #[arg(value_name = "A")]
    pub(crate) old: String,
    /// The newer image
    #[arg(value_name = "B")]
    pub(crate) new: String,
    /// Only below this path
    #[arg(default_value = "/")]
    pub(crate) path: OsString,
    /// The share
    #[command(flatten)]
    pub(crate) share: ShareArg,
    /// Only this partition; by default all that hold files
    #[arg(long, value_name = "NUMBER")]
    pub(crate) partition: Option<u32>,
}

/// `mimeo image mount`.
#[derive(Debug, ClapArgs)]
pub(crate) struct MountArgs {
    /// The image
    #[command(flatten)]
    pub(crate) image: ImageArg,
    /// Empty folder to show it in
    #[arg(value_name = "DIR")]
    pub(crate) target: PathBuf,
    /// Show only this partition
    #[arg(long, value_name = "NUMBER")]
    pub(crate) partition: Option<u32>,
    /// Let other users in as well, as far as the modes in the image let them
    #[arg(long)]
    pub(crate) others: bool,
}

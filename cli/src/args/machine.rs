//! `mimeo machine`.

use clap::{Args as ClapArgs, Subcommand};

use super::ServerArgs;
use super::capture::ProfileArg;

/// `mimeo machine`.
#[derive(Debug, Subcommand)]
pub(crate) enum MachineCommand {
    /// List the machines the server knows
    List {
        /// The server
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Make a machine known before it comes
    Add(AddArgs),
    /// Approve a machine that shows this code
    Approve {
        /// The code as the machine shows it
        code: String,
        /// Name for the machine; otherwise it is asked there
        #[arg(long)]
        name: Option<String>,
        /// Image for the machine; otherwise it is asked there
        #[arg(long)]
        image: Option<String>,
        /// Capture it instead
        #[command(flatten)]
        wish: WishArgs,
        /// The server
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Capture a known machine's disk when it next starts over the network
    ///
    /// The disk is read in the boot environment and becomes an image in the
    /// server's share; nothing on it is changed. Afterwards the machine starts
    /// its own system. Shut that system down cleanly before.
    Capture(CaptureMachineArgs),
}

/// `mimeo machine add`.
#[derive(Debug, ClapArgs)]
pub(crate) struct AddArgs {
    /// Name the machine gets
    #[arg(long, required_unless_present = "capture")]
    pub(crate) name: Option<String>,
    /// Address of its network adapter
    #[arg(long, value_name = "MAC", required_unless_present_any = ["uuid", "serial"])]
    pub(crate) mac: Vec<inventory::HardwareAddr>,
    /// SMBIOS UUID
    #[arg(long)]
    pub(crate) uuid: Option<String>,
    /// Serial number
    #[arg(long)]
    pub(crate) serial: Option<String>,
    /// Image to apply; otherwise it is asked at the machine
    #[arg(long)]
    pub(crate) image: Option<String>,
    /// Capture it instead
    #[command(flatten)]
    pub(crate) wish: WishArgs,
    /// The disk by serial number, WWN or by-id name
    #[arg(long)]
    pub(crate) disk: Option<String>,
    /// Overwrite a disk that holds another system without asking there
    #[arg(long, conflicts_with = "capture")]
    pub(crate) replace: bool,
    /// Start without anybody's approval
    #[arg(long)]
    pub(crate) unattended: bool,
    /// The server
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// An image to capture where one could be applied.
#[derive(Debug, ClapArgs)]
pub(crate) struct WishArgs {
    /// Capture its disk as this image instead; the disk is only read
    #[arg(long, value_name = "IMAGE", conflicts_with = "image")]
    pub(crate) capture: Option<String>,
    /// How hard to compress what is captured
    #[arg(
        long,
        value_name = "PROFILE",
        default_value = "fast",
        requires = "capture"
    )]
    pub(crate) profile: ProfileArg,
}

/// `mimeo machine capture`.
#[derive(Debug, ClapArgs)]
pub(crate) struct CaptureMachineArgs {
    /// The machine: its name, a MAC address, serial number or UUID
    pub(crate) machine: String,
    /// Name of the image
    #[arg(long, value_name = "IMAGE")]
    pub(crate) name: String,
    /// How hard to compress
    #[arg(long, value_name = "PROFILE", default_value = "fast")]
    pub(crate) profile: ProfileArg,
    /// Read everything again and check every block that is written
    #[arg(long)]
    pub(crate) paranoid: bool,
    /// The disk by serial number, WWN or by-id name; otherwise the only one
    /// that holds a system
    #[arg(long)]
    pub(crate) disk: Option<String>,
    /// Start without anybody's approval
    #[arg(long)]
    pub(crate) unattended: bool,
    /// The server
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

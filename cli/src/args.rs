//! Every command, option and its help.

mod apply;
mod capture;
mod image;
mod image_names;
mod machine;
mod share;
mod transfer;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

pub(crate) use transfer::{ExportArgs, ImportArgs};

use crate::commands::boot::BootArgs;
use crate::exit::CODES;

pub(crate) use apply::{ApplyArgs, VerifyArgs};
pub(crate) use capture::{CaptureArgs, TreeArgs};
pub(crate) use image::*;
pub(crate) use image_names::{DeleteArgs, TagArgs};
pub(crate) use machine::{AddArgs, CaptureMachineArgs, MachineCommand, WishArgs};
pub(crate) use share::{
    CheckArgs, GcArgs, LoginArgs, OptimizeArgs, RepairArgs, ShareCommand, TokenCommand,
};

/// Disk imaging and lite-touch deployment
///
/// Captures a reference disk into a deduplicated image, boots bare machines
/// over the network, and turns them into proven copies.
#[derive(Debug, Parser)]
#[command(name = "mimeo", version, after_help = CODES, help_expected = true, max_term_width = 80)]
pub(crate) struct Args {
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a deployment share, check it, keep it small
    #[command(subcommand)]
    Share(ShareCommand),
    /// Capture a disk or a directory into an image, without changing it
    Capture(CaptureArgs),
    /// Put an image onto a disk, into a disk image file or a directory
    Apply(ApplyArgs),
    /// Compare a disk or a directory with an image and name each difference
    Verify(VerifyArgs),
    /// Look at the images of a share
    #[command(subcommand)]
    Image(ImageCommand),
    /// Compose and check what machines boot into
    Boot(BootArgs),
    /// Run the server: DHCP or proxyDHCP, TFTP, HTTP and TLS
    Serve(ServeArgs),
    /// Know machines before they come, list, approve and capture them
    #[command(subcommand)]
    Machine(MachineCommand),
    /// Look at deployments
    #[command(subcommand)]
    Run(RunCommand),
    /// Check the proof of a deployment
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    Manual {
        /// Folder for the pages; made if it is not there
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// `mimeo serve`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ServeArgs {
    /// The server's configuration
    #[arg(long, value_name = "FILE", default_value = "mimeo.toml")]
    pub(crate) config: PathBuf,
}

/// Which server an operator speaks to.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct ServerArgs {
    /// The server's configuration, on the server itself
    #[arg(long, value_name = "FILE", default_value = "mimeo.toml")]
    pub(crate) config: PathBuf,
    /// Address of a server elsewhere; needs --key and --token
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        requires = "key",
        requires = "token"
    )]
    pub(crate) server: Option<String>,
    /// The server's public key, 64 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    pub(crate) key: Option<api::PublicKey>,
    /// File that holds the operator's token
    #[arg(long, value_name = "FILE")]
    pub(crate) token: Option<PathBuf>,
}

/// `mimeo run`.
#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// List the runs
    List {
        /// The server
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show what happened in a run
    Show {
        /// The run
        run: String,
        /// The server
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Print a run's receipt, to be kept in a file
    Receipt {
        /// The run
        run: String,
        /// The server
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// `mimeo receipt`.
#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptCommand {
    /// Check a receipt's two signatures; needs no server
    ///
    /// The receipt of a local `apply --receipt` has none: it is shown, with the
    /// words NOT SIGNED (exit code 0), and refused (3) when a key was asked for.
    Verify {
        /// The receipt
        file: PathBuf,
        /// Public key of the server that must have confirmed it
        #[arg(long, value_name = "HEX")]
        key: Option<api::PublicKey>,
        /// Configuration of that server, to take the key from
        #[arg(long, value_name = "FILE", conflicts_with = "key")]
        config: Option<PathBuf>,
    },
}

//! `mimeo share`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::ServerArgs;
use super::capture::ProfileArg;

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
    /// Take damaged data out of use, so that the next capture stores it again
    ///
    /// Reads every pack. What is whole of a damaged one moves to a new pack, the
    /// damaged one to the trash, where it stays for as long as an image needs
    /// it. Capture the same machine again: images that lacked something are
    /// whole then. Exit code 3 while something is amiss.
    Repair(RepairArgs),
    /// Remove what no image needs
    ///
    /// Captures and deployments may go on meanwhile. What is removed can still
    /// be read for a day, and longer by who is at work: only a later run
    /// destroys it and makes room.
    Gc(GcArgs),
    /// Make the images smaller, without changing any
    ///
    /// Recompresses block for block at a high level, newer versions of a file as
    /// differences to one another. Captures and deployments may go on meanwhile;
    /// it can be stopped at any time and goes on where it was.
    Optimize(OptimizeArgs),
    /// Remember how a server's share is opened, for --share https://...
    Login(LoginArgs),
    /// Say who may open a share over the network
    #[command(subcommand)]
    Token(TokenCommand),
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

/// `mimeo share optimize`.
#[derive(Debug, ClapArgs)]
pub(crate) struct OptimizeArgs {
    /// The share's folder
    pub(crate) dir: PathBuf,
    /// How hard to compress
    #[arg(long, value_enum, default_value = "archive")]
    pub(crate) profile: ProfileArg,
    /// Threads that compress; 0 takes one for each core
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) threads: usize,
}

/// `mimeo share login`.
#[derive(Debug, ClapArgs)]
pub(crate) struct LoginArgs {
    /// The share, as https://SERVER/NAME; the server's own is called main
    #[arg(value_name = "URL")]
    pub(crate) share: String,
    /// The server's public key, 64 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    pub(crate) key: api::PublicKey,
    /// File that holds the token
    #[arg(long, value_name = "FILE")]
    pub(crate) token: PathBuf,
}

/// `mimeo share token`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it, once
    New {
        /// What people call it
        label: String,
        /// Which of the server's shares it opens
        #[arg(long, default_value = "main")]
        share: String,
        /// Names it may capture under, * for any text; without this it only reads
        #[arg(long, value_name = "PATTERN")]
        names: Option<String>,
        /// The server
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List the tokens: what they open, not themselves
    List {
        /// The server
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Take a token away
    Remove {
        /// What people call it
        label: String,
        /// The server
        #[command(flatten)]
        server: ServerArgs,
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

/// `mimeo share repair`.
#[derive(Debug, ClapArgs)]
pub(crate) struct RepairArgs {
    /// The share's folder
    pub(crate) dir: PathBuf,
    /// Only tell what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
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

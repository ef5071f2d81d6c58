//! A run on this machine, as its steps see it.

use std::path::PathBuf;
use std::sync::OnceLock;

use api::client::{Client, Patience};
use api::messages::run::Assignment;
use api::trust::SigningKey;
use inventory::MachineFacts;

use crate::screen::Screen;

/// A run on this machine: what every step may know.
pub(crate) struct Job {
    /// What to do.
    pub(crate) assignment: Assignment,
    /// The server, asked as the bearer of the run's token.
    pub(crate) client: Client,
    /// The run's token, for the installed system.
    pub(crate) token: String,
    /// Signs the receipt; only the boot environment has it.
    pub(crate) key: Option<SigningKey>,
    /// This machine.
    pub(crate) facts: MachineFacts,
    /// Whether somebody at the machine chose the image.
    pub(crate) chosen_here: bool,
    /// Seconds since 1970 when the run began here.
    pub(crate) started: u64,
    /// The disk, once a step has chosen it.
    pub(crate) disk: OnceLock<PathBuf>,
    /// Where people look.
    pub(crate) screen: Screen,
    /// How outages are waited out.
    pub(crate) patience: Patience,
}

//! The file that takes a run from the boot environment to the installed system.

use api::PublicKey;
use serde::{Deserialize, Serialize};

/// What the boot environment left for the installed system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunFile {
    /// Address and port of the server.
    pub(crate) server: String,
    /// Its key.
    pub(crate) key: PublicKey,
    /// Bearer token of the run.
    pub(crate) token: String,
    /// The run.
    pub(crate) run: String,
    /// The machine's name.
    pub(crate) name: String,
}

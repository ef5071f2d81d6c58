//! The shares that are reached over the network, by name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use image_format::store::DirStore;

use crate::config::Config;
use crate::error::Refusal;

/// What machines are deployed from is called this.
pub(crate) const MAIN: &str = "main";

/// Every share the configuration names. Each is opened when it is asked for,
/// so that a medium that is away does not keep the server from starting.
pub(crate) struct Shares {
    folders: BTreeMap<String, PathBuf>,
}

impl Shares {
    /// The deployment share as `main`, and those of `[shares]`.
    pub(crate) fn of(config: &Config) -> Self {
        let mut folders = config.shares.clone();
        folders.insert(MAIN.to_owned(), config.server.share.clone());
        Self { folders }
    }

    /// Opens a share by its name.
    ///
    /// # Errors
    /// There is none of this name, or its folder is no share.
    pub(crate) fn store(&self, name: &str) -> Result<Arc<DirStore>, Refusal> {
        let folder = self.folders.get(name).ok_or(Refusal::NotFound)?;
        Ok(Arc::new(DirStore::open(folder)?))
    }
}

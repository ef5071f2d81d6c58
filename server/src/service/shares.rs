//! The shares that are reached over the network, by name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use image_format::store::DirStore;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::vault::{Memory, Vault};
use crate::config::{Config, MAIN};
use crate::error::Refusal;

/// KiB of bodies in memory at once: one of the longest packs, or several usual ones.
const ROOM: u32 = 600 << 10;
/// A shorter body takes no room.
const SMALL: u64 = 64 << 10;

/// Every share the configuration names. Each is opened when it is asked for,
/// so that a medium that is away does not keep the server from starting.
pub(crate) struct Shares {
    folders: BTreeMap<String, PathBuf>,
    memories: Mutex<BTreeMap<String, Arc<Memory>>>,
    room: Arc<Semaphore>,
    /// One check at a time. Not the one of the deployment: image builders do
    /// not keep machines waiting.
    heavy: Arc<Semaphore>,
}

impl Shares {
    /// The deployment share as `main`, and those of `[shares]`.
    pub(crate) fn of(config: &Config) -> Self {
        let mut folders = config.shares.clone();
        folders.insert(MAIN.to_owned(), config.server.share.clone());
        Self {
            folders,
            memories: Mutex::default(),
            room: Arc::new(Semaphore::new(usize::try_from(ROOM).unwrap_or(usize::MAX))),
            heavy: Arc::new(Semaphore::new(1)),
        }
    }

    /// Opens a share by its name.
    ///
    /// # Errors
    /// There is none of this name, or its folder is no share.
    pub(crate) fn store(&self, name: &str) -> Result<Arc<DirStore>, Refusal> {
        let folder = self.folders.get(name).ok_or(Refusal::NotFound)?;
        Ok(Arc::new(DirStore::open(folder)?))
    }

    /// Opens a share for image builders elsewhere.
    ///
    /// # Errors
    /// As [`Shares::store`].
    pub(crate) fn vault(&self, name: &str) -> Result<Vault, Refusal> {
        let store = self.store(name)?;
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = Arc::clone(memories.entry(name.to_owned()).or_default());
        Ok(Vault { store, memory })
    }

    /// Room for a body of so many bytes, to be kept as long as the body is.
    ///
    /// # Errors
    /// The server stops.
    pub(crate) async fn room(&self, length: u64) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
        if length <= SMALL {
            return Ok(None);
        }
        let kilobytes = u32::try_from(length.div_ceil(1024)).unwrap_or(ROOM);
        let room = Arc::clone(&self.room).acquire_many_owned(kilobytes.min(ROOM));
        room.await.map(Some).map_err(|_| Refusal::Busy)
    }

    /// The right to check something.
    ///
    /// # Errors
    /// The server stops.
    pub(crate) async fn heavy(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let heavy = Arc::clone(&self.heavy).acquire_owned();
        heavy.await.map_err(|_| Refusal::Busy)
    }
}

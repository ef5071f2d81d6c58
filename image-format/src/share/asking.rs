//! A share whose index is not read: the store is asked where chunks are.

use std::sync::{Arc, Mutex, PoisonError};

use super::refs::Refs;
use super::{ChunkReader, Share, ShareError};
use crate::entry::Content;
use crate::ids::ChunkId;
use crate::index::Index;
use crate::store::Store;

/// A store is asked for so many chunks at once.
const MOST_ASKED: usize = 1 << 14;

/// What the store answered so far.
#[derive(Debug, Default)]
pub(super) struct Asking {
    answers: Mutex<Arc<Index>>,
}

impl Asking {
    fn answers(&self) -> Arc<Index> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&answers)
    }

    /// Asks for those that no answer named.
    fn ask(
        &self,
        store: &impl Store,
        ids: impl Iterator<Item = ChunkId>,
    ) -> Result<(), ShareError> {
        let known = self.answers();
        let mut unknown: Vec<ChunkId> = ids.filter(|id| known.find(id).is_none()).collect();
        unknown.sort_unstable();
        unknown.dedup();
        for ids in unknown.chunks(MOST_ASKED) {
            if let Some(answer) = store.locate(ids)? {
                let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::make_mut(&mut answers).add(answer);
            }
        }
        Ok(())
    }
}

impl<S: Store> Share<S> {
    /// As [`Share::open`], for who looks at few chunks only: where the store
    /// answers questions (see [`Store::locate`]), its index is not read, and
    /// [`Share::index`] stays empty.
    ///
    /// # Errors
    /// As [`Share::open`].
    pub fn open_asking(store: S) -> Result<Self, ShareError> {
        if store.locate(&[])?.is_none() {
            return Self::open(store);
        }
        let refs = Refs::read(&store, &Refs::default(), None)?;
        Ok(Self {
            store,
            index: Index::default(),
            asking: Some(Asking::default()),
            refs,
            chunks: ChunkReader::default(),
            trust: None,
        })
    }

    /// Says which chunks will be looked at, so that the store is asked for all
    /// of them at once, if it is asked at all.
    ///
    /// # Errors
    /// The store failed.
    pub fn expect(&self, ids: impl IntoIterator<Item = ChunkId>) -> Result<(), ShareError> {
        match &self.asking {
            None => Ok(()),
            Some(asking) => asking.ask(&self.store, ids.into_iter()),
        }
    }

    /// Whether all chunks of a file are there, as long as it says.
    ///
    /// # Errors
    /// The store failed.
    pub fn has(&self, content: &Content) -> Result<bool, ShareError> {
        for chunk in content.chunks() {
            let found = self.look_into(&chunk.id, |index| index.find(&chunk.id))?;
            if found.is_none_or(|(_, found)| found.length != chunk.length) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Looks into what is known of a chunk; asks for it first if nothing is.
    pub(super) fn look_into<T>(
        &self,
        id: &ChunkId,
        look: impl FnOnce(&Index) -> T,
    ) -> Result<T, ShareError> {
        let Some(asking) = &self.asking else {
            return Ok(look(&self.index));
        };
        asking.ask(&self.store, std::iter::once(*id))?;
        Ok(look(&asking.answers()))
    }
}

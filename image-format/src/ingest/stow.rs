//! Packs on their way to the medium. Making a pack durable takes as long as
//! the medium likes; on a thread of its own nothing else waits for it.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::Scope;

use super::IngestError;
use crate::job::BlockJob;
use crate::pack::PackBuilder;
use crate::store::Store;

/// Full packs that may wait while one is written: each is in memory, and the
/// next is being filled.
const WAITING: usize = 0;

/// A durable pack.
pub(super) struct Stowed {
    /// What it holds.
    pub(super) jobs: Vec<BlockJob>,
    /// The room it took.
    pub(super) room: Vec<u8>,
}

/// Where full packs go.
pub(super) enum Stow<'s> {
    /// To the store at once, in the caller's thread.
    Here(&'s dyn Store),
    /// To a thread that writes.
    Thread {
        packs: SyncSender<PackBuilder>,
        done: Receiver<Result<Stowed, IngestError>>,
        under_way: usize,
    },
}

impl<'s> Stow<'s> {
    /// A thread of `scope` that ends when this is dropped or after a failure.
    pub(super) fn in_thread<'scope>(
        scope: &'scope Scope<'scope, '_>,
        store: &'scope dyn Store,
    ) -> Self {
        let (packs, inbox) = sync_channel::<PackBuilder>(WAITING);
        let (answer, done) = channel();
        scope.spawn(move || {
            for pack in inbox {
                let result = write(store, pack);
                let failed = result.is_err();
                if answer.send(result).is_err() || failed {
                    return;
                }
            }
        });
        Self::Thread {
            packs,
            done,
            under_way: 0,
        }
    }

    /// Takes a full pack; answers with those that are durable by now.
    pub(super) fn put(&mut self, pack: PackBuilder) -> Result<Vec<Stowed>, IngestError> {
        match self {
            Self::Here(store) => Ok(vec![write(*store, pack)?]),
            Self::Thread {
                packs, under_way, ..
            } => {
                // Closed: the reason lies in the answers.
                if packs.send(pack).is_ok() {
                    *under_way += 1;
                    self.durable(false)
                } else {
                    self.durable(true)?;
                    Err(IngestError::Thread)
                }
            }
        }
    }

    /// Waits until every pack is durable.
    pub(super) fn finish(&mut self) -> Result<Vec<Stowed>, IngestError> {
        self.durable(true)
    }

    fn durable(&mut self, wait: bool) -> Result<Vec<Stowed>, IngestError> {
        let Self::Thread {
            done, under_way, ..
        } = self
        else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        while *under_way > 0 {
            let answer = match wait {
                true => done.recv().map_err(|_| IngestError::Thread)?,
                false => match done.try_recv() {
                    Ok(answer) => answer,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Err(IngestError::Thread),
                },
            };
            *under_way -= 1;
            all.push(answer?);
        }
        Ok(all)
    }
}

fn write(store: &dyn Store, pack: PackBuilder) -> Result<Stowed, IngestError> {
    let pack = pack.finish()?;
    store.put_pack(&pack.id, &pack.bytes)?;
    Ok(Stowed {
        jobs: pack.jobs,
        room: pack.bytes,
    })
}

//! A store in memory, with the faults a test asks for.

mod checks;
mod kept;
mod store;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) use checks::{check_follows, check_manifest, check_name};
use kept::Kept;

use super::StoreError;
use crate::ids::{ImageId, PackId, SegmentId};

/// Where a simulation stops: that operation fails, and every one after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The n-th operation does nothing.
    Before(u64),
    /// The n-th operation takes effect, but nobody learns of it.
    After(u64),
}

/// Called before every operation, on the thread that asks for it: a simulation
/// decides here whose turn it is.
pub type Gate = Arc<dyn Fn() + Send + Sync>;

/// A store that lives as long as the process.
#[derive(Default)]
pub struct MemoryStore {
    kept: Mutex<Kept>,
    gate: Mutex<Option<Gate>>,
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryStore({} operations)", self.operations())
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on counts operations from 0 and stops as `fault` says.
    pub fn set_fault(&self, fault: Option<Fault>) {
        let mut kept = self.kept();
        kept.operations = 0;
        kept.fault = fault;
    }

    /// How many operations there were since the start or the last [`Self::set_fault`].
    pub fn operations(&self) -> u64 {
        self.kept().operations
    }

    /// What is found after a crash: all that was kept, no fault.
    pub fn restarted(&self) -> Self {
        self.crashed(|_| true)
    }

    /// What is found after a crash when of all that was taken away and not yet
    /// durable only that took effect which `survives` says, by its number.
    pub fn crashed(&self, survives: impl Fn(usize) -> bool) -> Self {
        let mut kept = self.kept().clone();
        let unsettled = std::mem::take(&mut kept.unsettled);
        for (number, undo) in unsettled.into_iter().enumerate().rev() {
            if !survives(number) {
                kept.undo(undo);
            }
        }
        kept.operations = 0;
        kept.fault = None;
        Self {
            kept: Mutex::new(kept),
            gate: Mutex::default(),
        }
    }

    /// From now on `gate` is asked before every operation.
    pub fn set_gate(&self, gate: Option<Gate>) {
        *self.gate.lock().unwrap_or_else(PoisonError::into_inner) = gate;
    }

    /// How many things were taken away and are not durable yet.
    pub fn unsettled(&self) -> usize {
        self.kept().unsettled.len()
    }

    /// Lets time pass on the store's clock, which stands still otherwise.
    pub fn advance(&self, seconds: u64) {
        let mut kept = self.kept();
        kept.now = kept.now.saturating_add(seconds);
    }

    /// So many bytes of new files fit; what does not is refused as a full disk does.
    pub fn set_room(&self, room: Option<u64>) {
        self.kept().room = room;
    }

    /// Damages a pack as a bad medium would: flips one bit of the byte at
    /// `offset`. Says whether there was such a byte.
    pub fn flip_bit(&self, pack: &PackId, offset: u64, bit: u32) -> bool {
        self.damage(pack, |bytes| {
            let byte = usize::try_from(offset)
                .ok()
                .and_then(|at| bytes.get_mut(at));
            byte.map(|byte| *byte ^= 1_u8.rotate_left(bit)).is_some()
        })
    }

    /// Damages a pack in any way. Says what `harm` says, and no when there is none.
    pub fn damage(&self, pack: &PackId, harm: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let mut kept = self.kept();
        let bytes = kept.packs.get_mut(pack);
        bytes.is_some_and(|bytes| harm(Arc::make_mut(bytes)))
    }

    /// Damages an index segment in any way, as [`Self::damage`] does a pack.
    pub fn damage_index(&self, id: &SegmentId, harm: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let mut kept = self.kept();
        let bytes = kept.indexes.get_mut(id);
        bytes.is_some_and(|bytes| harm(Arc::make_mut(bytes)))
    }

    /// Damages a manifest in any way, as [`Self::damage`] does a pack.
    pub fn damage_manifest(&self, id: &ImageId, harm: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let mut kept = self.kept();
        let bytes = kept.manifests.get_mut(id);
        bytes.is_some_and(|bytes| harm(Arc::make_mut(bytes)))
    }

    /// Loses a pack. Says whether it was there.
    pub fn lose_pack(&self, pack: &PackId) -> bool {
        self.kept().packs.remove(pack).is_some()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One operation: `act` runs unless the simulation stopped before it.
    fn operate<T>(
        &self,
        act: impl FnOnce(&mut Kept) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let gate = self
            .gate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(gate) = gate {
            gate();
        }
        let mut kept = self.kept();
        let operation = kept.operations;
        kept.operations += 1;
        match kept.fault {
            Some(Fault::Before(at)) if operation >= at => {
                return Err(StoreError::Stopped { operation });
            }
            Some(Fault::After(at)) if operation > at => {
                return Err(StoreError::Stopped { operation });
            }
            _ => {}
        }
        let result = act(&mut kept);
        match kept.fault {
            Some(Fault::After(at)) if operation == at => Err(StoreError::Stopped { operation }),
            _ => result,
        }
    }
}

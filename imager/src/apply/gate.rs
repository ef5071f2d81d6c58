//! How many ask a source at the same time.

use std::sync::{Condvar, Mutex, PoisonError};

/// Lets a few through at a time.
pub(super) struct Gate {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Gate {
    /// Lets `width` through.
    pub(super) fn new(width: usize) -> Self {
        Self {
            free: Mutex::new(width),
            freed: Condvar::new(),
        }
    }

    /// Does the work when there is room for it.
    pub(super) fn pass<T>(&self, work: impl FnOnce() -> T) -> T {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .freed
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        drop(free);
        let done = work();
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.freed.notify_one();
        done
    }
}

//! The medium works from the beginning, not only in the sync at the end.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::Scope;

use rustix::io::Errno;

/// So many bytes are worth a sync of their own.
const STEP: u64 = 32 << 20;

/// A thread that syncs the target again and again while it is written to. One
/// sync runs at a time, and while it runs at most one more is asked for: a slow
/// medium gets fewer and longer ones.
#[derive(Debug)]
pub(crate) struct Early {
    written: AtomicU64,
    send: SyncSender<()>,
}

impl Early {
    /// Begins to sync the file system `root` lies on. The thread ends when what
    /// is answered here goes, so that must go before the end of the scope.
    ///
    /// The kernel tells a descriptor of each failed write once: one that is told
    /// here, and given to `failed`, is not told by a later sync.
    pub(crate) fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        root: impl AsFd + Send + 'scope,
        failed: impl Fn(Errno) + Send + 'scope,
    ) -> Self {
        let (send, receive) = sync_channel(1);
        scope.spawn(move || {
            for () in receive {
                if let Err(error) = rustix::fs::syncfs(&root) {
                    failed(error);
                }
            }
        });
        let written = AtomicU64::new(0);
        Self { written, send }
    }

    /// Tells of so many bytes that were written.
    pub(crate) fn wrote(&self, bytes: u64) {
        let before = self.written.fetch_add(bytes, Ordering::Relaxed);
        if before / STEP != (before + bytes) / STEP {
            // One that waits already will sync these bytes too.
            let _ = self.send.try_send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, Mode, OFlags};

    use super::*;

    #[test]
    fn every_step_asks_for_a_sync_and_a_failed_one_is_told() {
        // A descriptor that only names its file cannot be synced through.
        let names = rustix::fs::openat(CWD, ".", OFlags::PATH, Mode::empty()).unwrap();
        let (told, failures) = sync_channel(8);
        std::thread::scope(|scope| {
            let early = Early::start(scope, &names, |error| told.send(error).unwrap());
            early.wrote(STEP - 1);
            assert!(failures.try_recv().is_err(), "less than a step");
            early.wrote(1);
            assert_eq!(failures.recv(), Ok(Errno::BADF));
            early.wrote(3 * STEP);
            assert_eq!(failures.recv(), Ok(Errno::BADF));
        });
        assert!(failures.try_recv().is_err(), "once however long a step is");
    }
}

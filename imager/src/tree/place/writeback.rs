//! Writing begins before the sync asks for it.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::Scope;

/// So many files wait at most: a slower medium gets no further hints.
const MOST_WAITING: usize = 32;

/// A thread that begins to write files while later blocks are expanded: the
/// sync at the end finds less to do. It waits for the medium; whoever offers a
/// file does not.
#[derive(Debug)]
pub(crate) struct Early {
    send: SyncSender<Arc<OwnedFd>>,
}

impl Early {
    /// The thread ends when what is answered here goes, so that must go before
    /// the end of the scope.
    pub(crate) fn start<'scope>(scope: &'scope Scope<'scope, '_>) -> Self {
        let (send, receive) = sync_channel::<Arc<OwnedFd>>(MOST_WAITING);
        scope.spawn(move || receive.iter().for_each(|file| begin(&file)));
        Self { send }
    }

    /// Takes a file that is complete, or lets it be when too many wait.
    pub(crate) fn offer(&self, file: &Arc<OwnedFd>) {
        // Only a hint: the sync writes whatever was not begun.
        let _ = self.send.try_send(Arc::clone(file));
    }
}

/// Begins to write what the kernel holds of a file: returns when the medium's
/// queue has taken it. What goes wrong is told by the sync.
#[allow(unsafe_code)]
fn begin(file: &OwnedFd) {
    // SAFETY: numbers only; the descriptor is open as long as it is borrowed,
    // and neither memory nor the file's bytes are changed.
    unsafe {
        libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE);
    }
}

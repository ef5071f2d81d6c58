//! The end of a start.

use rustix::system::{RebootCommand, reboot};

/// Writes out what the kernel still holds and restarts the machine. Returns
/// only where that is not allowed.
pub(crate) fn restart() -> std::io::Error {
    rustix::fs::sync();
    match reboot(RebootCommand::Restart) {
        Ok(()) => std::io::Error::other("the kernel did not restart the machine"),
        Err(error) => error.into(),
    }
}

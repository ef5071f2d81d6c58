//! Who decides what a machine boots.

use crate::answer::Answer;
use crate::client::BootClient;

/// Decides per machine. The wire knows what a client said; which machine
/// that is, and what it should do, is known to whoever implements this.
///
/// Called synchronously for every DHCP request and every script request, so
/// it must answer from memory, at once. The same machine asks several times
/// in one boot (firmware, loader, script) and must get the same decision.
pub trait BootPolicy: Send + Sync {
    /// The decision for this client, now.
    fn answer(&self, client: &BootClient) -> Answer;
}

impl<F: Fn(&BootClient) -> Answer + Send + Sync> BootPolicy for F {
    fn answer(&self, client: &BootClient) -> Answer {
        self(client)
    }
}

//! DHCP leases written into the server's memory, for the boot services.

use std::io;
use std::sync::Arc;

use pxe::dhcp::lease::{Lease, LeaseLog};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::db::{Answer, Database};
use crate::error::chain;

/// The database as a log of leases.
pub(crate) struct DbLeases {
    db: Arc<dyn Database>,
    runtime: Handle,
}

impl DbLeases {
    /// A log in `db`, to be made inside the runtime that serves it.
    ///
    /// # Errors
    /// The runtime has one thread only: waiting would stop the world.
    pub(crate) fn new(db: Arc<dyn Database>) -> io::Result<Self> {
        let runtime = Handle::current();
        if runtime.runtime_flavor() == RuntimeFlavor::CurrentThread {
            return Err(io::Error::other(
                "the DHCP server needs a runtime of several threads",
            ));
        }
        Ok(Self { db, runtime })
    }

    /// The boot services decide without waiting and promise a lease only once
    /// it is durable; here is where the two meet.
    fn wait<T>(&self, answer: Answer<'_, T>) -> io::Result<T> {
        tokio::task::block_in_place(|| self.runtime.block_on(answer))
            .map_err(|error| io::Error::other(chain(&error)))
    }
}

impl LeaseLog for DbLeases {
    fn load(&self) -> io::Result<Vec<Lease>> {
        self.wait(self.db.leases())
    }

    fn record(&self, lease: &Lease) -> io::Result<()> {
        self.wait(self.db.save_lease(*lease))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use pxe::Mac;

    use super::*;
    use crate::db::sqlite::Sqlite;

    async fn open(folder: &tempfile::TempDir) -> DbLeases {
        let db = Sqlite::open(&folder.path().join("l.db")).await.unwrap();
        DbLeases::new(Arc::new(db)).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lease_is_there_after_a_restart_and_the_last_one_of_an_address_counts() {
        let folder = tempfile::tempdir().unwrap();
        let lease = |last, expires| Lease {
            address: Ipv4Addr::new(10, 0, 0, 9),
            mac: Mac([2, 0, 0, 0, 0, last]),
            expires,
        };
        let log = open(&folder).await;
        log.record(&lease(1, 5)).unwrap();
        log.record(&lease(2, 7)).unwrap();
        drop(log);
        assert_eq!(open(&folder).await.load().unwrap(), [lease(2, 7)]);
    }

    #[tokio::test]
    async fn a_runtime_that_would_stand_still_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let db = Sqlite::open(&folder.path().join("l.db")).await.unwrap();
        assert!(DbLeases::new(Arc::new(db)).is_err());
    }
}

//! Who has which address until when.
//!
//! A lease belongs to a network card, not to a client identifier: firmware,
//! loader and system of one machine send three different identifiers (or
//! none) and should keep one address through a boot.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use super::pool::Pool;
use crate::mac::Mac;

/// An offer is kept this long: clients collect offers for up to 8 s, and
/// several of them may try twice.
const OFFER_SECONDS: u64 = 60;
/// An address found in use is left alone this long.
const DECLINED_SECONDS: u64 = 3600;

/// One address given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// The card that has it.
    pub mac: Mac,
    /// When it ends, in seconds since 1970.
    pub expires: u64,
}

/// Where leases are written down, so that a restarted server does not give
/// an address twice.
pub trait LeaseLog: Send + Sync {
    /// All leases written down, the last one of an address counting.
    ///
    /// # Errors
    /// The log cannot be read.
    fn load(&self) -> io::Result<Vec<Lease>>;

    /// Writes one lease down (a lease that has ended already is one given
    /// back). It is durable when this returns: the client is told after.
    ///
    /// # Errors
    /// The log cannot be written; the client then gets no address.
    fn record(&self, lease: &Lease) -> io::Result<()>;
}

/// Leases that live as long as the process.
#[derive(Debug, Default)]
pub struct MemoryLeases {
    leases: Mutex<BTreeMap<Ipv4Addr, Lease>>,
}

impl LeaseLog for MemoryLeases {
    fn load(&self) -> io::Result<Vec<Lease>> {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(leases.values().copied().collect())
    }

    fn record(&self, lease: &Lease) -> io::Result<()> {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.insert(lease.address, *lease);
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Offered,
    Bound,
    Declined,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    lease: Lease,
    state: State,
}

/// The lease table. Holds at most one entry an address, and only addresses
/// of its pools: bounded by them.
#[derive(Debug, Default)]
pub struct LeaseTable {
    by_address: BTreeMap<Ipv4Addr, Entry>,
    by_mac: HashMap<Mac, Vec<Ipv4Addr>>,
}

impl LeaseTable {
    /// A table that knows these leases.
    #[must_use]
    pub fn new(leases: Vec<Lease>) -> Self {
        let mut table = Self::default();
        for lease in leases {
            table.enter(lease, State::Bound);
        }
        table
    }

    /// The address this card has or last had in this range.
    #[must_use]
    pub fn address_of(&self, mac: Mac, pool: &Pool) -> Option<Ipv4Addr> {
        let addresses = self.by_mac.get(&mac)?;
        addresses
            .iter()
            .copied()
            .find(|address| pool.gives(*address))
    }

    /// Whether this card may have this address now: it is in the range, and
    /// nobody else has it.
    #[must_use]
    pub fn may_have(&self, mac: Mac, address: Ipv4Addr, pool: &Pool, now: u64) -> bool {
        let entry = self.by_address.get(&address);
        let free = entry.is_none_or(|entry| {
            let own = entry.lease.mac == mac && entry.state != State::Declined;
            own || entry.lease.expires <= now
        });
        pool.gives(address) && free
    }

    /// Keeps an address for a card that looks for one: the one it had, the
    /// one it asks for, or a free one. `None` when the range is full.
    pub fn offer(
        &mut self,
        mac: Mac,
        asked: Option<Ipv4Addr>,
        pool: &Pool,
        avoid: &[Ipv4Addr],
        now: u64,
    ) -> Option<Ipv4Addr> {
        let usable = |address: &Ipv4Addr| {
            !avoid.contains(address) && self.may_have(mac, *address, pool, now)
        };
        let had = self.address_of(mac, pool).filter(usable);
        let asked = asked.filter(usable);
        // Fresh addresses first, so that a machine that was away for long
        // still finds its own.
        let free = || {
            let mut all = pool.addresses_from(spread(mac)).filter(usable);
            let fresh = |address: &Ipv4Addr| !self.by_address.contains_key(address);
            let unused = pool.addresses_from(spread(mac)).filter(usable).find(fresh);
            unused.or_else(|| all.next())
        };
        let address = had.or(asked).or_else(free)?;
        // An address still leased to this card stays leased while offered.
        let kept = self.by_address.get(&address).is_some_and(|entry| {
            entry.lease.mac == mac && entry.state == State::Bound && entry.lease.expires > now
        });
        if !kept {
            let expires = now.saturating_add(OFFER_SECONDS);
            let lease = Lease {
                address,
                mac,
                expires,
            };
            self.enter(lease, State::Offered);
        }
        Some(address)
    }

    /// Enters a lease that was granted.
    pub fn bind(&mut self, lease: Lease) {
        self.enter(lease, State::Bound);
    }

    /// Takes back an offer the card did not take.
    pub fn withdraw(&mut self, mac: Mac) {
        for address in self.by_mac.get(&mac).cloned().unwrap_or_default() {
            let offered = self.by_address.get(&address);
            if offered.is_some_and(|entry| entry.state == State::Offered) {
                self.remove(address);
            }
        }
    }

    /// Ends a lease the card gives back, and says which it was.
    pub fn release(&mut self, mac: Mac, address: Ipv4Addr, now: u64) -> Option<Lease> {
        let entry = self.by_address.get_mut(&address)?;
        if entry.lease.mac != mac || entry.state != State::Bound {
            return None;
        }
        // It stays in the table: the card gets it again if it comes back.
        entry.lease.expires = now;
        Some(entry.lease)
    }

    /// Puts aside an address that this card found in use. False when it was
    /// not this card's to refuse.
    pub fn decline(&mut self, mac: Mac, address: Ipv4Addr, now: u64) -> bool {
        let entry = self.by_address.get(&address);
        if entry.is_none_or(|entry| entry.lease.mac != mac) {
            return false;
        }
        let expires = now.saturating_add(DECLINED_SECONDS);
        let lease = Lease {
            address,
            mac,
            expires,
        };
        self.enter(lease, State::Declined);
        true
    }

    fn enter(&mut self, lease: Lease, state: State) {
        self.remove(lease.address);
        self.by_address
            .insert(lease.address, Entry { lease, state });
        if state != State::Declined {
            self.by_mac
                .entry(lease.mac)
                .or_default()
                .push(lease.address);
        }
    }

    fn remove(&mut self, address: Ipv4Addr) {
        let Some(entry) = self.by_address.remove(&address) else {
            return;
        };
        if let Some(addresses) = self.by_mac.get_mut(&entry.lease.mac) {
            addresses.retain(|other| *other != address);
            if addresses.is_empty() {
                self.by_mac.remove(&entry.lease.mac);
            }
        }
    }
}

/// Where in the range the search for a card's address starts (FNV-1a of the
/// card's address): a server without its table still tends to give the same.
fn spread(mac: Mac) -> u32 {
    mac.0.iter().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn pool(last: u8) -> Pool {
        Pool {
            network: Ipv4Addr::new(10, 0, 0, 0),
            prefix: 24,
            first: Ipv4Addr::new(10, 0, 0, 100),
            last: Ipv4Addr::new(10, 0, 0, last),
            router: None,
            dns: vec![],
            lease_seconds: 600,
        }
    }

    fn mac(last: u8) -> Mac {
        Mac([2, 0, 0, 0, 0, last])
    }

    fn bound(table: &mut LeaseTable, card: Mac, pool: &Pool, now: u64) -> Ipv4Addr {
        let address = table.offer(card, None, pool, &[], now).unwrap();
        let expires = now + 600;
        table.bind(Lease {
            address,
            mac: card,
            expires,
        });
        address
    }

    #[test]
    fn no_address_is_given_twice_until_the_range_is_full() {
        let (pool, mut table) = (pool(109), LeaseTable::default());
        let given: std::collections::BTreeSet<_> = (0..10)
            .map(|card| bound(&mut table, mac(card), &pool, NOW))
            .collect();
        assert_eq!(given.len(), 10);
        assert_eq!(table.offer(mac(99), None, &pool, &[], NOW), None);
        assert!(table.offer(mac(99), None, &pool, &[], NOW + 600).is_some());
    }

    #[test]
    fn a_card_gets_its_own_address_again_after_its_lease_ended() {
        let (pool, mut table) = (pool(120), LeaseTable::default());
        let first = bound(&mut table, mac(1), &pool, NOW);
        for card in 2..10 {
            assert_ne!(bound(&mut table, mac(card), &pool, NOW + 5000), first);
        }
        assert_eq!(
            table.offer(mac(1), None, &pool, &[], NOW + 9000),
            Some(first)
        );
    }

    #[test]
    fn a_declined_address_goes_to_nobody_for_an_hour() {
        let (pool, mut table) = (pool(100), LeaseTable::default());
        let address = bound(&mut table, mac(1), &pool, NOW);
        assert!(!table.decline(mac(2), address, NOW));
        assert!(table.decline(mac(1), address, NOW));
        assert_eq!(table.offer(mac(1), None, &pool, &[], NOW), None);
        assert!(!table.may_have(mac(1), address, &pool, NOW));
        assert!(table.offer(mac(2), None, &pool, &[], NOW + 3600).is_some());
    }

    #[test]
    fn a_released_address_can_go_to_another_card_at_once() {
        let (pool, mut table) = (pool(100), LeaseTable::default());
        let address = bound(&mut table, mac(1), &pool, NOW);
        assert_eq!(table.release(mac(2), address, NOW), None);
        assert!(table.release(mac(1), address, NOW).is_some());
        assert_eq!(table.offer(mac(2), None, &pool, &[], NOW), Some(address));
    }

    #[test]
    fn a_repeated_offer_does_not_shorten_a_lease() {
        let (pool, mut table) = (pool(100), LeaseTable::default());
        let address = bound(&mut table, mac(1), &pool, NOW);
        assert_eq!(table.offer(mac(1), None, &pool, &[], NOW), Some(address));
        assert_eq!(table.offer(mac(2), None, &pool, &[], NOW + 100), None);
    }

    #[test]
    fn the_table_survives_a_restart_through_its_log() {
        let log = MemoryLeases::default();
        let pool = pool(100);
        let address = bound(&mut LeaseTable::default(), mac(1), &pool, NOW);
        let expires = NOW + 600;
        let lease = Lease {
            address,
            mac: mac(1),
            expires,
        };
        log.record(&lease).unwrap();
        let table = LeaseTable::new(log.load().unwrap());
        assert_eq!(table.address_of(mac(1), &pool), Some(address));
        assert!(!table.may_have(mac(2), address, &pool, NOW));
    }
}

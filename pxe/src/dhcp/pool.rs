//! A range of addresses to give, and what goes with them.

use std::net::Ipv4Addr;

use thiserror::Error;

/// A range in one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// An address of the network, usually its first.
    pub network: Ipv4Addr,
    /// Bits of the network mask, 8 to 30.
    pub prefix: u8,
    /// First address to give.
    pub first: Ipv4Addr,
    /// Last address to give.
    pub last: Ipv4Addr,
    /// The way out, if there is one.
    pub router: Option<Ipv4Addr>,
    /// Name servers, in order.
    pub dns: Vec<Ipv4Addr>,
    /// How long an address is given for, in seconds.
    pub lease_seconds: u32,
}

/// Why a range cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PoolError {
    /// The mask is too wide or too narrow.
    #[error("network mask /{0}; between /8 and /30 expected")]
    Prefix(u8),
    /// The range runs backwards.
    #[error("the range {first}-{last} runs backwards")]
    Backwards {
        /// First address.
        first: Ipv4Addr,
        /// Last address.
        last: Ipv4Addr,
    },
    /// The range leaves its network, or holds the network's own address or
    /// its broadcast address.
    #[error("{address} is not a host address of the network {network}/{prefix}")]
    Outside {
        /// The address.
        address: Ipv4Addr,
        /// The network.
        network: Ipv4Addr,
        /// The mask.
        prefix: u8,
    },
    /// Leases shorter than a minute keep every client busy renewing.
    #[error("lease time of {0} s; at least 60 s expected")]
    LeaseTime(u32),
    /// More addresses than are searched for a free one.
    #[error("range of {0} addresses; at most {MAX_ADDRESSES} expected")]
    Size(u32),
}

const PREFIXES: std::ops::RangeInclusive<u8> = 8..=30;
const SHORTEST_LEASE: u32 = 60;
/// A /16: a search through it is still fast.
const MAX_ADDRESSES: u32 = 65536;

impl Pool {
    /// Checks what the configuration says.
    ///
    /// # Errors
    /// [`PoolError`] names the value that cannot be.
    pub fn check(&self) -> Result<(), PoolError> {
        if !PREFIXES.contains(&self.prefix) {
            return Err(PoolError::Prefix(self.prefix));
        }
        if self.first > self.last {
            let (first, last) = (self.first, self.last);
            return Err(PoolError::Backwards { first, last });
        }
        let bare = u32::from(self.network) & u32::from(self.mask());
        let network = Ipv4Addr::from(bare);
        let prefix = self.prefix;
        for address in [self.first, self.last] {
            let host = address != network && address != self.broadcast();
            if !self.contains(address) || !host {
                return Err(PoolError::Outside {
                    address,
                    network,
                    prefix,
                });
            }
        }
        if self.lease_seconds < SHORTEST_LEASE {
            return Err(PoolError::LeaseTime(self.lease_seconds));
        }
        if self.size() > MAX_ADDRESSES {
            return Err(PoolError::Size(self.size()));
        }
        Ok(())
    }

    /// The network mask.
    #[must_use]
    pub fn mask(&self) -> Ipv4Addr {
        let host_bits = 32_u32.saturating_sub(u32::from(self.prefix));
        Ipv4Addr::from(u32::MAX.checked_shl(host_bits).unwrap_or(0))
    }

    /// The address that reaches everyone in the network.
    #[must_use]
    pub fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.network) | !u32::from(self.mask()))
    }

    /// Whether an address is in the network.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (u32::from(address) ^ u32::from(self.network)) & u32::from(self.mask()) == 0
    }

    /// Whether an address is in the range we give, and is ours to give.
    #[must_use]
    pub fn gives(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address) && self.router != Some(address)
    }

    /// Every address of the range, starting at the `start`-th and going round.
    pub fn addresses_from(&self, start: u32) -> impl Iterator<Item = Ipv4Addr> + '_ {
        let size = self.size();
        let first = u32::from(self.first);
        (0..size)
            .map(move |step| {
                let place = (u64::from(start % size) + u64::from(step)) % u64::from(size);
                Ipv4Addr::from(first.saturating_add(u32::try_from(place).unwrap_or(0)))
            })
            .filter(|address| self.gives(*address))
    }

    /// Number of addresses in the range; at least one.
    fn size(&self) -> u32 {
        let span = u32::from(self.last).saturating_sub(u32::from(self.first));
        span.saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Pool {
        Pool {
            network: Ipv4Addr::new(10, 0, 0, 0),
            prefix: 24,
            first: Ipv4Addr::new(10, 0, 0, 100),
            last: Ipv4Addr::new(10, 0, 0, 103),
            router: Some(Ipv4Addr::new(10, 0, 0, 101)),
            dns: vec![],
            lease_seconds: 600,
        }
    }

    #[test]
    fn the_range_goes_round_and_leaves_out_the_router() {
        let ends: Vec<u8> = pool().addresses_from(3).map(|a| a.octets()[3]).collect();
        assert_eq!(ends, [103, 100, 102]);
    }

    #[test]
    fn mask_and_broadcast_follow_from_the_prefix() {
        assert_eq!(pool().mask(), Ipv4Addr::new(255, 255, 255, 0));
        assert_eq!(pool().broadcast(), Ipv4Addr::new(10, 0, 0, 255));
        assert_eq!(pool().check(), Ok(()));
    }

    #[test]
    fn ranges_that_cannot_be_are_named() {
        let broken = |change: fn(&mut Pool)| {
            let mut pool = pool();
            change(&mut pool);
            pool.check().unwrap_err()
        };
        assert_eq!(broken(|p| p.prefix = 32), PoolError::Prefix(32));
        assert!(matches!(
            broken(|p| p.last = p.network),
            PoolError::Backwards { .. }
        ));
        assert!(matches!(
            broken(|p| p.last = Ipv4Addr::new(10, 0, 0, 255)),
            PoolError::Outside { .. }
        ));
        assert_eq!(broken(|p| p.lease_seconds = 0), PoolError::LeaseTime(0));
        assert!(matches!(
            broken(|p| {
                p.prefix = 8;
                p.last = Ipv4Addr::new(10, 200, 0, 0);
            }),
            PoolError::Size(_)
        ));
    }
}

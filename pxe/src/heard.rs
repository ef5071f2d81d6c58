//! Which machine has which address, as heard over DHCP.
//!
//! A loader that asks for its script over TFTP or HTTP says no more than its
//! address; this table says who that is.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use crate::client::BootClient;

/// More machines than one network holds; a flood of made-up ones stops here.
const CLIENT_LIMIT: usize = 8192;

/// The clients heard lately, by address. Shared between the DHCP machines,
/// which fill it, and whoever serves scripts.
#[derive(Debug, Default)]
pub struct Heard {
    clients: Mutex<HashMap<Ipv4Addr, BootClient>>,
}

impl Heard {
    /// Remembers a client, if its address is known. The last one heard with
    /// an address has it.
    pub fn remember(&self, client: &BootClient) {
        let Some(address) = client.address else {
            return;
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = clients.get_mut(&address) {
            // A system's DHCP client on the same card says less than its
            // firmware did: keep what the firmware said.
            if known.mac != client.mac || client.boots() {
                *known = client.clone();
            }
            return;
        }
        if clients.len() >= CLIENT_LIMIT {
            clients.clear();
        }
        clients.insert(address, client.clone());
    }

    /// Who has this address.
    #[must_use]
    pub fn client(&self, address: Ipv4Addr) -> Option<BootClient> {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.get(&address).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Architecture, Stage};
    use crate::mac::Mac;

    fn client(last: u8, stage: Stage) -> BootClient {
        BootClient {
            mac: Mac([2, 0, 0, 0, 0, last]),
            uuid: None,
            architecture: Architecture::X64Efi,
            stage,
            address: Some(Ipv4Addr::new(10, 0, 0, 9)),
        }
    }

    #[test]
    fn the_last_machine_heard_with_an_address_has_it() {
        let heard = Heard::default();
        heard.remember(&client(1, Stage::Pxe));
        heard.remember(&client(2, Stage::Pxe));
        let found = heard.client(Ipv4Addr::new(10, 0, 0, 9)).unwrap();
        assert_eq!(found.mac, Mac([2, 0, 0, 0, 0, 2]));
    }

    #[test]
    fn an_operating_system_does_not_hide_its_firmware() {
        let heard = Heard::default();
        heard.remember(&client(1, Stage::Pxe));
        heard.remember(&client(1, Stage::System));
        let found = heard.client(Ipv4Addr::new(10, 0, 0, 9)).unwrap();
        assert_eq!(found.stage, Stage::Pxe);
    }

    #[test]
    fn a_flood_of_addresses_does_not_grow_the_table_for_ever() {
        let heard = Heard::default();
        for number in 0..20_000_u32 {
            let mut flood = client(1, Stage::Pxe);
            flood.address = Some(Ipv4Addr::from(number));
            heard.remember(&flood);
        }
        assert!(heard.clients.lock().unwrap().len() <= CLIENT_LIMIT);
    }
}

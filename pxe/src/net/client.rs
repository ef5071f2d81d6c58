//! The boot environment's DHCP client: asks until it has an address.
//!
//! Blocking: it runs in a small program that has nothing else to do yet.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use thiserror::Error;

use super::socket::{self, SocketError};
use crate::dhcp::client::{Client, Configuration};
use crate::dhcp::{CLIENT_PORT, SERVER_PORT};
use crate::mac::Mac;

const BUFFER: usize = 4096;
/// `set_read_timeout` takes no zero; a shorter sleep gains nothing.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);
/// The link may still come up: a failed send is tried again with the next.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// No address was had.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Port 68 could not be had.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The socket failed.
    #[error("DHCP on {interface}: {source}")]
    Io {
        /// The interface.
        interface: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// Nobody answered in time.
    #[error(
        "no DHCP server answered on {interface} within {seconds} s; check the cable, the switch \
         port and its VLAN"
    )]
    NoAnswer {
        /// The interface.
        interface: String,
        /// How long was waited.
        seconds: u64,
    },
}

/// Asks for an address on this interface, which must be up. The address is
/// not configured here: that is the caller's.
///
/// # Errors
/// [`ClientError`]; after `patience` without an answer, `NoAnswer`.
pub fn acquire(
    interface: &str,
    mac: Mac,
    xid: u32,
    patience: Duration,
) -> Result<Configuration, ClientError> {
    let client = Client::new(Instant::now(), mac, xid);
    converse(interface, client, patience)
}

/// Asks to keep an address for another while. To be called by half the lease.
/// The answer may name another address when the server insists.
///
/// # Errors
/// As [`acquire`].
pub fn renew(
    interface: &str,
    mac: Mac,
    xid: u32,
    had: &Configuration,
    patience: Duration,
) -> Result<Configuration, ClientError> {
    let client = Client::renewing(Instant::now(), mac, xid, had);
    converse(interface, client, patience)
}

fn converse(
    interface: &str,
    mut client: Client,
    patience: Duration,
) -> Result<Configuration, ClientError> {
    let failed = |source| ClientError::Io {
        interface: interface.to_owned(),
        source,
    };
    let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT);
    let everyone = SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT);
    let socket = socket::open(interface, any)?;
    let begun = Instant::now();
    let mut buffer = vec![0; BUFFER];
    loop {
        let now = Instant::now();
        let Some(left) = patience.checked_sub(now.duration_since(begun)) else {
            let interface = interface.to_owned();
            let seconds = patience.as_secs();
            return Err(ClientError::NoAnswer { interface, seconds });
        };
        while let Some(packet) = client.poll_transmit(now) {
            // No link yet: the machine sends again.
            let _ = socket.send_to(&packet, everyone);
        }
        let next = client.poll_timeout().unwrap_or(now);
        let wait = next.saturating_duration_since(now);
        let wait = wait.min(left).clamp(SHORTEST_WAIT, LONGEST_WAIT);
        socket.set_read_timeout(Some(wait)).map_err(failed)?;
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let packet = buffer.get(..length).unwrap_or_default();
                client.handle(Instant::now(), packet);
            }
            Err(error) if waited(&error) => {}
            Err(error) => return Err(failed(error)),
        }
        if let Some(configuration) = client.configuration() {
            return Ok(configuration.clone());
        }
    }
}

/// Nothing came, or the interface is not up yet.
fn waited(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    let kinds = [K::WouldBlock, K::TimedOut, K::Interrupted];
    let network = [K::NetworkDown, K::NetworkUnreachable];
    kinds.contains(&error.kind()) || network.contains(&error.kind())
}

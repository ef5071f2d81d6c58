//! UDP sockets that belong to one network interface.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

/// A socket could not be opened.
#[derive(Debug, Error)]
#[error("cannot listen on {address} of interface {interface}: {source}; {hint}")]
pub struct SocketError {
    /// The interface.
    pub interface: String,
    /// Address and port.
    pub address: SocketAddrV4,
    /// What the operating system said.
    pub source: io::Error,
    /// What to do about it.
    pub hint: &'static str,
}

/// Opens a UDP socket that hears only this interface and may broadcast on it.
///
/// Bound to 0.0.0.0 it hears broadcasts; bound to the interface's address it
/// does not.
///
/// # Errors
/// [`SocketError`] names the interface, the port and who may hold it.
pub fn open(interface: &str, address: SocketAddrV4) -> Result<UdpSocket, SocketError> {
    bind(interface, address).map_err(|source| SocketError {
        interface: interface.to_owned(),
        address,
        hint: hint(&source, address.port()),
        source,
    })
}

fn bind(interface: &str, address: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    // A socket for broadcasts may stand beside another program's: each hears
    // them all. Of two unicast sockets only one would hear anything.
    socket.set_reuse_address(address.ip().is_unspecified())?;
    socket.set_broadcast(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Opens the socket of one transfer, on any free port of `address`, that
/// talks to `peer` alone.
///
/// # Errors
/// What the operating system says.
pub fn open_towards(
    interface: &str,
    address: Ipv4Addr,
    peer: std::net::SocketAddr,
) -> io::Result<UdpSocket> {
    let socket = bind(interface, SocketAddrV4::new(address, 0))?;
    socket.connect(peer)?;
    Ok(socket)
}

fn hint(error: &io::Error, port: u16) -> &'static str {
    match (error.kind(), port) {
        (io::ErrorKind::AddrInUse, 67) => {
            "another DHCP server runs on this host (dnsmasq, libvirt, isc-dhcp-server?): stop it, \
             or run the boot service on another host as a proxy"
        }
        (io::ErrorKind::AddrInUse, 68) => {
            "another DHCP client runs on this interface: stop it first"
        }
        (io::ErrorKind::AddrInUse, 69) => {
            "another TFTP server runs on this host (tftpd-hpa, dnsmasq?): stop it"
        }
        (io::ErrorKind::AddrInUse, _) => "another program holds this port",
        (io::ErrorKind::AddrNotAvailable, _) => "the interface does not have this address",
        (io::ErrorKind::PermissionDenied, _) => {
            "run as root, or with CAP_NET_BIND_SERVICE and CAP_NET_RAW"
        }
        _ => "check that the interface exists (ip link)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_does_not_exist_is_named() {
        let address = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let error = open("nosuchdevice0", address).unwrap_err().to_string();
        assert!(error.contains("nosuchdevice0"), "{error}");
    }

    #[test]
    fn a_port_in_use_says_who_may_hold_it() {
        let used = io::Error::from(io::ErrorKind::AddrInUse);
        assert!(hint(&used, 67).contains("as a proxy"));
        assert!(hint(&used, 69).contains("TFTP"));
    }
}

//! Network adapters brought up and given an address, through the kernel's
//! netlink socket.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail};
use rustix::fd::OwnedFd;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with,
};

use super::netlink;

/// `EEXIST`: what is asked for is there already.
const EXISTS: i32 = 17;
/// An acknowledgement repeats the request, which is short.
const LONGEST_ANSWER: usize = 4096;

/// A conversation with the kernel about its network.
pub(crate) struct Links {
    socket: OwnedFd,
}

impl Links {
    /// Opens the conversation.
    pub(crate) fn open() -> Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )
        .context("the kernel has no netlink socket")?;
        bind(&socket, &SocketAddrNetlink::new(0, 0)).context("netlink does not answer")?;
        Ok(Self { socket })
    }

    /// Brings an adapter up.
    pub(crate) fn up(&self, index: u32) -> Result<()> {
        self.order(&netlink::link_up(index))
            .context("the adapter cannot be brought up")
    }

    /// Gives an adapter its address.
    pub(crate) fn address(&self, index: u32, address: Ipv4Addr, prefix: u8) -> Result<()> {
        self.order(&netlink::add_address(index, address, prefix))
            .with_context(|| format!("the address {address}/{prefix} cannot be set"))
    }

    /// Names the way out.
    pub(crate) fn default_route(&self, index: u32, gateway: Ipv4Addr) -> Result<()> {
        self.order(&netlink::add_default_route(index, gateway))
            .with_context(|| format!("the route through {gateway} cannot be set"))
    }

    fn order(&self, message: &[u8]) -> Result<()> {
        let kernel = SocketAddrNetlink::new(0, 0);
        sendto(&self.socket, message, SendFlags::empty(), &kernel)?;
        let mut answer = [0; LONGEST_ANSWER];
        let (length, _) = recv(&self.socket, &mut answer, RecvFlags::empty())?;
        let answer = answer.get(..length).unwrap_or_default();
        match netlink::acknowledgement(answer) {
            Some(0 | EXISTS) => Ok(()),
            Some(error) => Err(std::io::Error::from_raw_os_error(error).into()),
            None => bail!("the kernel answered something else"),
        }
    }
}

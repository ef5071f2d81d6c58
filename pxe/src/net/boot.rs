//! The boot services of one interface: DHCP or proxyDHCP, and TFTP.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::socket::{self, SocketError};
use super::tftp;
use crate::answer::BootServer;
use crate::dhcp::chain::Loaders;
use crate::dhcp::lease::LeaseLog;
use crate::dhcp::pool::{Pool, PoolError};
use crate::dhcp::proxy::Proxy;
use crate::dhcp::server::{Asks, Server};
use crate::dhcp::{CLIENT_PORT, Listener, Outcome, PXE_PORT, SERVER_PORT};
use crate::finding::Finding;
use crate::heard::Heard;
use crate::policy::BootPolicy;
use crate::script::Scripts;
use crate::tftp::{TftpFiles, TftpLimits};
use crate::wire::dhcp::Packet;

/// Ethernet carries no longer packet.
const DHCP_BUFFER: usize = 4096;
/// Findings remembered as told; a flood of made-up machines only has them
/// told again.
const FINDING_LIMIT: usize = 256;

/// How machines get their address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// From a DHCP server that is there already; we add the boot answers.
    Proxy,
    /// From us, out of these ranges: the first for this network, others for
    /// networks behind relays.
    Server(Vec<Pool>),
    /// From a DHCP server that names us itself; we answer TFTP only.
    TftpOnly,
}

/// The ports to listen on and to answer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// DHCP servers: 67.
    pub dhcp: u16,
    /// DHCP clients: 68.
    pub dhcp_client: u16,
    /// The PXE boot server: 4011.
    pub pxe: u16,
    /// TFTP: 69.
    pub tftp: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            dhcp: SERVER_PORT,
            dhcp_client: CLIENT_PORT,
            pxe: PXE_PORT,
            tftp: 69,
        }
    }
}

/// What to run, and where.
#[derive(Debug, Clone)]
pub struct BootConfig {
    /// Name of the interface the machines are behind.
    pub interface: String,
    /// Our address on it.
    pub address: Ipv4Addr,
    /// Port of the HTTP server with kernel, initrd and scripts.
    pub http_port: u16,
    /// How machines get their address.
    pub mode: Mode,
    /// Ports, for tests.
    pub ports: Ports,
    /// Loader files by firmware.
    pub loaders: Loaders,
    /// What TFTP clients may ask for.
    pub tftp: TftpLimits,
}

impl BootConfig {
    /// The usual ports, loaders and limits.
    #[must_use]
    pub fn new(interface: &str, address: Ipv4Addr, http_port: u16, mode: Mode) -> Self {
        Self {
            interface: interface.to_owned(),
            address,
            http_port,
            mode,
            ports: Ports::default(),
            loaders: Loaders::default(),
            tftp: TftpLimits::default(),
        }
    }

    /// Where the machines reach us.
    #[must_use]
    pub fn server(&self) -> BootServer {
        BootServer {
            address: self.address,
            http_port: self.http_port,
        }
    }
}

/// Whom the services ask and tell.
#[derive(Clone)]
pub struct BootParts {
    /// Decides what each machine boots.
    pub policy: Arc<dyn BootPolicy>,
    /// The files for TFTP; scripts are served by the services themselves.
    pub files: Arc<dyn TftpFiles>,
    /// Keeps leases over a restart; used in [`Mode::Server`].
    pub leases: Arc<dyn LeaseLog>,
    /// Filled here; share it with the HTTP server's [`Scripts`].
    pub heard: Arc<Heard>,
    /// Told each finding once.
    pub findings: Arc<dyn Fn(Finding) + Send + Sync>,
}

/// The services could not start.
#[derive(Debug, Error)]
pub enum BootError {
    /// A port could not be had.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A range cannot be used.
    #[error("DHCP range: {0}")]
    Pool(#[from] PoolError),
    /// A DHCP server needs something to give.
    #[error("a DHCP server without a range: give one, or use the proxy mode")]
    NoPool,
    /// The leases of before are unreadable; without them an address could be
    /// given twice.
    #[error("cannot read the leases: {0}")]
    Leases(io::Error),
    /// The runtime refused a socket.
    #[error("cannot use a socket: {0}")]
    Runtime(io::Error),
}

/// Runs the services until `shutdown` is done. All ports are open before the
/// first packet is answered; an error means that none is.
///
/// # Errors
/// [`BootError`] when they cannot start.
pub async fn run(
    config: BootConfig,
    parts: BootParts,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), BootError> {
    let machine = machine(&config, &parts)?;
    let open = |address, port| -> Result<UdpSocket, BootError> {
        let socket = socket::open(&config.interface, SocketAddrV4::new(address, port))?;
        socket.set_nonblocking(true).map_err(BootError::Runtime)?;
        UdpSocket::from_std(socket).map_err(BootError::Runtime)
    };
    let requests = open(config.address, config.ports.tftp)?;
    let mut listeners = Vec::new();
    if !matches!(machine, Machine::Silent) {
        let any = Ipv4Addr::UNSPECIFIED;
        listeners.push((Listener::Dhcp, open(any, config.ports.dhcp)?));
        // Asked by unicast only, and answered from the address asked.
        listeners.push((Listener::Pxe, open(config.address, config.ports.pxe)?));
    }
    let shared = Arc::new(Shared::new(config, parts, machine));
    let mut tasks = JoinSet::new();
    tasks.spawn(tftp::serve(requests, Arc::new(desk(&shared))));
    for (listener, socket) in listeners {
        tasks.spawn(answer(listener, socket, Arc::clone(&shared)));
    }
    shutdown.await;
    tasks.shutdown().await;
    Ok(())
}

fn desk(shared: &Arc<Shared>) -> tftp::Desk {
    let listener = Arc::clone(shared);
    tftp::Desk {
        interface: shared.config.interface.clone(),
        address: shared.config.address,
        limits: shared.config.tftp,
        loaders: shared.config.loaders.clone(),
        scripts: shared.parts.scripts(&shared.config),
        files: Arc::clone(&shared.parts.files),
        report: Box::new(move |finding| listener.report(finding)),
    }
}

fn machine(config: &BootConfig, parts: &BootParts) -> Result<Machine, BootError> {
    let proxy = Proxy::new(config.server(), config.loaders.clone());
    match &config.mode {
        Mode::TftpOnly => Ok(Machine::Silent),
        Mode::Proxy => Ok(Machine::Proxy(proxy)),
        Mode::Server(pools) => {
            if pools.is_empty() {
                return Err(BootError::NoPool);
            }
            for pool in pools {
                pool.check()?;
            }
            let leases = parts.leases.load().map_err(BootError::Leases)?;
            let loaders = config.loaders.clone();
            let server = Server::new(config.server(), loaders, pools.clone(), leases);
            Ok(Machine::Server(server, proxy))
        }
    }
}

enum Machine {
    Silent,
    Proxy(Proxy),
    /// The second answers port 4011, should anything ask there.
    Server(Server, Proxy),
}

impl BootParts {
    fn scripts(&self, config: &BootConfig) -> Scripts {
        Scripts {
            policy: Arc::clone(&self.policy),
            heard: Arc::clone(&self.heard),
            server: config.server(),
            loaders: config.loaders.clone(),
        }
    }
}

/// What every task of the services needs.
struct Shared {
    config: BootConfig,
    parts: BootParts,
    machine: Mutex<Machine>,
    told: Mutex<HashSet<Finding>>,
}

impl Shared {
    fn new(config: BootConfig, parts: BootParts, machine: Machine) -> Self {
        Self {
            config,
            parts,
            machine: Mutex::new(machine),
            told: Mutex::new(HashSet::new()),
        }
    }

    /// Tells a finding, unless it was told before.
    fn report(&self, finding: Finding) {
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() >= FINDING_LIMIT {
                told.clear();
            }
            if !told.insert(finding.clone()) {
                return;
            }
        }
        warn!("{finding}");
        (self.parts.findings)(finding);
    }

    fn handle(&self, listener: Listener, from: SocketAddrV4, request: &Packet) -> Outcome {
        let policy = &*self.parts.policy;
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        match (&mut *machine, listener) {
            (Machine::Silent, _) => Outcome::default(),
            (Machine::Proxy(proxy), _) => proxy.handle(listener, from, request, policy),
            (Machine::Server(_, proxy), Listener::Pxe) => {
                proxy.handle(listener, from, request, policy)
            }
            (Machine::Server(server, _), Listener::Dhcp) => {
                let log = &*self.parts.leases;
                server.handle(unix_seconds(), request, &Asks { policy, log })
            }
        }
    }

    /// Where a reply really goes when the ports are not the usual ones.
    fn destination(&self, to: SocketAddrV4) -> SocketAddrV4 {
        let port = match to.port() {
            CLIENT_PORT => self.config.ports.dhcp_client,
            SERVER_PORT => self.config.ports.dhcp,
            other => other,
        };
        SocketAddrV4::new(*to.ip(), port)
    }
}

/// Answers one DHCP port for ever.
async fn answer(listener: Listener, socket: UdpSocket, shared: Arc<Shared>) {
    let mut buffer = vec![0; DHCP_BUFFER];
    loop {
        let (length, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                debug!(%error, "DHCP receive");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let SocketAddr::V4(from) = from else { continue };
        let request = match Packet::decode(buffer.get(..length).unwrap_or_default()) {
            Ok(request) => request,
            Err(error) => {
                debug!(%from, %error, "not a DHCP packet for us");
                continue;
            }
        };
        let outcome = shared.handle(listener, from, &request);
        if let Some(client) = &outcome.client {
            shared.parts.heard.remember(client);
        }
        for finding in outcome.findings {
            shared.report(finding);
        }
        if let Some(reply) = outcome.reply {
            let to = shared.destination(reply.to);
            debug!(mac = %request.mac, kind = ?reply.packet.kind, %to, "DHCP answer");
            if let Err(error) = socket.send_to(&reply.packet.encode(), to).await {
                warn!(%to, %error, "DHCP answer not sent");
            }
        }
    }
}

fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

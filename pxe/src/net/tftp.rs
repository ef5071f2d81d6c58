//! TFTP: the port requests come in on, and a socket and a task a transfer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tracing::{debug, info, warn};

use super::socket;
use crate::dhcp::chain::Loaders;
use crate::finding::Finding;
use crate::script::Scripts;
use crate::tftp::{TftpFiles, TftpLimits, Transfer, TransferEnd, normalise};
use crate::wire::tftp::{ErrorCode, Packet, Request};

/// Transfers at a time: a room of machines, each with a repeated request.
const SESSION_LIMIT: usize = 256;
/// A request is far shorter.
const REQUEST_BUFFER: usize = 2048;
/// An acknowledgement or an error.
const PACKET_BUFFER: usize = 1024;
/// A transfer that progresses, but hardly, ends here.
const LONGEST_TRANSFER: Duration = Duration::from_secs(3600);

/// What is served, from where, and who hears of what is missing.
pub(super) struct Desk {
    pub(super) interface: String,
    pub(super) address: Ipv4Addr,
    pub(super) limits: TftpLimits,
    pub(super) loaders: Loaders,
    pub(super) scripts: Scripts,
    pub(super) files: Arc<dyn TftpFiles>,
    pub(super) report: Box<dyn Fn(Finding) + Send + Sync>,
}

/// Answers read requests for ever.
pub(super) async fn serve(requests: UdpSocket, desk: Arc<Desk>) {
    let sessions = Arc::new(Semaphore::new(SESSION_LIMIT));
    let mut buffer = vec![0; REQUEST_BUFFER];
    loop {
        let (length, peer) = match requests.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                // An ICMP error of an earlier packet: nothing is lost.
                debug!(%error, "TFTP receive");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let refusal = match Packet::decode(buffer.get(..length).unwrap_or_default()) {
            Ok(Packet::Read(request)) => start(&request, peer, &desk, &sessions).err(),
            Ok(Packet::Write) => Some(Packet::error(ErrorCode::Refused, "nothing is written here")),
            Ok(Packet::Error { .. }) => None,
            Ok(_) => Some(Packet::error(ErrorCode::Illegal, "no such transfer")),
            Err(error) => {
                debug!(%peer, %error, "not a TFTP packet");
                None
            }
        };
        if let Some(refusal) = refusal {
            let _ = requests.send_to(&refusal, peer).await;
        }
    }
}

/// Begins a transfer in its own task, or gives the error packet to send.
fn start(
    request: &Request,
    peer: SocketAddr,
    desk: &Arc<Desk>,
    sessions: &Arc<Semaphore>,
) -> Result<(), Vec<u8>> {
    let file = open(request, peer, desk)?;
    let busy = || Packet::error(ErrorCode::Other, "busy, try again");
    let permit = Arc::clone(sessions).try_acquire_owned();
    let permit = permit.map_err(|_| busy())?;
    let transfer = Transfer::new(request, file, desk.limits)?;
    let socket = socket::open_towards(&desk.interface, desk.address, peer)
        .and_then(|socket| {
            socket.set_nonblocking(true)?;
            UdpSocket::from_std(socket)
        })
        .map_err(|error| {
            warn!(%peer, %error, "no socket for a TFTP transfer");
            busy()
        })?;
    let path = request.path.clone();
    tokio::spawn(async move {
        let run = tokio::time::timeout(LONGEST_TRANSFER, run(transfer, socket)).await;
        match run {
            Ok(TransferEnd::Complete) => info!(%peer, path, "TFTP file sent"),
            Ok(end) => debug!(%peer, path, ?end, "TFTP transfer ended"),
            Err(_) => warn!(%peer, path, "TFTP transfer took an hour and was ended"),
        }
        drop(permit);
    });
    Ok(())
}

fn open(request: &Request, peer: SocketAddr, desk: &Desk) -> Result<Arc<[u8]>, Vec<u8>> {
    let not_found = || Packet::error(ErrorCode::NotFound, "file not found");
    let path = normalise(&request.path);
    let path = path.ok_or_else(|| Packet::error(ErrorCode::Refused, "not a path here"))?;
    if let IpAddr::V4(from) = peer.ip() {
        match desk.scripts.open(from, &path) {
            Ok(Some(script)) => return Ok(script.into_bytes().into()),
            Ok(None) => {}
            Err(error) => {
                warn!(%peer, path, %error, "no script for this machine");
                return Err(not_found());
            }
        }
    }
    desk.files.open(peer, &path).ok_or_else(|| {
        debug!(%peer, path, "TFTP file not found");
        if desk.loaders.names(&path) {
            (desk.report)(Finding::LoaderMissing { path });
        }
        not_found()
    })
}

/// Carries one machine's packets until it ends.
async fn run(mut transfer: Transfer, socket: UdpSocket) -> TransferEnd {
    let mut buffer = [0; PACKET_BUFFER];
    loop {
        while let Some(packet) = transfer.poll_transmit(Instant::now()) {
            // A packet that could not be sent is a packet lost: it is repeated.
            let _ = socket.send(&packet).await;
        }
        if let Some(end) = transfer.outcome() {
            return end.clone();
        }
        let deadline = transfer.poll_timeout().unwrap_or_else(Instant::now);
        tokio::select! {
            received = socket.recv(&mut buffer) => match received {
                Ok(length) => {
                    let packet = buffer.get(..length).unwrap_or_default();
                    transfer.handle(Instant::now(), packet);
                }
                // The client closed its port: it wants no more.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    return TransferEnd::Silent;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            () = tokio::time::sleep_until(deadline.into()) => {}
        }
    }
}

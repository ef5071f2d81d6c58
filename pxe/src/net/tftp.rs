//! TFTP: the port requests come in on, and a socket and a task a transfer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tracing::{debug, info, warn};

use super::boot::Shared;
use super::socket;
use crate::finding::Finding;
use crate::tftp::{Transfer, TransferEnd, normalise};
use crate::wire::tftp::{ErrorCode, Packet, Request};

/// Transfers at a time: a room of machines, each with a repeated request.
const SESSION_LIMIT: usize = 256;
/// A request is far shorter.
const REQUEST_BUFFER: usize = 2048;
/// An acknowledgement or an error.
const PACKET_BUFFER: usize = 1024;
/// A transfer that progresses, but hardly, ends here.
const LONGEST_TRANSFER: Duration = Duration::from_secs(3600);

/// Answers read requests for ever.
pub(super) async fn serve(requests: UdpSocket, shared: Arc<Shared>) {
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
            Ok(Packet::Read(request)) => start(&request, peer, &shared, &sessions).err(),
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
    shared: &Arc<Shared>,
    sessions: &Arc<Semaphore>,
) -> Result<(), Vec<u8>> {
    let file = open(request, peer, shared)?;
    let busy = || Packet::error(ErrorCode::Other, "busy, try again");
    let permit = Arc::clone(sessions).try_acquire_owned();
    let permit = permit.map_err(|_| busy())?;
    let transfer = Transfer::new(request, file, shared.config.tftp)?;
    let config = &shared.config;
    let socket = socket::open_towards(&config.interface, config.address, peer)
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

fn open(request: &Request, peer: SocketAddr, shared: &Shared) -> Result<Arc<[u8]>, Vec<u8>> {
    let not_found = || Packet::error(ErrorCode::NotFound, "file not found");
    let path = normalise(&request.path);
    let path = path.ok_or_else(|| Packet::error(ErrorCode::Refused, "not a path here"))?;
    if let IpAddr::V4(from) = peer.ip() {
        match shared.scripts.open(from, &path) {
            Ok(Some(script)) => return Ok(script.into_bytes().into()),
            Ok(None) => {}
            Err(error) => {
                warn!(%peer, path, %error, "no script for this machine");
                return Err(not_found());
            }
        }
    }
    shared.files.open(peer, &path).ok_or_else(|| {
        debug!(%peer, path, "TFTP file not found");
        if shared.config.loaders.names(&path) {
            shared.report(Finding::LoaderMissing { path });
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

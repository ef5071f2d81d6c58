//! Connections: how many, how long they may be silent, TLS or not.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use super::gate::Peer;

/// Connections at once on one port; the next one waits until another ends.
const CONNECTIONS: u32 = 512;
/// A machine on the same site shakes hands in far less.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// From the first byte of a request, or the end of the last one, to the end
/// of its header: idle connections end here too.
const HEADER: Duration = Duration::from_secs(60);
/// Sent and not acknowledged for so long: the machine lost its power.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// Header bytes of one request, and what is read ahead.
const READ_BUFFER: usize = 32 << 10;
/// How long the open requests have when the server stops.
const FAREWELL: Duration = Duration::from_secs(5);
/// Out of file handles, for example: waiting helps, spinning does not.
const AFTER_ERROR: Duration = Duration::from_millis(200);

/// Serves `router` on `listener` until `closing` says so, then lets the open
/// requests end.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    mut closing: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(usize::try_from(CONNECTIONS).unwrap_or(1)));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = closed(&mut closing) => break,
        };
        let Some((stream, peer, place)) = accepted else {
            continue;
        };
        let (tls, router, closing) = (tls.clone(), router.clone(), closing.clone());
        tokio::spawn(async move {
            if let Err(error) = welcome(stream, peer, tls, router, closing).await {
                debug!(%peer, %error, "connection ended");
            }
            drop(place);
        });
    }
    // All places free: every connection has ended.
    let _ = timeout(FAREWELL, places.acquire_many(CONNECTIONS)).await;
}

/// Done when the server stops, or is gone already.
async fn closed(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            warn!(%error, "a connection could not be accepted");
            sleep(AFTER_ERROR).await;
            None
        }
    }
}

async fn welcome(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    closing: watch::Receiver<bool>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    let router = router.layer(Extension(Peer(peer)));
    match tls {
        Some(tls) => {
            let stream = timeout(HANDSHAKE, tls.accept(stream)).await??;
            converse(stream, router, closing).await
        }
        None => converse(stream, router, closing).await,
    }
}

async fn converse<S>(
    stream: S,
    router: Router,
    mut closing: watch::Receiver<bool>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            // GRUB compares `Content-Length` letter by letter.
            .title_case_headers(true)
            .header_read_timeout(HEADER)
            .max_buf_size(READ_BUFFER)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closed(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(io::Error::other)
}

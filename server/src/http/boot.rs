//! The clear port: loaders, scripts, kernel and initramfs, by a fixed list of
//! names. Whoever listens on the wire may know all of it; whoever changes it
//! is found out by firmware, by hash, or by the pinned key.

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::header::{CONTENT_TYPE, RANGE};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use pxe::script::Scripts;
use pxe::tftp::{TftpFiles, normalise};
use tracing::{debug, warn};

use super::file;
use super::gate::Peer;

/// Everything of the boot tree that leaves the house.
const FILES: [&str; 10] = [
    "shimx64.efi",
    "shimaa64.efi",
    "grubx64.efi",
    "grubaa64.efi",
    "mmx64.efi",
    "undionly.kpxe",
    "ipxe.efi",
    "vmlinuz",
    "initrd.img",
    "stage2.cpio.zst",
];
/// What firmware loads is small; larger files go over HTTP. Over TFTP a file
/// is held in memory.
const LARGEST_OVER_TFTP: u64 = 8 << 20;

/// The folder with the boot tree.
pub(crate) struct BootTree {
    folder: PathBuf,
    loaders: Mutex<HashMap<&'static str, Loader>>,
}

struct Loader {
    modified: Option<SystemTime>,
    bytes: Arc<[u8]>,
}

impl BootTree {
    /// The tree in `folder`, which may be built or renewed at any time.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            loaders: Mutex::default(),
        }
    }

    /// The name in the list for a path as it was asked for: with or without
    /// `/boot` in front, with any number of slashes.
    fn name(path: &str) -> Option<&'static str> {
        let path = normalise(path)?;
        let name = path.strip_prefix("boot/").unwrap_or(&path);
        FILES.into_iter().find(|file| *file == name)
    }

    fn loader(&self, name: &'static str) -> Option<Arc<[u8]>> {
        let path = self.folder.join(name);
        let facts = fs::metadata(&path).ok()?;
        let modified = facts.modified().ok();
        let mut loaders = self.loaders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = loaders.get(name)
            && known.modified == modified
            && known.bytes.len() as u64 == facts.len()
        {
            return Some(Arc::clone(&known.bytes));
        }
        if facts.len() > LARGEST_OVER_TFTP {
            return None;
        }
        let bytes: Arc<[u8]> = fs::read(&path).ok()?.into();
        loaders.insert(
            name,
            Loader {
                modified,
                bytes: Arc::clone(&bytes),
            },
        );
        Some(bytes)
    }
}

impl TftpFiles for BootTree {
    fn open(&self, _: SocketAddr, path: &str) -> Option<Arc<[u8]>> {
        self.loader(Self::name(path)?)
    }
}

/// What the clear port needs.
#[derive(Clone)]
pub(crate) struct ClearPort {
    /// The files.
    pub(crate) tree: Arc<BootTree>,
    /// The scripts, by who asks.
    pub(crate) scripts: Scripts,
}

/// Everything the clear port knows.
pub(crate) fn router(port: ClearPort) -> Router {
    Router::new().fallback(serve).with_state(port)
}

async fn serve(
    State(port): State<ClearPort>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let uri = request.uri();
    let target = uri
        .path_and_query()
        .map_or(uri.path(), |target| target.as_str());
    match port.scripts.open(ipv4(peer), target) {
        Ok(Some(script)) => {
            debug!(%peer, target, "boot script");
            return ([(CONTENT_TYPE, "text/plain; charset=utf-8")], script).into_response();
        }
        Ok(None) => {}
        Err(error) => {
            warn!(%peer, target, %error, "no script for this machine");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    }
    let Some(name) = BootTree::name(uri.path()) else {
        return not_found();
    };
    let range = request
        .headers()
        .get(RANGE)
        .and_then(|range| range.to_str().ok());
    match open(port.tree.folder.join(name)).await {
        Some((file, length)) => file::answer(file, length, request.method(), range),
        None => {
            warn!(%peer, name, "a boot file is missing; `mimeo boot build` makes them");
            not_found()
        }
    }
}

/// With a body: shim, asking through the firmware's HTTP for files that need
/// not be there, gives up on a refusal without one.
fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "no such boot file\n").into_response()
}

async fn open(path: PathBuf) -> Option<(File, u64)> {
    let opened = tokio::task::spawn_blocking(move || {
        let file = File::open(path).ok()?;
        let facts = file.metadata().ok()?;
        facts.is_file().then_some((file, facts.len()))
    });
    opened.await.ok().flatten()
}

/// Machines boot over IPv4; an IPv6 address is nobody the boot services heard.
fn ipv4(peer: SocketAddr) -> Ipv4Addr {
    match peer.ip().to_canonical() {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}

//! The second stage: fetched in the clear from anybody, used only if it is the
//! one this environment was built with.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use api::client::{ClientError, Patience};
use winpe_assets::linux::{cpio, expand};
use winpe_assets::{BootConfig, Node, Pin, Tree};

use crate::config::ClearUrl;

/// Largest second stage, packed: four times the largest known.
const LARGEST_PACKED: u64 = 256 << 20;
/// And unpacked: what a machine with 1 GiB can hold twice.
const LARGEST_UNPACKED: usize = 448 << 20;
const CONNECT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(30);
/// Longest header section of an answer.
const LONGEST_HEAD: u64 = 64 << 10;

/// Where the second stage lies: beside the kernel.
pub(super) fn url(config: &BootConfig, boot: Option<&str>) -> Result<ClearUrl> {
    let base = boot.map_or_else(
        || format!("http://{}/boot", config.server.ip()),
        str::to_owned,
    );
    let url = format!("{base}/{}", config.stage2_name);
    ClearUrl::parse(&url)
        .with_context(|| format!("{url} is no address for the second stage (mimeo.boot=...)"))
}

/// Fetches, checks and unpacks it over the root.
pub(super) fn bring_in(url: &ClearUrl, pin: &Pin, patience: &Patience) -> Result<()> {
    if pin.size > LARGEST_PACKED {
        bail!(
            "the second stage has {} bytes, more than the {LARGEST_PACKED} allowed",
            pin.size
        );
    }
    let packed = patience.call(|| fetch(url, pin))?;
    let archive = expand::expand(&packed, LARGEST_UNPACKED).context("the second stage")?;
    drop(packed);
    let tree = cpio::read(&archive).context("the second stage")?;
    drop(archive);
    lay(&tree, Path::new("/"))
}

/// One attempt. A file with other bytes is as good as none: somebody may be
/// replacing it this very moment, so it is asked for again.
fn fetch(url: &ClearUrl, pin: &Pin) -> Result<Vec<u8>, ClientError> {
    let failed = |reason: String| ClientError::Unreachable {
        server: url.host.clone(),
        reason,
    };
    let bytes = get(url, pin.size).map_err(|error| failed(format!("{}: {error:#}", url.path)))?;
    if pin.fits(&bytes) {
        return Ok(bytes);
    }
    Err(failed(format!(
        "{} is not the file this environment was built with; \
         were the boot files built again? then start this machine anew",
        url.path
    )))
}

/// A plain GET (RFC 9112), at most `limit` bytes.
fn get(url: &ClearUrl, limit: u64) -> Result<Vec<u8>> {
    let stream = connect(&url.address)?;
    // Version 1.0: the answer ends with the connection and is not chunked.
    let request = format!("GET {} HTTP/1.0\r\nHost: {}\r\n\r\n", url.path, url.host);
    (&stream).write_all(request.as_bytes())?;
    read_answer(BufReader::new(stream), limit)
}

fn connect(address: &SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(address, CONNECT)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    Ok(stream)
}

fn read_answer(mut reader: impl BufRead, limit: u64) -> Result<Vec<u8>> {
    let mut head = reader.by_ref().take(LONGEST_HEAD);
    let mut status = String::new();
    head.read_line(&mut status)?;
    if status.split(' ').nth(1) != Some("200") {
        bail!(
            "the answer is {:?}",
            status.trim().chars().take(80).collect::<String>()
        );
    }
    let mut line = String::new();
    while head.read_line(&mut line)? > 0 && !line.trim().is_empty() {
        line.clear();
    }
    if line.is_empty() {
        bail!("the answer ends in its header");
    }
    let mut body = Vec::new();
    reader
        .take(limit.saturating_add(1))
        .read_to_end(&mut body)?;
    Ok(body)
}

/// Writes the tree below `root`; what is there already is replaced.
fn lay(tree: &Tree, root: &Path) -> Result<()> {
    for (path, node) in tree.iter() {
        let place = root.join(path);
        lay_one(&place, node).with_context(|| format!("{} cannot be written", place.display()))?;
    }
    Ok(())
}

fn lay_one(place: &Path, node: &Node) -> Result<()> {
    match node {
        Node::Folder { mode } => {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(*mode)
                .create(place)?;
        }
        Node::File { mode, bytes } => {
            let mut options = fs::OpenOptions::new();
            let mut file = options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(*mode)
                .open(place)?;
            file.write_all(bytes)?;
            file.set_permissions(fs::Permissions::from_mode(*mode))?;
        }
        Node::Link { target } => {
            if fs::symlink_metadata(place).is_ok() {
                fs::remove_file(place)?;
            }
            symlink(target, place)?;
        }
        // devtmpfs has them all.
        Node::Device { .. } => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> BootConfig {
        let server = "10.0.0.1:8443".parse().unwrap();
        BootConfig::new(
            server,
            winpe_assets::Hex32([1; 32]),
            "6".to_owned(),
            Pin::of(b"x"),
        )
    }

    #[test]
    fn the_second_stage_lies_beside_the_kernel() {
        let url = |boot| super::url(&config(), boot).unwrap();
        assert_eq!(url(None).path, "/boot/stage2.cpio.zst");
        assert_eq!(url(None).address, "10.0.0.1:80".parse().unwrap());
        let elsewhere = url(Some("http://10.0.0.2:8080/b"));
        assert_eq!(elsewhere.path, "/b/stage2.cpio.zst");
        assert!(super::url(&config(), Some("tftp://10.0.0.2")).is_err());
    }

    #[test]
    fn only_a_whole_good_answer_is_taken() {
        let read = |text: &str| read_answer(text.as_bytes(), 4);
        assert_eq!(
            read("HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody").unwrap(),
            b"body"
        );
        assert_eq!(
            read("HTTP/1.1 200 OK\r\n\r\nbody too long").unwrap().len(),
            5
        );
        for bad in [
            "",
            "HTTP/1.1 404 No\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b",
            "garbage\r\n\r\n",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_tree_is_laid_over_what_is_there() {
        let root = tempfile::tempdir().unwrap();
        let mut tree = Tree::new();
        tree.file("lib/a", 0o755, b"new".to_vec()).unwrap();
        tree.put(
            "lib/l",
            Node::Link {
                target: "a".to_owned(),
            },
        )
        .unwrap();
        fs::create_dir(root.path().join("lib")).unwrap();
        fs::write(root.path().join("lib/a"), b"something older").unwrap();
        for _ in 0..2 {
            lay(&tree, root.path()).unwrap();
        }
        assert_eq!(fs::read(root.path().join("lib/l")).unwrap(), b"new");
        let mode = fs::metadata(root.path().join("lib/a"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o755);
    }
}

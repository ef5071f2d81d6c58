//! What makes a copy of an image this very machine: laid over the image before
//! it is written, and proven with it.

use std::fs;

use anyhow::{Context, Result};
use image_format::entry::{Content, Kind, Piece};
use image_format::image::Manifest;
use image_format::store::Source;
use image_format::{BlockJob, ChunkRef, Expander, Index, Segment};
use imager::plan::OverlayFile;
use winpe_assets::first_run;

use crate::run_file::RunFile;

const HOSTNAME: &str = "etc/hostname";
const HOSTS: &str = "etc/hosts";
const MACHINE_ID: &str = "etc/machine-id";
/// What systemd replaces by a fresh id at the first start (machine-id(5)).
const NO_MACHINE_ID: &str = "uninitialized\n";
/// The line of a host's own name (Debian reference, 5.1.1).
const OWN_ADDRESS: &str = "127.0.1.1";
/// Largest hosts file that is changed; a larger one is not a hosts file.
const LARGEST_HOSTS: u64 = 1 << 20;
/// Places of our own program while it runs.
const OURSELVES: [&str; 2] = ["/proc/self/exe", "/init"];

/// Everything that is laid over the image.
pub(super) fn overlay(run: &RunFile, hosts: &str) -> Result<Vec<OverlayFile>> {
    let agent = OURSELVES.iter().find_map(|path| fs::read(path).ok());
    let agent = agent.context("this program cannot read itself")?;
    let folder = first_run::RUN_PATH
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    Ok(vec![
        OverlayFile::file(HOSTNAME, 0o644, format!("{}\n", run.name).into_bytes()),
        OverlayFile::file(HOSTS, 0o644, own_name_in(hosts, &run.name).into_bytes()),
        OverlayFile::file(MACHINE_ID, 0o444, NO_MACHINE_ID.as_bytes().to_vec()),
        OverlayFile::file(first_run::AGENT_PATH, 0o755, agent),
        OverlayFile::file(
            first_run::UNIT_PATH,
            0o644,
            first_run::UNIT.as_bytes().to_vec(),
        ),
        OverlayFile::symlink(first_run::WANTS_PATH, first_run::WANTS_TARGET),
        OverlayFile::directory(folder, 0o700),
        OverlayFile::file(first_run::RUN_PATH, 0o600, serde_json::to_vec(run)?),
    ])
}

/// The image's hosts file as text; empty when it has none.
pub(super) fn hosts_of(
    manifest: &Manifest,
    jobs: &[BlockJob],
    source: &dyn Source,
) -> Result<String> {
    let entries = manifest.volumes.iter().flat_map(|volume| &volume.entries);
    let mut files = entries.filter(|entry| entry.kind == Kind::File);
    let Some(entry) = files.find(|entry| entry.path == HOSTS.as_bytes()) else {
        return Ok(String::new());
    };
    let bytes = match &entry.content {
        Content::Empty => Vec::new(),
        Content::Inline(bytes) => bytes.clone(),
        Content::Pieces(_) if entry.content.size() > LARGEST_HOSTS => {
            anyhow::bail!("/{HOSTS} of the image has {} bytes", entry.content.size())
        }
        Content::Pieces(pieces) => {
            fetch(pieces, jobs, source).with_context(|| format!("/{HOSTS} of the image"))?
        }
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn fetch(pieces: &[Piece], jobs: &[BlockJob], source: &dyn Source) -> Result<Vec<u8>> {
    let index = Index::new(vec![Segment::decode(Segment::encode(jobs)?)?]);
    let expander = Expander::new(&index, source);
    let mut bytes = Vec::new();
    for piece in pieces {
        match *piece {
            // The sum of all pieces was compared with a limit.
            Piece::Hole { length } => {
                bytes.resize(bytes.len() + usize::try_from(length)?, 0);
            }
            Piece::Chunk { id, length } => {
                bytes.extend(expander.chunk(&ChunkRef { id, length })?);
            }
        }
    }
    Ok(bytes)
}

/// `hosts` with `name` as the machine's own, whatever its own was before.
fn own_name_in(hosts: &str, name: &str) -> String {
    let own = format!("{OWN_ADDRESS}\t{name}");
    let is_own = |line: &str| line.split_whitespace().next() == Some(OWN_ADDRESS);
    let mut lines: Vec<&str> = hosts.lines().filter(|line| !is_own(line)).collect();
    if !lines
        .iter()
        .any(|line| line.split_whitespace().next() == Some("127.0.0.1"))
    {
        lines.insert(0, "127.0.0.1\tlocalhost");
    }
    let first = lines
        .iter()
        .position(|line| line.split_whitespace().next() == Some("127.0.0.1"));
    lines.insert(first.map_or(0, |at| at + 1), &own);
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use image_format::entry::Entry;
    use image_format::ids::ChunkId;
    use image_format::image::VolumeTree;
    use image_format::layout::{DiskLayout, Scheme};
    use image_format::store::{BlockPlace, StoreError};

    use super::*;

    struct Nothing;

    impl Source for Nothing {
        fn block(&self, _place: &BlockPlace) -> Result<Vec<u8>, StoreError> {
            Err(StoreError::Missing {
                what: "pack",
                name: String::new(),
            })
        }
    }

    fn manifest(content: Option<Content>) -> Manifest {
        let mut entries = vec![
            Entry::new("", Kind::Directory),
            Entry::new("etc", Kind::Directory),
        ];
        entries.extend(content.map(|content| {
            let mut entry = Entry::new(HOSTS, Kind::File);
            entry.content = content;
            entry
        }));
        let disk = DiskLayout {
            sector_size: 512,
            size: 1 << 30,
            scheme: Scheme::None,
            boot_code: Vec::new(),
            partitions: Vec::new(),
        };
        Manifest {
            disk,
            volumes: vec![VolumeTree {
                partition: 0,
                entries,
            }],
        }
    }

    fn run() -> RunFile {
        RunFile {
            server: "10.0.0.1:8443".to_owned(),
            key: api::PublicKey::new([1; 32]),
            token: "secret".to_owned(),
            run: "run-1".to_owned(),
            name: "pc-7".to_owned(),
        }
    }

    #[test]
    fn the_old_name_gives_way_to_the_new_one() {
        let old = "127.0.0.1\tlocalhost\n127.0.1.1\treference.lan reference\n\n::1 ip6\n";
        let expected = "127.0.0.1\tlocalhost\n127.0.1.1\tpc-7\n\n::1 ip6\n";
        assert_eq!(own_name_in(old, "pc-7"), expected);
        assert_eq!(own_name_in(expected, "pc-7"), expected);
        assert_eq!(
            own_name_in("", "pc-7"),
            "127.0.0.1\tlocalhost\n127.0.1.1\tpc-7\n"
        );
    }

    #[test]
    fn the_hosts_file_is_found_inline_or_nowhere() {
        let inline = manifest(Some(Content::Inline(b"x".to_vec())));
        assert_eq!(hosts_of(&inline, &[], &Nothing).unwrap(), "x");
        assert_eq!(hosts_of(&manifest(None), &[], &Nothing).unwrap(), "");
        let id = ChunkId::of(b"x");
        let elsewhere = Content::Pieces(vec![Piece::Chunk { id, length: 1 }]);
        assert!(hosts_of(&manifest(Some(elsewhere)), &[], &Nothing).is_err());
    }

    #[test]
    fn secrets_are_readable_by_root_only() {
        let overlay = overlay(&run(), "").unwrap();
        let mode = |path: &str| {
            overlay
                .iter()
                .find(|file| file.path == path.as_bytes())
                .map(|file| file.mode)
        };
        assert_eq!(mode("var/lib/mimeo/run"), Some(0o700));
        assert_eq!(mode("var/lib/mimeo/run/run.json"), Some(0o600));
        assert_eq!(mode("usr/lib/mimeo/mimeo-agent"), Some(0o755));
    }
}

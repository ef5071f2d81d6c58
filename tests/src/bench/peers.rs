//! The programs that are measured beside ours, as Debian packages them.

use std::path::Path;

use crate::command::{command, sh};
use crate::setup;
use crate::table::table;

/// A program of somebody else's.
#[derive(Debug)]
pub struct Peer {
    /// What is started.
    pub program: &'static str,
    /// The Debian package it comes in.
    pub package: &'static str,
}

/// Every peer that a row names, and what the rows' scripts are made of.
pub const PEERS: [Peer; 9] = [
    peer("mksquashfs", "squashfs-tools"),
    peer("unsquashfs", "squashfs-tools"),
    peer("wimlib-imagex", "wimtools"),
    peer("borg", "borgbackup"),
    peer("restic", "restic"),
    peer("casync", "casync"),
    peer("zstd", "zstd"),
    peer("b3sum", "b3sum"),
    peer("fsarchiver", "fsarchiver"),
];

const fn peer(program: &'static str, package: &'static str) -> Peer {
    Peer { program, package }
}

/// Installs what is missing, package by package: one that a mirror lacks must
/// not keep the others away. What stays missing is said by the rows.
pub fn install() {
    for peer in PEERS.iter().filter(|peer| !is_there(peer.program)) {
        if let Err(error) = setup::install(&[peer.package]) {
            println!("{} is not installed: {error:#}", peer.package);
        }
    }
}

/// The programs of [`PEERS`] that can be started, and `cp` and `tar`, which
/// every system has.
pub fn present() -> Vec<&'static str> {
    let programs = PEERS.iter().map(|peer| peer.program);
    programs
        .chain(["cp", "tar"])
        .filter(|program| is_there(program))
        .collect()
}

fn is_there(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).exists())
        || Path::new("/usr/sbin").join(program).exists()
}

/// The peers and their packages' versions.
pub fn report(present: &[&str]) -> String {
    let version = |package: &str| {
        sh(&["dpkg-query", "--show", "--showformat=${Version}", package])
            .unwrap_or_else(|_| "not from a package".to_owned())
    };
    let rows: Vec<Vec<String>> = PEERS
        .iter()
        .map(|peer| match present.contains(&peer.program) {
            true => vec![peer.program.to_owned(), version(peer.package)],
            false => vec![peer.program.to_owned(), "missing".to_owned()],
        })
        .chain([
            vec!["tar".to_owned(), version("tar")],
            vec!["cp".to_owned(), version("coreutils")],
            vec!["Linux".to_owned(), kernel()],
        ])
        .collect();
    table(&["peer", "version"], &rows)
}

fn kernel() -> String {
    let words = crate::command::run(&mut command(&["uname", "-r"]));
    words.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

//! Packets of real firmware, from the captures beside the tests of `pxe`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use pxe::wire::dhcp::{Packet, code};
use pxe::wire::{pxe as options, tftp};

use crate::Corpus;

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
/// Ethernet, IPv4 without options, UDP.
const HEADERS: usize = 14 + 20 + 8;
const UDP: u8 = 17;
/// Of each capture: a conversation is longer, but says the same again.
const MOST: usize = 8;

pub(crate) fn make(corpus: &Corpus) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pxe/tests/fixtures");
    for entry in fs::read_dir(&folder).context("listing the captures")? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "pcap")
        {
            let name = path
                .file_stem()
                .context("a capture has a name")?
                .to_string_lossy();
            capture(corpus, &name, &fs::read(&path)?)?;
        }
    }
    for (file, target) in [
        (
            "ipxe",
            "/boot/ipxe?mac=52-54-00-77-01-00&arch=7&uuid=77777777-0000-4000-8000-525400770100",
        ),
        ("ipxe-bios", "/boot/ipxe?mac=52-54-00-77-01-01&arch=0"),
        ("grub", "/grub/grub.cfg"),
        ("grub-host", "//grub/hosts/52:54:00:77:01:02"),
    ] {
        corpus.put("script", file, target.as_bytes())?;
    }
    let control: &[(u8, &[u8])] = &[
        (options::DISCOVERY_CONTROL, &[8]),
        (options::BOOT_ITEM, &[0; 4]),
    ];
    corpus.put("pxe_options", "control", &options::encode(control))?;
    corpus.put("pxe_options", "uuid", &options::uuid_to_option([0x77; 16]))
}

fn capture(corpus: &Corpus, name: &str, file: &[u8]) -> Result<()> {
    ensure!(
        file.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]),
        "{name} is no capture"
    );
    let mut rest = file.get(FILE_HEADER..).unwrap_or_default();
    let mut kept = 0;
    while let Some((record, after)) = rest.split_at_checked(RECORD_HEADER) {
        let length = u32::from_le_bytes(record[8..12].try_into()?) as usize;
        let (frame, after) = after.split_at_checked(length).context("a packet is cut")?;
        rest = after;
        let udp = frame.get(12..14) == Some(&[8, 0]) && frame.get(23) == Some(&UDP);
        if let Some(bytes) = frame.get(HEADERS..).filter(|_| udp && kept < MOST) {
            kept += 1;
            packet(corpus, &format!("{name}-{kept}"), bytes)?;
        }
    }
    ensure!(kept > 0, "{name} holds no UDP packets");
    Ok(())
}

fn packet(corpus: &Corpus, file: &str, bytes: &[u8]) -> Result<()> {
    if let Ok(packet) = Packet::decode(bytes) {
        for target in ["dhcp", "dhcp_client", "dhcp_server", "dhcp_proxy"] {
            corpus.put(target, file, bytes)?;
        }
        if let Some(vendor) = packet.get(code::VENDOR) {
            corpus.put("pxe_options", file, vendor)?;
        }
    } else if let Ok(packet) = tftp::Packet::decode(bytes) {
        corpus.put("tftp", file, bytes)?;
        if let tftp::Packet::Read(_) = packet {
            corpus.put("tftp_transfer", file, bytes)?;
        }
    }
    Ok(())
}

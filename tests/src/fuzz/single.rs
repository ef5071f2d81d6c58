//! The single file: its sections, its footer, its tables, the whole of it.

use image_format::MemoryStore;
use image_format::file::{
    BlockHead, FOOTER_LENGTH, Features, Footer, PartHead, Section, import_stream, tables,
};
use image_format::upkeep::check::check;

use super::repair::{put, u64_at};

/// Bytes before a section's payload.
const HEADER: usize = 96;
const CHECKSUM_AT: usize = 92;
const LENGTH_AT: usize = 40;
const HASH_AT: usize = 56;

/// A header that decodes encodes to the same bytes.
pub(super) fn section(input: &[u8]) {
    check_section(input);
    let mut repaired = input.to_vec();
    repair_header(&mut repaired, 0);
    check_section(&repaired);
}

fn check_section(bytes: &[u8]) {
    if let Ok(section) = Section::decode(bytes) {
        assert_eq!(section.encode(), bytes[..HEADER]);
        assert!(section.length <= section.kind.limit());
    }
}

fn repair_header(bytes: &mut [u8], at: usize) {
    let end = at.saturating_add(CHECKSUM_AT);
    let sum = crc32c::crc32c(bytes.get(at..end).unwrap_or_default());
    put(bytes, end, &sum.to_le_bytes());
}

/// A footer that decodes encodes to the same bytes and points into its file.
pub(super) fn footer(input: &[u8]) {
    if let Ok(footer) = Footer::decode(input) {
        assert_eq!(footer.encode(), input);
        let end = footer.total - FOOTER_LENGTH;
        for at in [footer.images_at, footer.table_at, footer.parts_at] {
            assert!(at < end);
        }
    }
}

/// Tables that decode encode to the same bytes.
pub(super) fn mim_tables(input: &[u8]) {
    if let Ok(rows) = tables::images(input) {
        assert_eq!(tables::encode_images(&rows).expect("it encodes"), input);
    }
    if let Ok(rows) = tables::parts(input) {
        assert_eq!(tables::encode_parts(&rows), input);
    }
    if let Ok(head) = BlockHead::decode(input) {
        assert_eq!(head.encode().expect("it encodes"), input);
        let sum: u64 = head
            .chunks
            .iter()
            .map(|(_, length)| u64::from(*length))
            .sum();
        assert_eq!(sum, u64::from(head.raw));
    }
    if let Ok(head) = PartHead::decode(input) {
        assert_eq!(head.encode(), input);
    }
    if let Ok(features) = Features::decode(input) {
        let bytes = features.encode().expect("it encodes");
        assert_eq!(Features::decode(&bytes).expect("it decodes"), features);
    }
}

/// Whatever comes through a pipe: what is imported is whole, and what is
/// refused left no image.
pub(super) fn stream(input: &[u8]) {
    check_stream(input);
    let mut repaired = input.to_vec();
    repair_sections(&mut repaired);
    check_stream(&repaired);
}

fn check_stream(bytes: &[u8]) {
    let store = MemoryStore::new();
    let result = import_stream(&mut &*bytes, &store, &mut |_| ());
    let report = check(&store).expect("a store in memory can be listed");
    assert_eq!(report.findings, []);
    match result {
        Ok(imported) => assert_eq!(imported.images.len() as u64, report.refs),
        Err(_) => assert_eq!(report.refs, 0),
    }
}

/// Every header gets the hash of the payload behind it.
fn repair_sections(bytes: &mut [u8]) {
    let mut at = 0_usize;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= HEADER) {
        let length = usize::try_from(u64_at(rest, LENGTH_AT)).unwrap_or(usize::MAX);
        let start = HEADER;
        let Some(end) = start.checked_add(length).filter(|end| *end <= rest.len()) else {
            return;
        };
        let hash = blake3::hash(&rest[start..end]);
        put(bytes, at + HASH_AT, hash.as_bytes());
        repair_header(bytes, at);
        at += end;
    }
}

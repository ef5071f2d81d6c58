//! Single files taken apart and put together again.

use image_format::file::{
    Chain, ExportReport, FOOTER_LENGTH, FileId, Footer, Kind, Section, Target, export,
    import_stream,
};
use image_format::file::{ImportError, ImportReport};
use image_format::image::ImageRecord;
use image_format::share::Share;
use image_format::store::{MemoryStore, Store};

/// Bytes before a section's payload.
const HEADER: usize = 96;

pub(crate) const ID: FileId = FileId([9; 16]);

/// Exports into memory, as through a pipe.
pub(crate) fn piped(store: &dyn Store, images: &[ImageRecord]) -> Vec<u8> {
    let mut bytes = Vec::new();
    send(store, images, Target::Pipe(&mut bytes));
    bytes
}

/// Exports wherever.
pub(crate) fn send(store: &dyn Store, images: &[ImageRecord], target: Target<'_>) -> ExportReport {
    let share = Share::open(store).unwrap();
    export(&share, images, target, ID, &mut |_| ()).unwrap()
}

/// Imports as from a pipe.
pub(crate) fn take(bytes: &[u8], store: &dyn Store) -> Result<ImportReport, ImportError> {
    import_stream(&mut &*bytes, store, &mut |_| ())
}

/// A store that must not learn of any image, whatever is imported.
pub(crate) fn refused(bytes: &[u8]) -> String {
    let store = MemoryStore::new();
    let error = take(bytes, &store).unwrap_err();
    assert_eq!(store.list_refs().unwrap(), [], "{error}");
    text(&error)
}

/// An error with all its causes.
pub(crate) fn text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Where every section begins.
pub(crate) fn sections(bytes: &[u8]) -> Vec<(usize, Section)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let section = Section::decode(&bytes[at..at + HEADER]).unwrap();
        found.push((at, section));
        at += usize::try_from(section.total()).unwrap();
    }
    found
}

/// Kinds and payloads of a file of one generation, without its footer.
pub(crate) fn payloads(bytes: &[u8]) -> Vec<(Kind, Vec<u8>)> {
    let payload = |(at, section): &(usize, Section)| {
        let start = at + HEADER;
        let end = start + usize::try_from(section.length).unwrap();
        (section.kind, bytes[start..end].to_vec())
    };
    let mut all: Vec<_> = sections(bytes).iter().map(payload).collect();
    assert_eq!(all.pop().unwrap().0, Kind::Footer);
    all
}

/// Makes a file of one generation from these, every hash and number right.
pub(crate) fn rebuilt(payloads: &[(Kind, Vec<u8>)]) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut chain = Chain::new(&[0; 32]);
    let mut footer = Footer {
        generation: 1,
        begins: 0,
        total: 0,
        sections: 0,
        images_at: 0,
        table_at: 0,
        blocks: 0,
        parts_at: 0,
        chain: [0; 32],
    };
    for (kind, payload) in payloads {
        let at = bytes.len() as u64;
        match kind {
            Kind::Images => footer.images_at = at,
            Kind::Table => footer.table_at = at,
            Kind::Block => footer.blocks += 1,
            _ => {}
        }
        let header = header(*kind, footer.sections, payload);
        chain.add(&header);
        bytes.extend(header);
        bytes.extend(payload);
        footer.sections += 1;
    }
    footer.total = bytes.len() as u64 + FOOTER_LENGTH;
    footer.sections += 1;
    footer.chain = chain.hash();
    let payload = footer.encode();
    bytes.extend(header(Kind::Footer, footer.sections - 1, &payload));
    bytes.extend(payload);
    bytes
}

fn header(kind: Kind, number: u64, payload: &[u8]) -> [u8; HEADER] {
    Section {
        kind,
        file: ID,
        number,
        length: payload.len() as u64,
        link: 0,
        hash: *blake3::hash(payload).as_bytes(),
    }
    .encode()
}

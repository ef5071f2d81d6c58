//! A single file holds what the share held, however it travels.

mod damage;
mod into;
#[path = "../kit/mod.rs"]
mod kit;
mod leaning;
#[path = "../mim/mod.rs"]
mod mim;
mod parts;
mod travel;

use image_format::share::Share;
use image_format::store::{MemoryStore, Store};
use image_format::upkeep::check::check;

/// A share with two versions of `pc` and what its refs say.
fn two_versions() -> (MemoryStore, Vec<image_format::ImageRecord>) {
    let store = MemoryStore::new();
    let first = kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    let second = kit::ingest(&store, "pc", &kit::files(2)).unwrap();
    (store, vec![first, second])
}

/// All that is asked of a share that holds `version` of the test's files.
fn holds<S: Store>(store: S, name: &str, sequence: u64, version: u64) {
    assert_eq!(check(&store).unwrap().findings, []);
    let share = Share::open(store).unwrap();
    let record = share
        .history(name)
        .iter()
        .find(|record| record.sequence == sequence)
        .unwrap_or_else(|| panic!("no {name} ({sequence})"));
    let manifest = share.manifest(&record.image).unwrap();
    let entries = manifest.volumes[0].entries.iter().skip(1);
    let files = kit::files(version);
    assert_eq!(entries.len(), files.len());
    for (entry, file) in entries.zip(&files) {
        assert_eq!(entry.path, file.0.as_bytes());
        let mut bytes = Vec::new();
        for piece in pieces(&entry.content) {
            match piece {
                Piece::Inline(inline) => bytes.extend(inline),
                Piece::Hole(length) => bytes.resize(bytes.len() + length, 0),
                Piece::Chunk(at) => bytes.extend(share.chunk(&at).unwrap()),
            }
        }
        assert!(bytes == kit::logical(file), "{}", file.0);
    }
}

enum Piece {
    Inline(Vec<u8>),
    Hole(usize),
    Chunk(image_format::ChunkRef),
}

fn pieces(content: &image_format::entry::Content) -> Vec<Piece> {
    use image_format::entry::{Content, Piece as Stored};
    match content {
        Content::Empty => Vec::new(),
        Content::Inline(bytes) => vec![Piece::Inline(bytes.clone())],
        Content::Pieces(pieces) => pieces
            .iter()
            .map(|piece| match piece {
                Stored::Hole { length } => Piece::Hole(usize::try_from(*length).unwrap()),
                Stored::Chunk { id, length } => {
                    let (id, length) = (*id, *length);
                    Piece::Chunk(image_format::ChunkRef { id, length })
                }
            })
            .collect(),
    }
}

/// Lengths from `least` on that end at a section, one byte before or after.
fn around_sections(bytes: &[u8], least: usize) -> Vec<usize> {
    let near = |(at, _): (usize, _)| [at.saturating_sub(1), at, at + 1];
    let mut lengths: Vec<usize> = mim::sections(bytes).into_iter().flat_map(near).collect();
    lengths.push(bytes.len() - 1);
    lengths.retain(|length| (least..bytes.len()).contains(length));
    lengths
}

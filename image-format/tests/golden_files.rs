//! Files of every version are read for ever, entry by entry and byte by byte.

mod golden;

use std::path::Path;

use image_format::entry::{Content, Piece};
use image_format::store::{DirStore, Store};
use image_format::upkeep::check::check;
use image_format::{MemoryStore, MimFile, Share};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/v1"))
}

/// Whether a store holds both versions, whole.
fn holds_both(store: impl Store) {
    assert_eq!(check(&store).unwrap().findings, []);
    let share = Share::open(store).unwrap();
    let history = share.history(golden::NAME);
    assert_eq!(history.len(), 2);
    for (record, version) in history.iter().zip(1..) {
        assert_eq!(record.sequence, version);
        assert_eq!(record.captured, 1_700_000_000 + version);
        assert_eq!(record.system.as_ref().unwrap().architecture, "x86_64");
        let manifest = share.manifest(&record.image).unwrap();
        assert_eq!(manifest.disk, golden::disk());
        let expected = [golden::esp(), golden::system(version)];
        assert_eq!(manifest.volumes.len(), expected.len());
        for ((tree, samples), partition) in manifest.volumes.iter().zip(expected).zip(0..) {
            assert_eq!(tree.partition, partition);
            assert_eq!(tree.entries.len(), samples.len());
            for (entry, sample) in tree.entries.iter().zip(&samples) {
                let mut without = entry.clone();
                without.content = Content::Empty;
                assert_eq!(without, sample.entry);
                assert!(
                    contents(&share, &entry.content) == logical(sample),
                    "{}",
                    entry.display_path()
                );
            }
        }
    }
}

/// The contents as a reader sees them.
fn logical(sample: &golden::Sample) -> Vec<u8> {
    let mut logical = vec![0; sample.hole];
    logical.extend(&sample.bytes);
    logical
}

fn contents<S: Store>(share: &Share<S>, content: &Content) -> Vec<u8> {
    match content {
        Content::Empty => Vec::new(),
        Content::Inline(bytes) => bytes.clone(),
        Content::Pieces(pieces) => {
            let mut chunks = content.chunks();
            let mut bytes = Vec::new();
            for piece in pieces {
                match piece {
                    Piece::Hole { length } => {
                        bytes.resize(bytes.len() + usize::try_from(*length).unwrap(), 0);
                    }
                    Piece::Chunk { .. } => {
                        bytes.extend(share.chunk(&chunks.next().unwrap()).unwrap())
                    }
                }
            }
            bytes
        }
    }
}

#[test]
fn share_of_version_1_is_read_byte_for_byte() {
    holds_both(DirStore::open(&folder().join("share")).unwrap());
}

#[test]
fn single_file_of_version_1_is_read_byte_for_byte_and_imported() {
    let path = folder().join("images.mim");
    let opened = MimFile::open(&path).unwrap();
    assert_eq!(opened.warning(), None);
    holds_both(&opened);
    let into = MemoryStore::new();
    image_format::file::import_file(&path, &into, &mut |_| ()).unwrap();
    holds_both(&into);
}

//! Writes the golden files of the version this crate writes, into a folder
//! that must not exist: `cargo run --release -p image-format --example golden
//! -- image-format/tests/golden/v1`.

#[path = "../tests/golden/mod.rs"]
mod golden;

use std::error::Error;
use std::fs;
use std::path::Path;

use golden::{NAME, Sample};
use image_format::entry::Entry;
use image_format::file::{FileId, Target, export};
use image_format::{
    DirStore, ImageRecord, Ingest, IngestError, IngestOptions, Manifest, NewImage, Share, Store,
    SystemWords, VolumeTree,
};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name the folder to write")?;
    let folder = Path::new(&folder);
    fs::create_dir(folder)?;
    let share = folder.join("share");
    fs::create_dir(&share)?;
    let store = DirStore::init(&share)?;
    store_version(&store, 1)?;
    store_version(&store, 2)?;
    let share = Share::open(&store)?;
    let (first, second) = share.history(NAME).split_at(1);
    let path = folder.join("images.mim");
    let quiet = &mut |_| ();
    export(&share, first, Target::File(&path), FileId([1; 16]), quiet)?;
    export(
        &share,
        second,
        Target::Append(&path),
        FileId([1; 16]),
        quiet,
    )?;
    Ok(())
}

/// Stores a version.
fn store_version(store: &dyn Store, version: u64) -> Result<ImageRecord, IngestError> {
    let options = IngestOptions {
        threads: 1,
        ..IngestOptions::default()
    };
    let mut ingest = Ingest::new(store, options)?;
    let mut volumes = Vec::new();
    for (partition, samples) in [(0, golden::esp()), (1, golden::system(version))] {
        let mut entries = Vec::new();
        for sample in samples {
            entries.push(stored(&mut ingest, sample)?);
        }
        volumes.push(VolumeTree { partition, entries });
    }
    let disk = golden::disk();
    ingest.commit(Manifest { disk, volumes }, record(version))
}

fn stored(ingest: &mut Ingest<'_>, sample: Sample) -> Result<Entry, IngestError> {
    let mut entry = sample.entry;
    let size = (sample.hole + sample.bytes.len()) as u64;
    if size > 0 {
        let mut stream = ingest.stream(&entry.path, size);
        stream.hole(sample.hole as u64)?;
        stream.write(&sample.bytes)?;
        entry.content = stream.finish()?;
    }
    Ok(entry)
}

fn record(version: u64) -> NewImage {
    NewImage {
        name: NAME.to_owned(),
        captured: 1_700_000_000 + version,
        parent: None,
        system: Some(SystemWords {
            id: "debian".to_owned(),
            version: "12".to_owned(),
            name: "Debian GNU/Linux 12 (bookworm)".to_owned(),
            architecture: "x86_64".to_owned(),
        }),
        source: Some("golden".to_owned()),
    }
}

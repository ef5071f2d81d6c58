//! A small image to store: every test here makes the same one.

use image_format::entry::{Entry, Kind};
use image_format::image::{ImageRecord, Manifest, VolumeTree};
use image_format::ingest::{Ingest, IngestError, IngestOptions, NewImage};
use image_format::layout::{DiskLayout, Partition, Scheme, Volume};
use image_format::store::Store;

/// Bytes that do not compress, different for every seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// What begins as a program for x86-64 and calls one function again and again.
fn program(version: u64) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(18, 0);
    bytes.extend([62, 0]);
    for number in 0..2000_u32 {
        let target = if u64::from(number) < version {
            20
        } else {
            5000
        };
        bytes.extend([0x90, 0x48, 0xe8]);
        let distance = 0_u32.wrapping_sub(number * 7).wrapping_add(target);
        bytes.extend(distance.to_le_bytes());
    }
    bytes
}

/// Path and contents; `None` stands for a hole of 100 000 bytes.
pub(crate) type File = (String, Vec<Option<Vec<u8>>>);

/// Files of all sizes; `version` changes some of them.
pub(crate) fn files(version: u64) -> Vec<File> {
    let mut files: Vec<File> = (0..20)
        .map(|number| {
            let seed = if number % 5 == 0 {
                version * 1000 + number
            } else {
                number
            };
            (
                format!("f{number:02}.dll"),
                vec![Some(noise(seed, usize::try_from(2000 * number).unwrap()))],
            )
        })
        .collect();
    files.push(("large.bin".into(), vec![Some(noise(99, 12 << 20))]));
    files.push((
        "sparse.img".into(),
        vec![Some(noise(7, 5000)), None, None, Some(noise(8, 70_000))],
    ));
    files.push((
        "tiny.txt".into(),
        vec![Some(format!("version {version}").into_bytes())],
    ));
    files.push(("tool".into(), vec![Some(program(version))]));
    files
}

const HOLE: usize = 100_000;

/// The contents of a file as it would be read.
pub(crate) fn logical(file: &File) -> Vec<u8> {
    let part = |part: &Option<Vec<u8>>| part.clone().unwrap_or_else(|| vec![0; HOLE]);
    file.1.iter().flat_map(part).collect()
}

pub(crate) fn options() -> IngestOptions {
    IngestOptions {
        threads: 2,
        pack_target: 1 << 20,
        ..IngestOptions::default()
    }
}

/// Stores `files` as an image called `name`.
pub(crate) fn ingest(
    store: &dyn Store,
    name: &str,
    files: &[File],
) -> Result<ImageRecord, IngestError> {
    ingest_with(store, name, files, options())
}

/// As [`ingest`], stored in another way.
pub(crate) fn ingest_with(
    store: &dyn Store,
    name: &str,
    files: &[File],
    options: IngestOptions,
) -> Result<ImageRecord, IngestError> {
    let mut ingest = Ingest::new(store, options)?;
    let mut entries = vec![Entry::new("", Kind::Directory)];
    for file in files {
        let mut entry = Entry::new(file.0.as_bytes(), Kind::File);
        let mut stream = ingest.stream(file.0.as_bytes(), logical(file).len() as u64);
        for part in &file.1 {
            match part {
                Some(bytes) => bytes
                    .chunks(4096)
                    .try_for_each(|bytes| stream.write(bytes))?,
                None => stream.hole(HOLE as u64)?,
            }
        }
        entry.content = stream.finish()?;
        entries.push(entry);
    }
    let image = NewImage {
        name: name.to_owned(),
        captured: 1,
        parent: None,
        system: None,
        source: None,
    };
    ingest.commit(
        Manifest {
            disk: disk(),
            volumes: vec![VolumeTree {
                partition: 0,
                entries,
            }],
        },
        image,
    )
}

pub(crate) fn disk() -> DiskLayout {
    let partition = Partition {
        number: 1,
        start: 1 << 20,
        size: 1 << 24,
        type_guid: [1; 16],
        guid: [2; 16],
        attributes: 0,
        name: Vec::new(),
        volume: Volume::Raw,
    };
    let scheme = Scheme::Gpt { disk_guid: [3; 16] };
    DiskLayout {
        sector_size: 512,
        size: 1 << 25,
        scheme,
        boot_code: Vec::new(),
        partitions: vec![partition],
    }
}

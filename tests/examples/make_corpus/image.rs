//! A small image in a store in memory: all files a share has.

use crate::Corpus;
use anyhow::{Context, Result};
use image_format::entry::{Entry, Kind, Timestamp, Xattr};
use image_format::layout::{DiskLayout, Ext4Facts, FatFacts, Partition, Scheme, Volume};
use image_format::store::{LeaseId, Object, Run, Trashed};
use image_format::{
    ImageId, ImageRecord, ImageWriter, Ingest, IngestOptions, Manifest, MemoryStore, NewImage,
    PackId, Segment, Share, Source, Store, SystemWords, Witness, pack,
};

pub(crate) fn make(corpus: &Corpus) -> Result<()> {
    let store = MemoryStore::new();
    commit(&store)?;
    for (number, id) in store.list_packs()?.iter().enumerate() {
        let bytes = store.read_pack(id)?;
        corpus.put("pack", &format!("pack-{number}"), &bytes)?;
        for (block, job) in pack::decode(id, &bytes)?.iter().enumerate() {
            let file = format!("block-{number}-{block}");
            corpus.put("block", &file, &store.block(&job.place)?)?;
        }
    }
    for (number, id) in store.list_indexes()?.iter().enumerate() {
        // Without the salt, so that the corpus is the same every time.
        let jobs = Segment::decode(store.read_index(id)?)?.jobs();
        let bytes = Segment::encode(&jobs)?;
        corpus.put("segment", &format!("segment-{number}"), &bytes)?;
    }
    manifests(corpus, Share::open(&store)?)?;
    let empty = Manifest {
        disk: layout(Vec::new(), Scheme::None),
        volumes: Vec::new(),
    };
    corpus.put("manifest", "empty", &empty.encode()?.1)?;
    for at in store.list_refs()? {
        corpus.put("image_ref", "reference", &store.read_ref(&at)?)?;
    }
    names(corpus)?;
    super::single::make(corpus, &store)?;
    super::codec::make(corpus)?;
    Ok(())
}

/// Names in a share's trash and among its leases.
fn names(corpus: &Corpus) -> Result<()> {
    let run = Run {
        begun: 1_700_000_000,
        number: 0x0123_4567_89ab_cdef,
    };
    let objects = [
        Object::Pack(PackId::new([0x5a; 32])),
        Object::Manifest(ImageId::new([0xa5; 32])),
    ];
    for object in objects {
        let text = Trashed { run, object }.to_string();
        let (_, kind) = text.split_once('-').unwrap_or_default();
        let file = kind.split('-').next().unwrap_or_default();
        corpus.put("trash_name", file, text.as_bytes())?;
    }
    corpus.put("trash_name", "run", run.to_string().as_bytes())?;
    let lease = LeaseId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
    corpus.put("trash_name", "lease", lease.to_string().as_bytes())
}

/// A manifest in one piece and in its parts.
fn manifests(corpus: &Corpus, share: Share<&MemoryStore>) -> Result<()> {
    for record in share.images() {
        let id = record.image;
        corpus.put("manifest", "two-volumes", &share.bundle(&id)?)?;
        corpus.put("root", "two-volumes", &share.store().read_manifest(&id)?)?;
        let root = share.root(&id)?;
        for (number, volume) in root.volumes.iter().enumerate() {
            for part in &volume.directory {
                corpus.put(
                    "directory",
                    &format!("volume-{number}"),
                    &share.chunk(part)?,
                )?;
            }
            for leaf in share.leaves(&id, volume)? {
                corpus.put(
                    "leaf",
                    &format!("volume-{number}"),
                    &share.chunk(&leaf.chunk)?,
                )?;
            }
        }
        let list = record.witnesses.context("the image has witnesses")?;
        corpus.put("witnesses", "two-volumes", &share.chunk(&list)?)?;
    }
    Ok(())
}

/// A record for messages that carry one.
pub(crate) fn commit(store: &MemoryStore) -> Result<ImageRecord> {
    let options = IngestOptions {
        threads: 1,
        ..IngestOptions::default()
    };
    let mut ingest = Ingest::new(store, options)?;
    let mut entries = root_entries();
    let contents: [(&str, Vec<u8>); 3] = [
        ("etc/services", b"service port protocol\n".repeat(300)),
        ("small", b"inline".to_vec()),
        ("usr.bin", noise(9000)),
    ];
    for (path, bytes) in contents {
        let mut entry = Entry::new(path, Kind::File);
        entry.mode = 0o644;
        entry.times.modified.seconds = 1_700_000_000;
        let hole = if path == "usr.bin" { 4096 } else { 0 };
        let mut stream = ingest.stream(path.as_bytes(), bytes.len() as u64 + hole);
        stream.hole(hole)?;
        stream.write(&bytes)?;
        entry.content = stream.finish()?;
        entries.push(entry);
    }
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    let disk = layout(partitions(), Scheme::Gpt { disk_guid: [9; 16] });
    let mut writer = ImageWriter::new(disk);
    for (partition, entries) in [(0, esp_entries()), (1, entries)] {
        writer.volume(&mut ingest, partition)?;
        for entry in entries {
            let time = entry.times.modified;
            let witness = Witness::of(1, entry.content.size(), time, time);
            writer.entry(&mut ingest, entry, Some(witness))?;
        }
    }
    let image = NewImage {
        name: "reference".to_owned(),
        captured: 1_700_000_000,
        parent: None,
        system: Some(SystemWords {
            id: "debian".to_owned(),
            version: "12".to_owned(),
            name: "Debian GNU/Linux 12".to_owned(),
            architecture: "x86_64".to_owned(),
        }),
        source: None,
    };
    Ok(ingest.finish(writer, image)?)
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn root_entries() -> Vec<Entry> {
    let mut directory = Entry::new("etc", Kind::Directory);
    directory.mode = 0o755;
    directory.xattrs = vec![Xattr {
        name: b"user.comment".to_vec(),
        value: b"words".to_vec(),
    }];
    directory.times.modified = Timestamp {
        seconds: -1,
        nanoseconds: 999_999_999,
    };
    let mut link = Entry::new("bin", Kind::Symlink(b"usr/bin".to_vec()));
    link.mode = 0o777;
    let device = Entry::new("null", Kind::CharDevice { major: 1, minor: 3 });
    vec![
        Entry::new("", Kind::Directory),
        directory,
        link,
        device,
        Entry::new("pipe", Kind::Fifo),
    ]
}

fn esp_entries() -> Vec<Entry> {
    let mut folder = Entry::new("EFI", Kind::Directory);
    folder.short_name = Some(*b"EFI        ");
    vec![Entry::new("", Kind::Directory), folder]
}

fn partitions() -> Vec<Partition> {
    let fat = Volume::Fat(FatFacts {
        bits: 16,
        serial: 7,
        label: *b"ESP        ",
        cluster_size: 4096,
        size: 1 << 20,
        used: 5,
        hidden_sectors: 2048,
        oem_name: *b"mkfs.fat",
        boot_code: vec![0xeb, 0x58],
    });
    let ext4 = Volume::Ext4(Ext4Facts {
        uuid: [3; 16],
        label: [0; 16],
        hash_seed: [4; 16],
        block_size: 4096,
        inode_size: 256,
        size: 1 << 20,
        used: 6,
        features: [1, 2, 3],
        defaults: [4, 5, 6],
        reserved_percent: 5,
    });
    let swap = Volume::Swap {
        uuid: [5; 16],
        label: [6; 16],
        page_size: 4096,
    };
    let place = |(number, volume): (u32, Volume)| Partition {
        number,
        start: u64::from(number) << 20,
        size: 1 << 20,
        type_guid: [1; 16],
        guid: [2; 16],
        attributes: 4,
        name: vec![0x45, 0x53, 0x50],
        volume,
    };
    (1..)
        .zip([fat, ext4, swap, Volume::Empty])
        .map(place)
        .collect()
}

fn layout(partitions: Vec<Partition>, scheme: Scheme) -> DiskLayout {
    DiskLayout {
        sector_size: 512,
        size: 16 << 20,
        scheme,
        boot_code: Vec::new(),
        partitions,
    }
}

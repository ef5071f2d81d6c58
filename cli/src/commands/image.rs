//! `mimeo image`: what images there are and what is in them.

use std::path::Path;

use anyhow::{Context, Result, bail};
use image_format::entry::{Entry, Kind};
use image_format::layout::{Partition, Volume};
use image_format::{ImageRecord, Manifest, Share, Store, VolumeTree};

use super::transfer;
use crate::args::ImageCommand;
use crate::output::{self, bytes, moment};

/// Runs `mimeo image ...`.
pub(crate) fn run(command: ImageCommand, json: bool) -> Result<()> {
    match command {
        ImageCommand::List { share } => list(&share, json),
        ImageCommand::Show { image, share } => show(&image, &share, json),
        ImageCommand::Ls {
            image,
            path,
            share,
            partition,
        } => ls(&image, &path, &share, partition, json),
        ImageCommand::Export(args) => transfer::export(&args, json),
        ImageCommand::Import(args) => transfer::import(&args, json),
    }
}

/// A share, or a single file that is read as one.
pub(super) fn open(share: &Path) -> Result<Share<Box<dyn Store>>> {
    let opening = || format!("opening {}", share.display());
    let (store, warning) = image_format::file::open_any(share).with_context(opening)?;
    if let Some(warning) = warning {
        eprintln!("mimeo: warning: {warning}");
    }
    Share::open(store).with_context(opening)
}

fn list(share: &Path, json: bool) -> Result<()> {
    let images = open(share)?.images();
    output::show(json, &images, || {
        let row = |record: &ImageRecord| {
            vec![
                record.name.clone(),
                record.sequence.to_string(),
                record.image.short(),
                moment(record.captured),
                system(record),
                bytes(record.logical_size),
            ]
        };
        let heading = ["name", "version", "image", "captured", "system", "contents"];
        output::table(&heading, &images.iter().map(row).collect::<Vec<_>>())
    })
}

fn system(record: &ImageRecord) -> String {
    record
        .system
        .as_ref()
        .map_or_else(|| "-".to_owned(), |system| system.name.clone())
}

fn load(image: &str, share: &Path) -> Result<(ImageRecord, Manifest, Share<Box<dyn Store>>)> {
    let share = open(share)?;
    let record = share.find(image)?;
    let manifest = share.manifest(&record.image)?;
    Ok((record, manifest, share))
}

fn show(image: &str, share: &Path, json: bool) -> Result<()> {
    let (record, manifest, share) = load(image, share)?;
    let jobs = share.jobs(&manifest)?;
    let stored: u64 = jobs.iter().map(|job| u64::from(job.place.stored)).sum();
    let value = serde_json::json!({
        "record": record,
        "disk": manifest.disk,
        "blocks": jobs.len(),
        "stored": stored,
    });
    output::show(json, &value, || {
        let mut text = format!(
            "{} version {}\nimage     {}\ncaptured  {}\nsystem    {}\nentries   {}\ncontents  {}\nblocks    {} with {} as stored\ndisk      {}, sectors of {}\n\n",
            record.name,
            record.sequence,
            record.image,
            moment(record.captured),
            system(&record),
            record.entries,
            bytes(record.logical_size),
            jobs.len(),
            bytes(stored),
            bytes(manifest.disk.size),
            manifest.disk.sector_size
        );
        let rows: Vec<_> = manifest.disk.partitions.iter().map(partition_row).collect();
        text += &output::table(&["number", "start", "size", "name", "holds"], &rows);
        text
    })
}

fn partition_row(partition: &Partition) -> Vec<String> {
    let holds = match &partition.volume {
        Volume::Ext4(facts) => format!("ext4, {} used", bytes(facts.used)),
        Volume::Fat(facts) => format!("FAT{}, {} used", facts.bits, bytes(facts.used)),
        Volume::Swap { .. } => "swap".to_owned(),
        Volume::Raw => "sectors".to_owned(),
        Volume::Empty => "nothing".to_owned(),
        Volume::Tree => "a directory tree".to_owned(),
    };
    vec![
        partition.number.to_string(),
        bytes(partition.start),
        bytes(partition.size),
        String::from_utf16_lossy(&partition.name),
        holds,
    ]
}

fn ls(image: &str, path: &str, share: &Path, partition: Option<u32>, json: bool) -> Result<()> {
    let (_, manifest, _) = load(image, share)?;
    let tree = volume(&manifest, partition)?;
    let wanted = path.trim_matches('/').as_bytes();
    let found: Vec<&Entry> = tree
        .entries
        .iter()
        .filter(|entry| entry.parent() == Some(wanted) || exact_file(entry, wanted))
        .collect();
    if found.is_empty() && !tree.entries.iter().any(|entry| entry.path == wanted) {
        bail!("the image has no {path:?} on this partition");
    }
    let value: Vec<_> = found
        .iter()
        .map(|entry| {
            serde_json::json!({
                "path": entry.display_path(),
                "mode": format!("{:04o}", entry.mode),
                "uid": entry.uid,
                "gid": entry.gid,
                "size": entry.content.size(),
                "modified": entry.times.modified.seconds,
            })
        })
        .collect();
    output::show(json, &value, || {
        let heading = ["mode", "owner", "size", "modified", "name"];
        output::table(
            &heading,
            &found
                .iter()
                .map(|entry| entry_row(entry))
                .collect::<Vec<_>>(),
        )
    })
}

/// A path that is a file names itself.
fn exact_file(entry: &Entry, wanted: &[u8]) -> bool {
    entry.path == wanted && entry.kind != Kind::Directory
}

/// The partition asked for, else the one with `etc/`, else the first with entries.
fn volume(manifest: &Manifest, number: Option<u32>) -> Result<&VolumeTree> {
    let number_of = |tree: &VolumeTree| {
        let index = usize::try_from(tree.partition).unwrap_or(usize::MAX);
        manifest
            .disk
            .partitions
            .get(index)
            .map(|partition| partition.number)
    };
    let holds_system = |tree: &&VolumeTree| tree.entries.iter().any(|entry| entry.path == b"etc");
    let found = match number {
        Some(_) => manifest
            .volumes
            .iter()
            .find(|tree| number_of(tree) == number),
        None => manifest
            .volumes
            .iter()
            .find(holds_system)
            .or(manifest.volumes.first()),
    };
    found.context("the image has no such partition with files; see `mimeo image show`")
}

fn entry_row(entry: &Entry) -> Vec<String> {
    let mark = match entry.kind {
        Kind::Directory => 'd',
        Kind::File => '-',
        Kind::Symlink(_) => 'l',
        Kind::CharDevice { .. } => 'c',
        Kind::BlockDevice { .. } => 'b',
        Kind::Fifo => 'p',
        Kind::Socket => 's',
        Kind::RawVolume => 'r',
    };
    let name = entry.name().escape_ascii();
    let modified = u64::try_from(entry.times.modified.seconds)
        .map_or_else(|_| "before 1970".to_owned(), moment);
    vec![
        format!("{mark}{:04o}", entry.mode),
        format!("{}:{}", entry.uid, entry.gid),
        entry.content.size().to_string(),
        modified,
        match &entry.kind {
            Kind::Symlink(target) => format!("{name} -> {}", target.escape_ascii()),
            _ => name.to_string(),
        },
    ]
}

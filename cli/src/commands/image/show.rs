//! `mimeo image show`.

use anyhow::{Context, Result};
use image_format::layout::{Partition, Scheme, Volume};
use image_format::upkeep::stats::{ImageStats, Shared, marginal, shared};
use image_format::{ImageRecord, Root, Share, ShareError, Store};

use super::list::system;
use crate::args::ShowArgs;
use crate::location::open;
use crate::output::{self, bytes, moment};

/// So many other images are named for people; programs get all.
const SHARED_SHOWN: usize = 5;

/// Shows what is known of an image.
pub(super) fn run(args: &ShowArgs, json: bool) -> Result<()> {
    let share = open(&args.image.share.dir)?;
    let record = share.find(&args.image.image)?;
    let root = share.root(&record.image)?;
    let among = match args.brief {
        true => None,
        false => Some(Among::others(&share, &record).context("comparing it with other images")?),
    };
    let mut value = serde_json::json!({
        "record": record,
        "disk": root.disk,
        "volumes": volumes(&root),
    });
    if let Some(among) = &among {
        value["sizes"] = serde_json::json!(among.own);
        value["shared"] = serde_json::json!(among.shared);
    }
    output::show(json, &value, || {
        let mut text = facts(&record, &root);
        if let Some(among) = &among {
            text += &among.text();
        }
        let rows: Vec<_> = root.disk.partitions.iter().map(partition_row).collect();
        if !matches!(root.disk.scheme, Scheme::Tree) {
            text += "\n";
            text += &output::table(&["number", "start", "size", "name", "holds"], &rows);
        }
        text
    })
}

/// What it takes beside the others in its share.
struct Among {
    own: ImageStats,
    shared: Vec<Shared>,
}

impl Among {
    fn others(share: &Share<Box<dyn Store>>, record: &ImageRecord) -> Result<Self, ShareError> {
        Ok(Self {
            own: marginal(share, &record.image)?,
            shared: shared(share, record)?,
        })
    }

    fn text(&self) -> String {
        let own = &self.own;
        let mut text = format!(
            "unique    {}, each chunk once\nadds      {} to the share, about {} as stored\n",
            bytes(own.unique),
            bytes(own.marginal),
            bytes(own.marginal_stored),
        );
        let common = self.shared.iter().filter(|shared| shared.bytes > 0);
        for (at, shared) in common.take(SHARED_SHOWN).enumerate() {
            let label = if at == 0 { "shares" } else { "" };
            text += &format!(
                "{label:<10}{} with {} version {}\n",
                bytes(shared.bytes),
                shared.name,
                shared.sequence
            );
        }
        text
    }
}

/// Entries and contents of each partition that has any.
fn volumes(root: &Root) -> Vec<serde_json::Value> {
    let number = |index: u32| {
        let index = usize::try_from(index).ok()?;
        Some(root.disk.partitions.get(index)?.number)
    };
    let volume = |volume: &image_format::VolumeRoot| {
        serde_json::json!({
            "partition": number(volume.partition),
            "entries": volume.entries,
            "contents": volume.contents,
        })
    };
    root.volumes.iter().map(volume).collect()
}

fn facts(record: &ImageRecord, root: &Root) -> String {
    let disk = match root.disk.scheme {
        Scheme::Tree => "none: a directory tree".to_owned(),
        Scheme::Gpt { .. } => sized("GPT", root),
        Scheme::Mbr { .. } => sized("MBR", root),
        Scheme::None => sized("one volume without a table", root),
    };
    let parent = record
        .parent
        .map_or_else(|| "-".to_owned(), |id| id.short());
    format!(
        "{} version {}\nimage     {}\ncaptured  {}\nsource    {}\nparent    {parent}\nsystem    {}\nentries   {}\ncontents  {}\ndisk      {disk}\n",
        record.name,
        record.sequence,
        record.image,
        moment(record.captured),
        record.source.as_deref().unwrap_or("-"),
        system(record),
        record.entries,
        bytes(record.logical_size),
    )
}

fn sized(scheme: &str, root: &Root) -> String {
    let disk = &root.disk;
    format!(
        "{scheme}, {}, sectors of {}",
        bytes(disk.size),
        disk.sector_size
    )
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

//! Which volume of an image goes into a directory.

use std::path::Path;

use anyhow::{Context, Result};
use image_format::layout::{Partition, Volume};
use image_format::{ImageRecord, Share, Store};
use imager::tree::plan::{EntryStream, Origin};

use crate::location;

/// An open share and a volume of an image in it.
pub(crate) struct Chosen {
    pub(crate) share: Share<Box<dyn Store>>,
    pub(crate) record: ImageRecord,
    /// Index into the image's volumes.
    volume: usize,
    /// Index into the layout's partitions.
    partition: u32,
    kind: Volume,
}

impl Chosen {
    /// The partition asked for, else the one with `etc/`, else the first with entries.
    pub(crate) fn open(share: &Path, image: &str, number: Option<u32>) -> Result<Self> {
        let share = location::open(share)?;
        let record = share.find(image)?;
        let root = share.root(&record.image)?;
        let partition = |index: u32| -> Option<&Partition> {
            root.disk.partitions.get(usize::try_from(index).ok()?)
        };
        let number_of = |index| partition(index).map(|partition| partition.number);
        let volume = match number {
            Some(_) => root
                .volumes
                .iter()
                .position(|volume| number_of(volume.partition) == number),
            None => system_volume(&share, &record, root.volumes.len())?,
        };
        let missing = "the image has no such partition with files; see `mimeo image show`";
        let volume = volume.context(missing)?;
        let index = root.volumes.get(volume).context(missing)?.partition;
        let kind = partition(index).context(missing)?.volume.clone();
        Ok(Self {
            record,
            volume,
            partition: index,
            kind,
            share,
        })
    }

    /// Hands on where the entries come from.
    pub(crate) fn origin<T>(&self, act: impl FnOnce(&Origin<'_>) -> T) -> T {
        let entries = || {
            let entries = self.share.entries(&self.record.image, self.volume)?;
            Ok(Box::new(entries) as EntryStream<'_>)
        };
        act(&Origin {
            image: self.record.image,
            partition: self.partition,
            volume: &self.kind,
            entries: &entries,
        })
    }
}

fn system_volume(
    share: &Share<Box<dyn Store>>,
    record: &ImageRecord,
    count: usize,
) -> Result<Option<usize>> {
    if count > 1 {
        for volume in 0..count {
            if share.entry(&record.image, volume, b"etc")?.is_some() {
                return Ok(Some(volume));
            }
        }
    }
    Ok((count > 0).then_some(0))
}

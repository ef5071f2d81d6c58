//! What takes room in a share, and what shares it.
//!
//! Everything is counted over one bit a row of the index, and one number a row:
//! ten images of a million files each fit in a few hundred megabytes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::mark::Marks;
use crate::fetch::MissingChunk;
use crate::ids::ImageId;
use crate::image::ImageRecord;
use crate::index::{Index, Located};
use crate::share::{Share, ShareError};
use crate::store::{BlockPlace, Store, StoreError};

/// Needed by none, or by more than one image.
const NONE: u32 = u32::MAX;
const MANY: u32 = u32::MAX - 1;

/// What a share holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShareStats {
    /// Different images.
    pub images: u64,
    /// Refs: names and captures.
    pub refs: u64,
    /// Bytes of all contents of all images, holes included.
    pub logical: u64,
    /// Bytes of all chunks images need, manifests included, each once.
    pub unique: u64,
    /// Bytes of the blocks that hold them, as stored.
    pub stored: u64,
    /// Bytes of all packs.
    pub packs: u64,
    /// Bytes of packs that no image needs, and what is thrown away. The next
    /// collections free them.
    pub garbage: u64,
    /// Of these, in the trash.
    pub trash: u64,
    /// `logical` for each byte of `unique`.
    pub dedup: f64,
    /// `unique` for each byte of `stored`.
    pub compression: f64,
    /// The images, by name and sequence.
    pub each: Vec<ImageStats>,
}

/// What an image takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageStats {
    /// Its name; where it has several, the first.
    pub name: String,
    /// Which capture.
    pub sequence: u64,
    /// Its id.
    pub image: ImageId,
    /// Bytes of its contents, holes included.
    pub logical: u64,
    /// Bytes of its chunks, each once.
    pub unique: u64,
    /// Bytes of chunks that no other image has: what it adds to the share.
    pub marginal: u64,
    /// About what those take as stored.
    pub marginal_stored: u64,
}

/// What an image has in common with another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shared {
    /// The other image's name.
    pub name: String,
    /// Which capture.
    pub sequence: u64,
    /// The other image.
    pub image: ImageId,
    /// Bytes of chunks both have.
    pub bytes: u64,
}

/// Counts everything.
///
/// # Errors
/// The store failed, or an image cannot be read.
pub fn stats<S: Store>(share: &Share<S>) -> Result<ShareStats, ShareError> {
    let index = share.index();
    let owners = Owners::of(share)?;
    let mut stats = ShareStats {
        images: owners.images.len() as u64,
        refs: share.records().count() as u64,
        logical: owners.images.iter().map(|image| image.logical).sum(),
        unique: 0,
        stored: 0,
        packs: 0,
        garbage: 0,
        trash: 0,
        dedup: 1.0,
        compression: 1.0,
        each: Vec::new(),
    };
    let mut blocks = BTreeSet::new();
    let mut packs = BTreeSet::new();
    for (segment, rows) in owners.rows.iter().enumerate() {
        for (row, owner) in (0..).zip(rows) {
            if let Some((at, length)) = place(index, segment, row).filter(|_| *owner != NONE) {
                stats.unique += length;
                packs.insert(at.pack);
                if blocks.insert((at.pack, at.offset)) {
                    stats.stored += u64::from(at.stored);
                }
            }
        }
    }
    let store = share.store();
    for id in store.list_packs()? {
        if let Some(facts) = there(store.pack_facts(&id))? {
            stats.packs += facts.length;
            stats.garbage += if packs.contains(&id) { 0 } else { facts.length };
        }
    }
    for what in store.list_trash()? {
        stats.trash += there(store.trash_length(&what))?.unwrap_or(0);
    }
    stats.garbage += stats.trash;
    stats.dedup = ratio(stats.logical, stats.unique);
    stats.compression = ratio(stats.unique, stats.stored);
    stats.each = owners.images;
    Ok(stats)
}

/// What this image adds to the share: it goes when the image and all its names go.
///
/// # Errors
/// The store failed, or an image cannot be read.
pub fn marginal<S: Store>(share: &Share<S>, image: &ImageId) -> Result<ImageStats, ShareError> {
    let owners = Owners::of(share)?;
    let found = owners
        .images
        .into_iter()
        .find(|stats| stats.image == *image);
    found.ok_or_else(|| ShareError::Unknown {
        asked: image.to_string(),
    })
}

/// What this image has in common with every other one, most first.
///
/// # Errors
/// The store failed, or an image cannot be read.
pub fn shared<S: Store>(share: &Share<S>, record: &ImageRecord) -> Result<Vec<Shared>, ShareError> {
    let index = share.index();
    let mut ours = Marks::new(index);
    for chunk in share.image_chunks(record)? {
        ours.mark(index, &chunk.id)?;
    }
    let mut all = Vec::new();
    for other in each_once(share) {
        if other.image == record.image {
            continue;
        }
        let mut bytes = 0;
        for chunk in share.image_chunks(&other)? {
            let both = index
                .locate(&chunk.id)
                .filter(|at| ours.has(at.segment, at.row));
            bytes += both.map_or(0, |_| u64::from(chunk.length));
        }
        all.push(Shared {
            name: other.name,
            sequence: other.sequence,
            image: other.image,
            bytes,
        });
    }
    all.sort_by_key(|shared| (std::cmp::Reverse(shared.bytes), shared.image));
    Ok(all)
}

/// Which image needs each row of the index.
struct Owners {
    images: Vec<ImageStats>,
    rows: Vec<Vec<u32>>,
}

impl Owners {
    fn of<S: Store>(share: &Share<S>) -> Result<Self, ShareError> {
        let index = share.index();
        let rows = index.segments().iter();
        let mut owners = Self {
            images: Vec::new(),
            rows: rows
                .map(|rows| vec![NONE; rows.chunks() as usize])
                .collect(),
        };
        for (record, number) in each_once(share).into_iter().zip(0_u32..) {
            let mut unique = 0;
            for chunk in share.image_chunks(&record)? {
                unique += u64::from(chunk.length);
                let at = index.locate(&chunk.id);
                owners.claim(&at.ok_or(MissingChunk { id: chunk.id })?, number);
            }
            owners.images.push(ImageStats {
                name: record.name,
                sequence: record.sequence,
                image: record.image,
                logical: record.logical_size,
                unique,
                marginal: 0,
                marginal_stored: 0,
            });
        }
        owners.add_up(index);
        Ok(owners)
    }

    fn claim(&mut self, at: &Located, image: u32) {
        let rows = self.rows.get_mut(at.segment);
        if let Some(owner) = rows.and_then(|rows| rows.get_mut(at.row as usize)) {
            *owner = match *owner {
                NONE => image,
                same if same == image => image,
                _ => MANY,
            };
        }
    }

    fn add_up(&mut self, index: &Index) {
        for (segment, rows) in self.rows.iter().enumerate() {
            for (row, owner) in (0..).zip(rows) {
                let image = self.images.get_mut(*owner as usize);
                if let (Some(image), Some((at, length))) = (image, place(index, segment, row)) {
                    image.marginal += length;
                    let raw = u64::from(at.raw).max(1);
                    image.marginal_stored += u64::from(at.stored) * length / raw;
                }
            }
        }
    }
}

fn place(index: &Index, segment: usize, row: u32) -> Option<(BlockPlace, u64)> {
    let segment = index.segments().get(segment)?;
    let (chunk, block) = segment.chunk_row(row)?;
    Some((segment.block_row(block)?.0, u64::from(chunk.length)))
}

/// One record of every image: the first by name.
fn each_once<S: Store>(share: &Share<S>) -> Vec<ImageRecord> {
    let mut seen = BTreeMap::new();
    for record in share.records() {
        seen.entry(record.image).or_insert_with(|| record.clone());
    }
    let mut records: Vec<ImageRecord> = seen.into_values().collect();
    records.sort_by(|a, b| (&a.name, a.sequence).cmp(&(&b.name, b.sequence)));
    records
}

fn there<T>(result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Only for people: a rounded quotient.
#[allow(clippy::cast_precision_loss)]
fn ratio(of: u64, to: u64) -> f64 {
    match to {
        0 => 1.0,
        to => of as f64 / to as f64,
    }
}

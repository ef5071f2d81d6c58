//! The image before this one: files whose witness did not change are taken
//! from it and not read again.

use std::iter::Peekable;

use image_format::entry::{Entry, Kind};
use image_format::image::ImageRecord;
use image_format::layout::{DiskLayout, Scheme};
use image_format::manifest::Witness;
use image_format::share::{Share, ShareError};
use image_format::store::Store;

use crate::volume::{Data, Found};

/// Files whose chunks are looked for at once.
const TOGETHER: usize = 512;

/// The parent of a capture, open for reading.
pub(super) struct Before<'s> {
    share: Share<&'s dyn Store>,
    record: ImageRecord,
    disk: DiskLayout,
    /// Of each volume the index of its partition.
    partitions: Vec<u32>,
}

/// What was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kept {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

impl<'s> Before<'s> {
    /// Opens an image of this store.
    pub(super) fn open(
        store: &'s dyn Store,
        image: &image_format::ids::ImageId,
    ) -> Result<Self, ShareError> {
        let share = Share::open_asking(store)?;
        let record = share.find(&image.to_string())?;
        let root = share.root(&record.image)?;
        let partitions = root.volumes.iter().map(|volume| volume.partition);
        Ok(Self {
            partitions: partitions.collect(),
            disk: root.disk,
            share,
            record,
        })
    }

    /// Gives every file of partition `number` whose witness is the same its
    /// content; what has its content needs no reading.
    pub(super) fn take_over(
        &self,
        scheme: &Scheme,
        number: u32,
        found: &mut [Found],
    ) -> Result<Kept, ShareError> {
        let mut kept = Kept::default();
        let Some(volume) = self.volume(scheme, number) else {
            return Ok(kept);
        };
        let Some(witnesses) = self.share.witnesses(&self.record, volume)? else {
            return Ok(kept);
        };
        let entries = self.share.entries(&self.record.image, volume)?;
        let mut rows = entries.zip(witnesses).peekable();
        for files in found.chunks_mut(TOGETHER) {
            let mut same = Vec::new();
            for file in files {
                let row = row_at(&mut rows, &file.entry.path)?;
                let row = row.filter(|(entry, witness)| is_unchanged(file, entry, witness));
                same.extend(row.map(|(entry, _)| (file, entry.content)));
            }
            let chunks = same.iter().flat_map(|(_, content)| content.chunks());
            self.share.expect(chunks.map(|chunk| chunk.id))?;
            for (file, content) in same {
                if self.share.has(&content)? {
                    kept.files += 1;
                    kept.bytes = kept.bytes.saturating_add(content.size());
                    file.entry.content = content;
                    file.data = Data::None;
                }
            }
        }
        Ok(kept)
    }

    fn volume(&self, scheme: &Scheme, number: u32) -> Option<usize> {
        if self.disk.scheme != *scheme {
            return None;
        }
        let has_number = |partition: &u32| {
            let partition = usize::try_from(*partition).ok();
            partition
                .and_then(|at| self.disk.partitions.get(at))
                .is_some_and(|partition| partition.number == number)
        };
        self.partitions.iter().position(has_number)
    }
}

type Row = (Result<Entry, ShareError>, Result<Witness, ShareError>);

/// The row of a path; paths are asked in order.
fn row_at(
    rows: &mut Peekable<impl Iterator<Item = Row>>,
    path: &[u8],
) -> Result<Option<(Entry, Witness)>, ShareError> {
    while let Some((entry, _)) = rows.peek() {
        if matches!(entry, Ok(entry) if entry.path.as_slice() > path) {
            return Ok(None);
        }
        let Some((entry, witness)) = rows.next() else {
            return Ok(None);
        };
        let (entry, witness) = (entry?, witness?);
        if entry.path == path {
            return Ok(Some((entry, witness)));
        }
    }
    Ok(None)
}

fn is_unchanged(file: &Found, before: &Entry, witness: &Witness) -> bool {
    let size = match &file.data {
        Data::Runs { size, .. } => *size,
        // Already read, or without contents: nothing is saved.
        Data::Bytes(_) | Data::None => return false,
    };
    let same = file.witness.is_some_and(|now| now.confirms(witness));
    same && size > 0 && before.kind == Kind::File && before.content.size() == size
}

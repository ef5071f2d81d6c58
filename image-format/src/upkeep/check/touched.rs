//! Which images a damage touches: found out only where there is some.

use std::collections::BTreeSet;

use super::finding::Finding;
use super::packs::Wrong;
use super::{place, unread};
use crate::ids::{ChunkId, PackId};
use crate::index::Index;
use crate::share::Share;
use crate::store::{BlockPlace, RefName, Store};

/// What is damaged or missing.
#[derive(Default)]
pub(super) struct Touched {
    /// Packs of which nothing can be relied on.
    pub(super) packs: BTreeSet<PackId>,
    /// Blocks, by pack and offset.
    blocks: BTreeSet<(PackId, u64)>,
    /// Chunks nobody knows.
    pub(super) chunks: BTreeSet<ChunkId>,
}

impl Touched {
    pub(super) fn is_empty(&self) -> bool {
        self.packs.is_empty() && self.blocks.is_empty() && self.chunks.is_empty()
    }

    pub(super) fn note(&mut self, wrong: &Wrong) {
        match wrong.block {
            Some(offset) => drop(self.blocks.insert((wrong.pack, offset))),
            None => drop(self.packs.insert(wrong.pack)),
        }
    }

    /// Goes through the images once more and adds them to what they need.
    pub(super) fn name_images(&self, share: &Share<&dyn Store>, findings: &mut [Finding]) {
        for record in share.records() {
            // One that cannot be read needs at least what it fails for.
            let chunks: Vec<ChunkId> = match share.image_chunks(record) {
                Ok(chunks) => chunks.into_iter().map(|chunk| chunk.id).collect(),
                Err(error) => unread(&error).into_iter().collect(),
            };
            let mut needs = Needs::default();
            for id in &chunks {
                if self.chunks.contains(id) {
                    needs.chunks.insert(*id);
                }
                self.add_places(share.index(), id, &mut needs);
            }
            findings
                .iter_mut()
                .filter(|finding| needs.has(finding))
                .for_each(|finding| add(finding, &place(record)));
        }
    }

    /// The damaged places a chunk lies at, and those of the bases of its block.
    fn add_places(&self, index: &Index, id: &ChunkId, needs: &mut Needs) {
        let Some(at) = index.locate(id) else {
            let rows = index.segments().iter().flat_map(|segment| {
                let rows = segment.rows_of(id).filter_map(|row| segment.chunk_row(row));
                rows.filter_map(|(_, block)| Some(segment.block_row(block)?.0))
            });
            rows.for_each(|place| self.add_place(&place, needs));
            return;
        };
        self.add_place(&at.place, needs);
        let segment = index.segments().get(at.segment);
        for base in segment
            .map(|segment| segment.bases_of(at.block))
            .unwrap_or_default()
        {
            if let Some((place, _)) = index.find_plain(&base.id) {
                self.add_place(&place, needs);
            }
        }
    }

    fn add_place(&self, place: &BlockPlace, needs: &mut Needs) {
        if self.packs.contains(&place.pack) {
            needs.packs.insert(place.pack);
        }
        if self.blocks.contains(&(place.pack, place.offset)) {
            needs.blocks.insert((place.pack, place.offset));
        }
    }
}

/// What of all that one image needs.
#[derive(Default)]
struct Needs {
    packs: BTreeSet<PackId>,
    blocks: BTreeSet<(PackId, u64)>,
    chunks: BTreeSet<ChunkId>,
}

impl Needs {
    fn has(&self, finding: &Finding) -> bool {
        let chunk = |id: &ChunkId| finding.expected.ends_with(&id.to_string());
        let block = |at: &(PackId, u64)| finding.is_of(&at.0) && finding.offset == Some(at.1);
        self.chunks.iter().any(chunk)
            || self.blocks.iter().any(block)
            || self.packs.iter().any(|pack| finding.is_of(pack))
    }
}

fn add(finding: &mut Finding, image: &RefName) {
    if !finding.images.contains(image) {
        finding.images.push(image.clone());
    }
}

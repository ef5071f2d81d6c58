//! What keeps a share healthy.
//!
//! * [`check`]: is every image whole?
//! * [`gc`]: what no image needs goes
//! * [`leases`]: who is at work, so that nothing goes that he needs
//! * [`names`]: an image gets another name, a name is given up
//! * [`optimize`]: the same images in fewer bytes
//! * [`reindex`]: the index is made again from the packs
//! * [`stats`]: what takes room, and what shares it

pub mod check;
pub mod gc;
pub mod leases;
mod mark;
pub mod names;
pub mod optimize;
pub mod reindex;
pub mod stats;
mod tables;

use std::collections::BTreeSet;

use crate::ids::{ChunkId, PackId};
use crate::index::Index;

/// The packs that hold `chunks` where the index says, and the bases of their
/// blocks. Whatever lies in other packs was superseded or belongs to no image.
pub fn live_packs(index: &Index, chunks: impl Iterator<Item = ChunkId>) -> BTreeSet<PackId> {
    let mut packs = BTreeSet::new();
    let mut blocks = BTreeSet::new();
    for (place, _) in chunks.filter_map(|id| index.find(&id)) {
        packs.insert(place.pack);
        if blocks.insert((place.pack, place.offset)) {
            let bases = index.bases(&place).into_iter();
            packs.extend(
                bases
                    .filter_map(|base| index.find_plain(&base.id))
                    .map(|(place, _)| place.pack),
            );
        }
    }
    packs
}

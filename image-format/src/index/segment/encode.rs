//! Blocks and their chunks become the bytes of a segment.

use std::collections::BTreeMap;

use super::{
    BASE_ROW, BLOCK_ROW, CHUNK_ROW, FAN_OUT, HEADER, MAGIC, RESERVED, Segment, SegmentError,
    VERSION,
};
use crate::features;
use crate::ids::PackId;
use crate::job::{BlockJob, ChunkInBlock};

impl Segment {
    /// A segment of generation 0 from blocks and the chunks they hold.
    ///
    /// # Errors
    /// A block or a chunk has impossible lengths, or there are more than 2^32 rows.
    pub fn encode(jobs: &[BlockJob]) -> Result<Vec<u8>, SegmentError> {
        Self::encode_generation(jobs, 0)
    }

    /// A segment that counts before those of a lower generation.
    ///
    /// # Errors
    /// As [`Segment::encode`].
    pub fn encode_generation(jobs: &[BlockJob], generation: u64) -> Result<Vec<u8>, SegmentError> {
        Self::encode_salted(jobs, generation, 0)
    }

    /// The same for a share: `salt` makes it unlike any other, so that nobody
    /// removes this one when he removes an older one of these rows.
    ///
    /// # Errors
    /// As [`Segment::encode`].
    pub fn encode_salted(
        jobs: &[BlockJob],
        generation: u64,
        salt: u64,
    ) -> Result<Vec<u8>, SegmentError> {
        let mut jobs: Vec<&BlockJob> = jobs.iter().collect();
        jobs.sort_by_key(|job| (job.place.pack, job.place.offset));
        let packs: BTreeMap<PackId, ()> = jobs.iter().map(|job| (job.place.pack, ())).collect();
        let numbers: BTreeMap<PackId, u32> = packs.into_keys().zip(0..).collect();
        let mut rows: Vec<(ChunkInBlock, u32)> = Vec::new();
        for (job, block) in jobs.iter().zip(0_u32..) {
            rows.extend(job.chunks.iter().map(|chunk| (*chunk, block)));
        }
        rows.sort_by_key(|(chunk, block)| (chunk.id, *block, chunk.offset));
        let bases: usize = jobs.iter().map(|job| job.bases.len()).sum();
        let counts = [
            count("packs", numbers.len())?,
            count("blocks", jobs.len())?,
            count("bases", bases)?,
            count("chunks", rows.len())?,
        ];

        let room = jobs.len() * BLOCK_ROW + bases * BASE_ROW + FAN_OUT + rows.len() * CHUNK_ROW;
        let mut body = Vec::with_capacity(room);
        counts
            .iter()
            .for_each(|count| body.extend(count.to_le_bytes()));
        body.extend(salt.to_le_bytes());
        body.extend(RESERVED);
        numbers.keys().for_each(|pack| body.extend(pack.as_bytes()));
        block_rows(&mut body, &jobs, &numbers);
        for ends in fan_out(&rows) {
            body.extend(ends.to_le_bytes());
        }
        for (chunk, block) in &rows {
            body.extend(chunk.id.as_bytes());
            body.extend(block.to_le_bytes());
            body.extend(chunk.offset.to_le_bytes());
            body.extend(chunk.length.to_le_bytes());
        }
        let mut bytes = Vec::with_capacity(HEADER + body.len());
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(features::encode());
        bytes.extend(generation.to_le_bytes());
        bytes.extend(blake3::hash(&body).as_bytes());
        bytes.extend(body);
        Self::decode(bytes.clone())?;
        Ok(bytes)
    }
}

/// The block rows, then the base rows.
fn block_rows(body: &mut Vec<u8>, jobs: &[&BlockJob], numbers: &BTreeMap<PackId, u32>) {
    let mut bases_end = 0_u32;
    for job in jobs {
        let place = &job.place;
        let pack = numbers.get(&place.pack).copied().unwrap_or_default();
        // The sum was counted to fit.
        let bases = u32::try_from(job.bases.len()).unwrap_or(u32::MAX);
        bases_end = bases_end.saturating_add(bases);
        body.extend(pack.to_le_bytes());
        body.extend(place.stored.to_le_bytes());
        body.extend(place.offset.to_le_bytes());
        body.extend(place.raw.to_le_bytes());
        body.extend(bases_end.to_le_bytes());
        body.extend(place.block.as_bytes());
    }
    for base in jobs.iter().flat_map(|job| &job.bases) {
        body.extend(base.id.as_bytes());
        body.extend(base.length.to_le_bytes());
    }
}

/// For each first byte of an id, the number of rows up to and including it.
fn fan_out(rows: &[(ChunkInBlock, u32)]) -> [u32; 256] {
    let mut ends = [0_u32; 256];
    for (chunk, _) in rows {
        let bucket = chunk.id.as_bytes().first().copied().unwrap_or_default();
        if let Some(count) = ends.get_mut(usize::from(bucket)) {
            *count = count.saturating_add(1);
        }
    }
    let mut end = 0_u32;
    for count in &mut ends {
        end = end.saturating_add(*count);
        *count = end;
    }
    ends
}

fn count(table: &'static str, found: usize) -> Result<u32, SegmentError> {
    u32::try_from(found).map_err(|_| SegmentError::TooMany { table, found })
}

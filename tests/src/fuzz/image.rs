//! What a share or a server hands out: blocks, packs, segments, manifests, refs.

use image_format::ChunkInBlock;
use image_format::block::{self, Filter, FilterChoice, MAX_RAW, SealOptions};
use image_format::ids::{BlockId, ChunkId, ChunkRef, ImageId, PackId};
use image_format::layout::DiskLayout;
use image_format::manifest::{self, ManifestError, Root, image_id};
use image_format::pack::{self, PackBuilder};
use image_format::store::{LeaseId, Run, Trashed};
use image_format::{
    BlockJob, BlockPlace, Index, Manifest, Profile, Segment, VolumeTree, refs, volume_proof,
};

use super::repair::{put, u32_at, u64_at};

/// Raw length and number of chunks in a block's header.
const BLOCK_RAW: usize = 12;
const BLOCK_CHUNKS: usize = 20;
const PACK_TRAILER: usize = 64;
/// Within a pack's trailer.
const TABLES_AT: usize = 24;
const TABLES_HASH: usize = 32;
const SEGMENT_HASH: usize = 32;
/// The hash covers what follows it.
const SEGMENT_HASHED: usize = 64;

/// An opened block has the length it says, and sealing it again keeps its bytes.
pub(super) fn block(input: &[u8]) {
    let place = BlockPlace {
        pack: PackId::new([0; 32]),
        block: BlockId::of(input),
        offset: 0,
        stored: u32::try_from(input.len()).unwrap_or(u32::MAX),
        raw: u32_at(input, BLOCK_RAW),
    };
    // A base is what its id says, so none can be brought for a made-up one.
    let none = block::open_with(&place, input, &mut |base| {
        Some(vec![0; base.length as usize])
    });
    let Ok(opened) = none else {
        return;
    };
    let raw = opened.raw();
    assert_eq!(raw.len(), place.raw as usize);
    assert!(place.raw <= MAX_RAW);
    let mut whole = ChunkInBlock {
        id: ChunkId::of(raw),
        offset: 0,
        length: place.raw,
    };
    assert_eq!(
        opened.chunk(&whole).expect("the whole block is a chunk"),
        raw
    );
    whole.offset = 1;
    assert!(
        opened.chunk(&whole).is_err(),
        "a chunk reaches past the end"
    );
    let options = SealOptions {
        chunks: u32_at(input, BLOCK_CHUNKS),
        profile: Profile::Fast,
        filter: FilterChoice::X86,
        bases: &[],
        verify: true,
    };
    let sealed = block::seal(raw, &options).expect("it can be sealed again");
    let place = BlockPlace {
        block: sealed.id,
        stored: u32::try_from(sealed.bytes.len()).unwrap_or(u32::MAX),
        ..place
    };
    assert_eq!(
        block::open(&place, &sealed.bytes)
            .expect("it opens again")
            .raw(),
        raw
    );
}

/// Every filter gives every input back, from either side.
pub(super) fn filter(input: &[u8]) {
    let arm = (0..4).map(|start| Filter::Arm64 { start });
    for filter in arm.chain([Filter::X86, Filter::arm64(input)]) {
        let mut bytes = input.to_vec();
        filter.apply(&mut bytes);
        filter.undo(&mut bytes);
        assert_eq!(bytes, input, "{filter:?}: apply, undo");
        filter.undo(&mut bytes);
        filter.apply(&mut bytes);
        assert_eq!(bytes, input, "{filter:?}: undo, apply");
    }
}

/// A pack's blocks, put into a new pack, are found there as in the old one.
pub(super) fn pack(input: &[u8]) {
    check_pack(input);
    let mut repaired = input.to_vec();
    if let Some(trailer) = input.len().checked_sub(PACK_TRAILER) {
        let start = usize::try_from(u64_at(input, trailer + TABLES_AT)).unwrap_or(usize::MAX);
        let tables = input.get(start..trailer).unwrap_or_default();
        put(
            &mut repaired,
            trailer + TABLES_HASH,
            blake3::hash(tables).as_bytes(),
        );
    }
    check_pack(&repaired);
}

fn check_pack(bytes: &[u8]) {
    let Ok(jobs) = pack::decode(&PackId::of(bytes), bytes) else {
        return;
    };
    let mut builder = PackBuilder::new();
    for BlockJob {
        place,
        chunks,
        bases,
    } in &jobs
    {
        let start = usize::try_from(place.offset).expect("it lies in memory");
        let stored = &bytes[start..start + place.stored as usize];
        let sealed = block::SealedBlock {
            id: place.block,
            bytes: stored.to_vec(),
            raw: place.raw,
            bases: bases.clone(),
        };
        let rows: Vec<(ChunkId, u32)> = chunks
            .iter()
            .map(|chunk| (chunk.id, chunk.length))
            .collect();
        let filled: u32 = rows.iter().map(|(_, length)| length).sum();
        assert_eq!(filled, place.raw, "chunks fill their block");
        builder.push(&sealed, &rows).expect("it fits again");
    }
    let again = builder.finish().expect("a pack of the same blocks");
    let inside = |jobs: Vec<BlockJob>| -> Vec<BlockJob> {
        let anywhere = |mut job: BlockJob| {
            job.place.pack = PackId::new([0; 32]);
            job
        };
        jobs.into_iter().map(anywhere).collect()
    };
    assert_eq!(inside(again.jobs), inside(jobs));
}

/// A segment's jobs make a segment with the same jobs, and find every chunk.
pub(super) fn segment(input: &[u8]) {
    check_segment(input);
    let mut repaired = input.to_vec();
    let rows = input.get(SEGMENT_HASHED..).unwrap_or_default();
    put(&mut repaired, SEGMENT_HASH, blake3::hash(rows).as_bytes());
    check_segment(&repaired);
}

fn check_segment(bytes: &[u8]) {
    let Ok(segment) = Segment::decode(bytes.to_vec()) else {
        return;
    };
    let jobs = segment.jobs();
    let encoded = Segment::encode(&jobs).expect("decoded jobs encode");
    let again = Segment::decode(encoded).expect("encoded jobs decode");
    assert_eq!(again.jobs(), jobs);
    let index = Index::new(vec![segment]);
    for chunk in jobs.iter().flat_map(|job| &job.chunks) {
        let (_, found) = index.find(&chunk.id).expect("every row is found");
        assert_eq!(found.id, chunk.id);
    }
    for job in &jobs {
        assert_eq!(
            index.bases(&job.place),
            job.bases,
            "a block is known with its bases"
        );
    }
}

/// A manifest that decodes encodes to the same image.
pub(super) fn manifest(input: &[u8]) {
    let Ok(id) = image_id(input) else {
        assert!(Manifest::decode(&ImageId::new([0; 32]), input).is_err());
        return;
    };
    let Ok(manifest) = Manifest::decode(&id, input) else {
        return;
    };
    let (_, bytes) = manifest.encode().expect("a decoded manifest encodes");
    let again = image_id(&bytes).expect("it has a root");
    assert_eq!(
        Manifest::decode(&again, &bytes).expect("it decodes again"),
        manifest
    );
    for tree in &manifest.volumes {
        let proof = volume_proof(tree, &std::collections::BTreeSet::new());
        assert_eq!(proof.entries, tree.entries.len() as u64);
    }
}

/// A root that decodes encodes to the same bytes.
pub(super) fn root(input: &[u8]) {
    let Ok(id) = image_id(input) else { return };
    let Ok(root) = Root::decode(&id, input) else {
        return;
    };
    let bytes = root.encode().expect("a decoded root encodes");
    assert_eq!(
        Root::decode(&ImageId::of(&bytes), &bytes).expect("again"),
        root
    );
}

/// A leaf that decodes and is possible survives in a manifest of its own.
pub(super) fn leaf(input: &[u8]) {
    let _ = manifest::lists_of(input);
    let nowhere = &mut |chunk: &ChunkRef| Err(ManifestError::Chunk { id: chunk.id });
    let Ok(entries) = manifest::leaf(input, nowhere) else {
        return;
    };
    let tree = Manifest {
        disk: DiskLayout::tree(),
        volumes: vec![VolumeTree {
            partition: 0,
            entries,
        }],
    };
    if let Ok((id, bytes)) = tree.encode() {
        assert_eq!(Manifest::decode(&id, &bytes).expect("it decodes"), tree);
    }
}

/// Leaves come in order, and each can be asked for.
pub(super) fn directory(input: &[u8]) {
    let Ok(leaves) = manifest::directory::decode(input) else {
        return;
    };
    assert!(leaves.is_sorted_by(|one, other| one.first < other.first));
    assert!(
        leaves
            .iter()
            .all(|leaf| leaf.rows > 0 && leaf.chunk.length > 0)
    );
}

/// Chunks of witnesses hold whole ones.
pub(super) fn witnesses(input: &[u8]) {
    let Ok(volumes) = manifest::witness::decode(input) else {
        return;
    };
    assert!(volumes.iter().flatten().all(|leaf| leaf.length % 8 == 0));
}

/// A ref that decodes encodes to one that says the same.
pub(super) fn image_ref(input: &[u8]) {
    let Ok(read) = refs::decode(input, 0, None) else {
        return;
    };
    let record = read.record;
    assert!(record.name.len() <= refs::MAX_NAME);
    let bytes = refs::encode(&record, None).expect("a decoded ref encodes");
    let again = refs::decode(&bytes, record.sequence, None).expect("it decodes again");
    assert_eq!(again.record, record);
    if let Some(newer) = record.sequence.checked_add(1) {
        assert!(
            refs::decode(&bytes, newer, None).is_err(),
            "an older image was put back"
        );
    }
}

/// A name in a share's trash or among its leases has one spelling.
pub(super) fn trash_name(input: &[u8]) {
    fn one_spelling<T: std::str::FromStr + ToString>(text: &str) {
        if let Ok(name) = text.parse::<T>() {
            assert_eq!(name.to_string(), text);
        }
    }
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    one_spelling::<Trashed>(text);
    one_spelling::<Run>(text);
    one_spelling::<LeaseId>(text);
}

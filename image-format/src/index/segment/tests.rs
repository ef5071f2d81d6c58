use super::*;
use crate::index::Index;

/// `packs` packs of two blocks with three chunks each.
fn jobs(packs: u8) -> Vec<BlockJob> {
    let mut jobs = Vec::new();
    for pack in 0..packs {
        for block in 0..2_u8 {
            let place = BlockPlace {
                pack: PackId::of(&[pack]),
                block: BlockId::of(&[pack, block]),
                offset: 64 + u64::from(block) * 200,
                stored: 200,
                raw: 300,
            };
            let chunk = |at: u8| ChunkInBlock {
                id: ChunkId::of(&[pack, block, at]),
                offset: u32::from(at) * 100,
                length: 100,
            };
            let base = ChunkRef {
                id: ChunkId::of(&[pack, block]),
                length: 7,
            };
            jobs.push(BlockJob {
                place,
                chunks: (0..3).map(chunk).collect(),
                bases: vec![base; usize::from(block) * 2],
            });
        }
    }
    jobs.sort_by_key(|job| (job.place.pack, job.place.offset));
    jobs
}

#[test]
fn segment_finds_every_chunk_it_was_made_of_and_no_other() {
    let jobs = jobs(100);
    let segment = Segment::decode(Segment::encode(&jobs).unwrap()).unwrap();
    assert_eq!(segment.jobs(), jobs);
    assert_eq!(segment.chunks(), 600);
    for job in &jobs {
        for chunk in &job.chunks {
            assert_eq!(segment.find(&chunk.id), Some((job.place, *chunk)));
        }
    }
    for other in 0..1000_u32 {
        assert_eq!(segment.find(&ChunkId::of(&other.to_le_bytes())), None);
    }
    assert_eq!(segment.find(&ChunkId::new([0; 32])), None);
    assert_eq!(segment.find(&ChunkId::new([255; 32])), None);
}

#[test]
fn empty_segment_is_a_segment() {
    let segment = Segment::decode(Segment::encode(&[]).unwrap()).unwrap();
    assert!(segment.jobs().is_empty());
    assert_eq!(segment.find(&ChunkId::of(b"")), None);
}

#[test]
fn same_jobs_in_any_order_are_the_same_bytes() {
    let jobs = jobs(5);
    let turned: Vec<BlockJob> = jobs.iter().rev().cloned().collect();
    assert_eq!(
        Segment::encode(&jobs).unwrap(),
        Segment::encode(&turned).unwrap()
    );
}

#[test]
fn salt_makes_a_segment_unlike_any_other_and_changes_nothing_else() {
    let plain = Segment::encode(&jobs(2)).unwrap();
    let salted = Segment::encode_salted(&jobs(2), 0, 7).unwrap();
    assert_ne!(plain, salted);
    let jobs_of = |bytes: Vec<u8>| Segment::decode(bytes).unwrap().jobs();
    assert_eq!(jobs_of(plain), jobs_of(salted));
}

#[test]
fn segment_cut_anywhere_is_refused() {
    let bytes = Segment::encode(&jobs(1)).unwrap();
    for length in 0..bytes.len() {
        assert!(Segment::decode(bytes[..length].to_vec()).is_err());
    }
}

#[test]
fn rows_that_lie_are_refused_even_when_their_hash_is_right() {
    let bytes = Segment::encode(&jobs(2)).unwrap();
    for byte in 0..bytes.len() {
        for flip in [1, 0x80] {
            let mut bytes = bytes.clone();
            bytes[byte] ^= flip;
            // Generation and compatible features are not hashed: the segment's id covers them.
            let loose = (12..20).contains(&byte) || (24..32).contains(&byte);
            assert!(
                loose || Segment::decode(bytes.clone()).is_err(),
                "byte {byte}"
            );
            let hash = *blake3::hash(&bytes[HASHED..]).as_bytes();
            bytes[32..64].copy_from_slice(&hash);
            if let Ok(segment) = Segment::decode(bytes) {
                // Ids may change without contradiction; what is found must lie in its block.
                let inside = |job: &BlockJob| {
                    job.chunks
                        .iter()
                        .all(|chunk| chunk.offset + chunk.length <= job.place.raw)
                };
                assert!(segment.jobs().iter().all(inside));
            }
        }
    }
}

#[test]
fn chunk_outside_of_its_block_cannot_be_encoded() {
    let mut jobs = jobs(1);
    jobs[0].chunks[2].length = 101;
    assert!(matches!(
        Segment::encode(&jobs),
        Err(SegmentError::Row { table: "chunk", .. })
    ));
}

#[test]
fn block_is_known_with_its_bases_and_a_base_is_looked_for_in_plain_blocks() {
    let jobs = jobs(3);
    let segment = Segment::decode(Segment::encode(&jobs).unwrap()).unwrap();
    for job in &jobs {
        assert_eq!(segment.bases(&job.place), Some(job.bases.clone()));
        let plain = Index::new(vec![segment.clone()]).find_plain(&job.chunks[0].id);
        assert_eq!(plain.is_some(), job.bases.is_empty());
    }
    let elsewhere = BlockPlace {
        offset: 65,
        ..jobs[0].place
    };
    assert_eq!(segment.bases(&elsewhere), None);
}

#[test]
fn higher_generation_wins_whatever_the_order() {
    let (old, mut new) = (jobs(1), jobs(1));
    new.iter_mut()
        .for_each(|job| job.place.pack = PackId::of(b"new"));
    let old = Segment::decode(Segment::encode_generation(&old, 1).unwrap()).unwrap();
    let new = Segment::decode(Segment::encode_generation(&new, 2).unwrap()).unwrap();
    let wanted = jobs(1)[0].chunks[0].id;
    let mut added = crate::Index::new(vec![new.clone()]);
    added.add(old.clone());
    for index in [
        crate::Index::new(vec![old.clone(), new.clone()]),
        crate::Index::new(vec![new, old]),
        added,
    ] {
        assert_eq!(index.find(&wanted).unwrap().0.pack, PackId::of(b"new"));
        assert_eq!(index.generation(), 2);
    }
}

use super::*;
use crate::block::{self, seal};

fn pack() -> Pack {
    let mut builder = PackBuilder::new();
    for text in ["one", "two", "three"] {
        let parts = [text.repeat(100), text.to_uppercase().repeat(50)];
        let raw = parts.concat();
        let chunks = parts.map(|part| {
            (
                ChunkId::of(part.as_bytes()),
                u32::try_from(part.len()).unwrap(),
            )
        });
        builder
            .push(&seal(raw.as_bytes(), 2, 3).unwrap(), &chunks)
            .unwrap();
    }
    builder.finish().unwrap()
}

/// The pack with its tables hash made right again.
fn rehashed(mut bytes: Vec<u8>) -> Vec<u8> {
    let at = bytes.len() - TRAILER;
    let tables = usize::try_from(u64::from_le_bytes(
        bytes[at + 24..at + 32].try_into().unwrap(),
    ))
    .unwrap_or(0);
    let hash = *blake3::hash(bytes.get(tables..at).unwrap_or_default()).as_bytes();
    bytes[at + 32..].copy_from_slice(&hash);
    bytes
}

#[test]
fn pack_alone_tells_where_every_chunk_lies() {
    let pack = pack();
    let jobs = decode(&pack.id, &pack.bytes).unwrap();
    assert_eq!(jobs, pack.jobs);
    assert_eq!(jobs.len(), 3);
    for job in jobs {
        let start = usize::try_from(job.place.offset).unwrap();
        let stored = &pack.bytes[start..start + job.place.stored as usize];
        let open = block::open(&job.place, stored).unwrap();
        assert!(job.chunks.iter().all(|chunk| open.chunk(chunk).is_ok()));
    }
}

#[test]
fn pack_cut_anywhere_is_refused() {
    let pack = pack();
    for length in 0..pack.bytes.len() {
        assert!(decode(&pack.id, &pack.bytes[..length]).is_err(), "{length}");
    }
}

#[test]
fn tables_that_lie_never_panic_and_keep_every_chunk_inside_its_block() {
    let pack = pack();
    let tables =
        usize::try_from(pack.jobs[2].place.offset).unwrap() + pack.jobs[2].place.stored as usize;
    for byte in tables..pack.bytes.len() {
        for flip in [1, 0x80, 0xff] {
            let mut bytes = pack.bytes.clone();
            bytes[byte] ^= flip;
            assert!(decode(&pack.id, &bytes).is_err());
            let Ok(jobs) = decode(&pack.id, &rehashed(bytes)) else {
                continue;
            };
            for job in jobs {
                let inside = |chunk: &ChunkInBlock| chunk.offset + chunk.length <= job.place.raw;
                assert!(job.chunks.iter().all(inside));
            }
        }
    }
}

#[test]
fn block_whose_chunks_do_not_fill_it_cannot_be_packed() {
    let mut builder = PackBuilder::new();
    builder
        .push(&seal(b"four", 1, 3).unwrap(), &[(ChunkId::of(b"fou"), 3)])
        .unwrap();
    assert!(matches!(
        builder.finish(),
        Err(PackError::Block { row: 0, .. })
    ));
}

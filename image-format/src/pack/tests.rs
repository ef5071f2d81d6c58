use super::*;
use crate::block::{self, FilterChoice, SealOptions, seal};
use crate::ids::BlockId;
use crate::job::ChunkInBlock;

fn sealed(raw: &[u8], chunks: u32) -> SealedBlock {
    let options = SealOptions {
        chunks,
        profile: crate::Profile::Fast,
        filter: FilterChoice::None,
        bases: &[],
        verify: true,
    };
    seal(raw, &options).unwrap()
}

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
        builder.push(&sealed(raw.as_bytes(), 2), &chunks).unwrap();
    }
    builder.finish().unwrap()
}

/// The pack with its tables hash made right again.
fn rehashed(mut bytes: Vec<u8>) -> Vec<u8> {
    let at = bytes.len() - TRAILER_LENGTH;
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
        .push(&sealed(b"four", 1), &[(ChunkId::of(b"fou"), 3)])
        .unwrap();
    assert!(matches!(
        builder.finish(),
        Err(PackError::Block { row: 0, .. })
    ));
}

#[test]
fn pack_with_based_blocks_tells_their_bases() {
    let old = b"an older version ".repeat(100);
    let base = ChunkRef {
        id: ChunkId::of(&old),
        length: u32::try_from(old.len()).unwrap(),
    };
    let bases = [(base, &old[..])];
    let options = SealOptions {
        chunks: 1,
        profile: crate::Profile::Archive,
        filter: FilterChoice::None,
        bases: &bases,
        verify: true,
    };
    let new = [&old[..], b"and more"].concat();
    let block = seal(&new, &options).unwrap();
    let mut builder = PackBuilder::new();
    let row = (ChunkId::of(&new), u32::try_from(new.len()).unwrap());
    builder
        .push(&sealed(b"plain", 1), &[(ChunkId::of(b"plain"), 5)])
        .unwrap();
    builder.push(&block, &[row]).unwrap();
    let pack = builder.finish().unwrap();
    assert_eq!(pack.jobs[0].bases, []);
    assert_eq!(pack.jobs[1].bases, [base]);
}

#[test]
fn end_of_a_pack_is_enough_for_an_index() {
    let pack = pack();
    let all = length(&pack.bytes);
    let trailer = &pack.bytes[pack.bytes.len() - TRAILER_LENGTH..];
    let tail = usize::try_from(tail_length(all, trailer).unwrap()).unwrap();
    let start = pack.bytes.len() - tail;
    assert_eq!(
        reindex(&pack.id, all, &pack.bytes[start..]).unwrap(),
        pack.jobs
    );
    assert!(reindex(&pack.id, all, &pack.bytes[start + 1..]).is_err());
    assert!(reindex(&pack.id, all + 1, &pack.bytes[start..]).is_err());
}

#[test]
fn header_of_a_newer_program_is_refused_and_every_byte_counts() {
    let pack = pack();
    for byte in 0..HEADER {
        let mut bytes = pack.bytes.clone();
        bytes[byte] ^= 0x40;
        let compatible = (12..20).contains(&byte);
        assert_eq!(decode(&pack.id, &bytes).is_ok(), compatible, "byte {byte}");
    }
}

#[test]
fn block_whose_header_names_other_bases_is_refused() {
    let pack = pack();
    let mut bytes = pack.bytes.clone();
    let place = pack.jobs[1].place;
    bytes[usize::try_from(place.offset).unwrap() + 24] = 1;
    assert_ne!(BlockId::of(&bytes), place.block);
    assert!(decode(&pack.id, &bytes).is_err());
}

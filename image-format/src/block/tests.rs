use super::*;
use crate::ids::PackId;

fn place(block: &SealedBlock) -> BlockPlace {
    BlockPlace {
        pack: PackId::of(b"pack"),
        block: block.id,
        offset: 64,
        stored: u32::try_from(block.bytes.len()).unwrap(),
        raw: block.raw,
    }
}

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn block_opens_to_what_was_sealed_compressed_or_raw() {
    for raw in [b"hello ".repeat(1000), noise(5000), vec![7]] {
        let sealed = seal(&raw, 1, 3).unwrap();
        let open = open(&place(&sealed), &sealed.bytes).unwrap();
        assert_eq!(open.raw(), raw);
        let chunk = ChunkInBlock {
            id: ChunkId::of(&raw),
            offset: 0,
            length: sealed.raw,
        };
        assert_eq!(open.chunk(&chunk).unwrap(), raw);
        assert!(
            open.chunk(&ChunkInBlock {
                offset: u32::MAX,
                ..chunk
            })
            .is_err()
        );
        assert!(
            open.chunk(&ChunkInBlock {
                id: ChunkId::of(b"other"),
                ..chunk
            })
            .is_err()
        );
    }
}

#[test]
fn noise_is_stored_raw_and_text_is_not() {
    assert_eq!(seal(&noise(100_000), 1, 3).unwrap().bytes.len(), 100_064);
    assert!(seal(&b"text".repeat(25_000), 1, 3).unwrap().bytes.len() < 1000);
}

#[test]
fn every_flipped_bit_and_every_cut_is_named_with_pack_block_and_offset() {
    let sealed = seal(&b"hello ".repeat(100), 1, 3).unwrap();
    let at = place(&sealed);
    for byte in 0..sealed.bytes.len() {
        let mut bytes = sealed.bytes.clone();
        bytes[byte] ^= 0x10;
        let text = open(&at, &bytes).unwrap_err().to_string();
        assert!(
            text.contains(&at.pack.short())
                && text.contains(&at.block.short())
                && text.contains("64"),
            "{text}"
        );
        assert!(open(&at, &sealed.bytes[..byte]).is_err());
    }
}

#[test]
fn header_that_lies_is_refused_even_when_its_hash_is_right() {
    let sealed = seal(&b"hello ".repeat(100), 1, 3).unwrap();
    for byte in 0..HEADER_LENGTH as usize {
        for value in [0, 1, 2, 0x80, 0xff] {
            let mut bytes = sealed.bytes.clone();
            if bytes[byte] == value {
                continue;
            }
            bytes[byte] = value;
            let at = BlockPlace {
                block: BlockId::of(&bytes),
                ..place(&sealed)
            };
            let chunk_count = 20..24;
            assert!(
                open(&at, &bytes).is_err() || chunk_count.contains(&byte),
                "byte {byte} = {value}"
            );
        }
    }
}

#[test]
fn frame_that_expands_to_more_than_it_says_is_refused() {
    let bomb = zstd::bulk::compress(&vec![0; 1 << 20], 3).unwrap();
    let payload = u32::try_from(bomb.len()).unwrap();
    let header = Header {
        codec: CODEC_ZSTD,
        raw: 1000,
        payload,
        chunks: 1,
    };
    let bytes = [header.encode(), bomb].concat();
    let block = SealedBlock {
        id: BlockId::of(&bytes),
        bytes,
        raw: 1000,
    };
    assert!(matches!(
        open(&place(&block), &block.bytes),
        Err(BlockError::Expand { .. })
    ));
}

#[test]
fn nothing_and_too_much_cannot_be_sealed() {
    assert!(seal(&[], 0, 3).is_err());
    assert!(seal(&vec![0; MAX_RAW as usize + 1], 1, 3).is_err());
}

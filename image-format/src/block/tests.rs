use zstd::zstd_safe::{CCtx, CParameter};

use super::header::{CODEC_RAW, CODEC_ZSTD};
use super::*;
use crate::ids::{BlockId, ChunkId, ChunkRef, PackId};
use crate::job::ChunkInBlock;
use crate::profile::Profile;
use crate::store::BlockPlace;

const PROFILES: [Profile; 3] = [Profile::Fast, Profile::Balanced, Profile::Archive];

fn options() -> SealOptions<'static> {
    SealOptions {
        chunks: 1,
        profile: Profile::Fast,
        filter: FilterChoice::None,
        bases: &[],
        verify: true,
    }
}

fn plain(raw: &[u8]) -> SealedBlock {
    seal(raw, &options()).unwrap()
}

fn chunk(bytes: &[u8]) -> ChunkRef {
    ChunkRef {
        id: ChunkId::of(bytes),
        length: u32::try_from(bytes.len()).unwrap(),
    }
}

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
        let sealed = plain(&raw);
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
    assert_eq!(plain(&noise(100_000)).bytes.len(), 100_064);
    assert_eq!(plain(&noise(1_000_000)).bytes.len(), 1_000_064);
    assert!(plain(&b"text".repeat(25_000)).bytes.len() < 1000);
    let mixed = [noise(500_000), b"text".repeat(125_000)].concat();
    assert!(plain(&mixed).bytes.len() < 510_000, "half of it shrinks");
}

#[test]
fn every_flipped_bit_and_every_cut_is_named_with_pack_block_and_offset() {
    let sealed = plain(&b"hello ".repeat(100));
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
    let sealed = plain(&b"hello ".repeat(100));
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
            // A wrong filter gives wrong bytes, which the chunk's id tells.
            let (filter, chunk_count) = (10, 20..24);
            let unseen = byte == filter || chunk_count.contains(&byte);
            assert!(
                open(&at, &bytes).is_err() || unseen,
                "byte {byte} = {value}"
            );
        }
    }
}

#[test]
fn frame_that_expands_to_more_than_it_says_is_refused() {
    let bomb = zstd::bulk::compress(&vec![0; 1 << 20], 3).unwrap();
    let block = framed(CODEC_ZSTD, Filter::None, &bomb, 1000, &[]);
    assert!(matches!(
        open(&place(&block), &block.bytes),
        Err(BlockError::Expand { .. })
    ));
}

#[test]
fn nothing_and_too_much_cannot_be_sealed() {
    assert!(seal(&[], &options()).is_err());
    assert!(seal(&vec![0; MAX_RAW as usize + 1], &options()).is_err());
}

/// A block whose header and payload are put together by hand.
fn framed(codec: u8, filter: Filter, payload: &[u8], raw: u32, bases: &[ChunkRef]) -> SealedBlock {
    let header = Header {
        codec,
        filter,
        raw,
        payload: u32::try_from(payload.len()).unwrap(),
        chunks: 1,
        bases: bases.to_vec(),
    };
    let bytes = [header.encode(), payload.to_vec()].concat();
    SealedBlock {
        id: BlockId::of(&bytes),
        bytes,
        raw,
        bases: bases.to_vec(),
    }
}

#[test]
fn every_profile_and_filter_gives_the_same_bytes_back() {
    let raw: Vec<u8> = (0..60_000_u32)
        .flat_map(|number| {
            [
                0xe8,
                u8::try_from(number % 251).unwrap(),
                u8::try_from(number / 300 % 256).unwrap(),
                0,
                0,
            ]
        })
        .collect();
    for profile in PROFILES {
        for filter in [FilterChoice::None, FilterChoice::X86, FilterChoice::Arm64] {
            let options = SealOptions {
                profile,
                filter,
                ..options()
            };
            let sealed = seal(&raw, &options).unwrap();
            assert!(sealed.bytes.len() < raw.len());
            let again = seal(&raw, &options).unwrap();
            assert_eq!(sealed, again, "the same bytes make the same block");
            assert!(open(&place(&sealed), &sealed.bytes).unwrap().raw() == raw);
        }
    }
}

#[test]
fn block_against_an_older_version_is_small_and_opens_only_with_it() {
    let (old, other) = (noise(1_000_000), b"base".repeat(1000));
    let mut new = old.clone();
    new.splice(400_000..400_010, *b"inserted words");
    let bases = [(chunk(&other), &other[..]), (chunk(&old), &old[..])];
    for (profile, filter) in PROFILES.map(|profile| (profile, FilterChoice::X86)) {
        let options = SealOptions {
            profile,
            filter,
            bases: &bases,
            ..options()
        };
        let sealed = seal(&new, &options).unwrap();
        assert!(
            sealed.bytes.len() < 20_000,
            "{profile:?} {}",
            sealed.bytes.len()
        );
        let wanted = [chunk(&other), chunk(&old)];
        assert_eq!(super::bases(&sealed.bytes).unwrap(), wanted);
        assert_eq!(sealed.bases, wanted);
        let at = place(&sealed);
        let text = open(&at, &sealed.bytes).unwrap_err().to_string();
        assert!(text.contains(&chunk(&other).id.short()), "{text}");
        let opened = open_with(&at, &sealed.bytes, &mut |base| {
            bases
                .iter()
                .find(|(known, _)| known == base)
                .map(|(_, bytes)| bytes.to_vec())
        });
        assert!(opened.unwrap().raw() == new);
        let wrong = open_with(&at, &sealed.bytes, &mut |base| {
            Some(vec![0; base.length as usize])
        });
        assert!(matches!(wrong, Err(BlockError::BaseHash { .. })));
    }
}

#[test]
fn block_that_bases_do_not_make_smaller_has_none() {
    let (old, new) = (b"old".repeat(50_000), noise(100_000));
    let bases = [(chunk(&old), &old[..])];
    let sealed = seal(
        &new,
        &SealOptions {
            bases: &bases,
            ..options()
        },
    )
    .unwrap();
    assert!(sealed.bases.is_empty());
    assert!(open(&place(&sealed), &sealed.bytes).is_ok());
}

#[test]
fn bases_beyond_the_bounds_are_neither_written_nor_read() {
    let (bytes, long) = (vec![1; 1000], vec![2; MAX_BASE_BYTES as usize]);
    let many = vec![(chunk(&bytes), &bytes[..]); 17];
    let much = [(chunk(&bytes), &bytes[..]), (chunk(&long), &long[..])];
    let lying = [(chunk(&bytes), &bytes[..999])];
    for bases in [&many[..], &much, &lying] {
        let options = SealOptions { bases, ..options() };
        let sealed = seal(&b"some words ".repeat(100), &options);
        assert!(matches!(sealed, Err(SealError::Bases { .. })));
    }
    let base = |length| ChunkRef {
        id: ChunkId::of(b"base"),
        length,
    };
    for bases in [
        vec![base(1); 17],
        vec![base(0)],
        vec![base(u32::MAX); 16],
        vec![base(5 << 20); 2],
    ] {
        let block = framed(CODEC_ZSTD, Filter::None, b"payload", 1000, &bases);
        let opened = open_with(&place(&block), &block.bytes, &mut |_| {
            panic!("nothing is asked for")
        });
        assert!(matches!(opened, Err(BlockError::Header { .. })));
    }
    let filtered = framed(CODEC_RAW, Filter::X86, b"payload", 7, &[]);
    assert!(open(&place(&filtered), &filtered.bytes).is_err());
}

#[test]
fn encrypted_block_is_refused_with_a_clear_word() {
    let mut block = plain(b"secret");
    block.bytes[11] = 1;
    block.id = BlockId::of(&block.bytes);
    let error = open(&place(&block), &block.bytes).unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("encrypted"), "{why}");
}

#[test]
fn window_beyond_the_block_costs_no_memory() {
    let mut context = CCtx::default();
    context.set_parameter(CParameter::WindowLog(30)).unwrap();
    context
        .set_parameter(CParameter::ContentSizeFlag(false))
        .unwrap();
    let mut frame = Vec::with_capacity(10_000);
    context
        .compress2(&mut frame, &b"hello ".repeat(500))
        .unwrap();
    let block = framed(CODEC_ZSTD, Filter::None, &frame, 3000, &[]);
    // Decoded in one step there is no window but the bytes themselves.
    if let Ok(opened) = open(&place(&block), &block.bytes) {
        assert_eq!(opened.raw(), b"hello ".repeat(500));
    }
}

//! Blocks of every kind with the pack and the index segment that hold them.

use anyhow::{Context, Result};
use image_format::block::{FilterChoice, SealOptions, seal};
use image_format::ids::ChunkRef;
use image_format::pack::PackBuilder;
use image_format::{Profile, Segment};

use crate::Corpus;

pub(crate) fn make(corpus: &Corpus) -> Result<()> {
    let (old, new) = (code(10), code(11));
    let base = ChunkRef::to(&old).context("a chunk is short")?;
    let bases = [(base, old.as_slice())];
    let kinds = [
        ("x86", old.as_slice(), FilterChoice::X86, &[][..]),
        ("arm64", b"\x10\0\0\x94", FilterChoice::Arm64, &[]),
        ("based", &new, FilterChoice::None, &bases),
    ];
    let mut pack = PackBuilder::new();
    for (name, bytes, filter, bases) in kinds {
        let raw = if name == "arm64" {
            bytes.repeat(200)
        } else {
            bytes.to_vec()
        };
        let options = SealOptions {
            chunks: 1,
            profile: Profile::Fast,
            filter,
            bases,
            verify: true,
        };
        let sealed = seal(&raw, &options)?;
        corpus.put("block", name, &sealed.bytes)?;
        let chunk = ChunkRef::to(&raw).context("a chunk is short")?;
        pack.push(&sealed, &[(chunk.id, chunk.length)])?;
    }
    let pack = pack.finish()?;
    corpus.put("pack", "with-bases", &pack.bytes)?;
    corpus.put(
        "segment",
        "with-bases",
        &Segment::encode_generation(&pack.jobs, 3)?,
    )?;
    corpus.put("filter", "calls", &old)?;
    corpus.put(
        "filter",
        "arm64",
        &b"\x10\0\0\x94\x81\xff\xff\xb0".repeat(20),
    )?;
    Ok(())
}

/// Calls of one function, and loads of one variable.
fn code(function: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 0..60_u32 {
        let distance = function.wrapping_sub(number * 12);
        bytes.push(0xe8);
        bytes.extend(distance.to_le_bytes());
        bytes.extend([0x48, 0x8b, 0x05]);
        bytes.extend((4000 - number * 12).to_le_bytes());
    }
    bytes
}

//! The superblock of an empty journal (kernel documentation, "Journal (jbd2)").
//! All its numbers are big-endian.

const MAGIC: u32 = 0xc03b_3998;
const SUPERBLOCK_V2: u32 = 4;
/// Fewer blocks than these the kernel does not take (`JBD2_MIN_JOURNAL_BLOCKS`).
pub(crate) const FEWEST_BLOCKS: u64 = 1024;

/// Journal blocks that `mke2fs` gives a file system of `blocks`
/// (e2fsprogs `lib/ext2fs/mkjournal.c`, `ext2fs_default_journal_size`).
pub(crate) fn usual_blocks(blocks: u64) -> u64 {
    match blocks >> 10 {
        0..32 => FEWEST_BLOCKS,
        32..256 => 4096,
        256..512 => 8192,
        512..4096 => 16384,
        4096..8192 => 32768,
        8192..16384 => 65536,
        16384..32768 => 131_072,
        _ => 262_144,
    }
}

/// The first block of an empty journal of `blocks` blocks.
pub(crate) fn superblock(block_size: u32, blocks: u32, uuid: &[u8; 16]) -> Vec<u8> {
    let mut bytes = vec![0; block_size as usize];
    let mut put = |at: usize, value: u32| bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
    put(0x0, MAGIC);
    put(0x4, SUPERBLOCK_V2);
    put(0xc, block_size);
    put(0x10, blocks);
    // First block of the log, first sequence, and no start: nothing to replay.
    put(0x14, 1);
    put(0x18, 1);
    // One file system uses it.
    put(0x40, 1);
    bytes[0x30..0x40].copy_from_slice(uuid);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journal_sizes_step_where_those_of_mke2fs_do() {
        assert_eq!(usual_blocks(32767), 1024);
        assert_eq!(usual_blocks(32768), 4096);
        assert_eq!(usual_blocks(4096 * 1024), 32768);
        assert_eq!(usual_blocks(1 << 40), 262_144);
    }
}

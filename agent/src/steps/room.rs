//! What a capture may take of a machine's memory: there is no swap here, and a
//! kernel without memory ends this program and with it the machine's start.

use anyhow::{Result, bail};
use image_format::Profile;
use image_format::ingest::IngestOptions;

const MIB: u64 = 1 << 20;
/// Left to the kernel and to what the network brings.
const SPARED: u64 = 64 * MIB;
/// What gathers before it is compressed, what was read ahead, and this program.
const FIXED: u64 = 180 * MIB;
/// A pack is in memory while it is filled, as what is sent, and in what TLS
/// makes of it.
const COPIES: u64 = 3;
/// Packs of this length: shorter ones would be too many, and a capture that is
/// interrupted must send again what sixteen of longer ones hold.
const SHORTEST_PACK: u64 = 8 * MIB;
const LONGEST_PACK: u64 = 32 * MIB;

/// Threads and pack lengths for a capture in `available` bytes on `cores`.
///
/// # Errors
/// There is too little, and how much is needed.
pub(super) fn options(available: u64, cores: usize, profile: Profile) -> Result<IngestOptions> {
    let thread = of_a_thread(profile);
    let room = available.saturating_sub(SPARED + FIXED);
    // One thread first, then packs, then more threads.
    let for_packs = room.saturating_sub(thread) / COPIES;
    let pack = for_packs.min(room / 8).clamp(SHORTEST_PACK, LONGEST_PACK);
    let threads = room.saturating_sub(COPIES * pack) / thread;
    if threads == 0 {
        let needed = SPARED + FIXED + COPIES * SHORTEST_PACK + thread;
        bail!(
            "this machine has {} MiB of free memory, and a capture with the profile {} takes \
             {} MiB; put the disk into a machine with more, or order a profile that takes less",
            available / MIB,
            profile.word(),
            needed.div_ceil(MIB)
        );
    }
    Ok(IngestOptions {
        profile,
        threads: usize::try_from(threads).unwrap_or(cores).min(cores.max(1)),
        pack_target: pack,
        ..IngestOptions::default()
    })
}

/// A thread has one block in work and two waiting, each with what comes of it,
/// and the compressor's own tables.
fn of_a_thread(profile: Profile) -> u64 {
    let blocks = u64::try_from(profile.block_limit())
        .unwrap_or(u64::MAX)
        .saturating_mul(2 * 3);
    let tables = match profile {
        Profile::Fast => 4 * MIB,
        Profile::Balanced => 32 * MIB,
        Profile::Archive => 128 * MIB,
    };
    blocks.saturating_add(tables)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is taken at most, by what this file counts.
    fn taken(options: &IngestOptions) -> u64 {
        let threads = u64::try_from(options.threads).unwrap();
        FIXED + COPIES * options.pack_target + threads * of_a_thread(options.profile)
    }

    #[test]
    fn whatever_the_memory_a_capture_stays_within_it_or_is_refused() {
        for profile in [Profile::Fast, Profile::Balanced, Profile::Archive] {
            for available in (0..4096).step_by(16).map(|mib| mib * MIB) {
                if let Ok(options) = options(available, 8, profile) {
                    assert!(taken(&options) + SPARED <= available, "{available}");
                    assert!((1..=8).contains(&options.threads));
                }
            }
        }
    }

    #[test]
    fn half_a_gibibyte_is_enough_for_a_fast_capture_and_a_refusal_says_how_much_is() {
        assert_eq!(options(512 * MIB, 1, Profile::Fast).unwrap().threads, 1);
        assert_eq!(options(8192 * MIB, 4, Profile::Archive).unwrap().threads, 4);
        let refusal = options(200 * MIB, 4, Profile::Fast)
            .unwrap_err()
            .to_string();
        assert!(
            refusal.contains("200 MiB") && refusal.contains("332 MiB"),
            "{refusal}"
        );
        assert!(options(332 * MIB, 4, Profile::Fast).is_ok());
    }
}

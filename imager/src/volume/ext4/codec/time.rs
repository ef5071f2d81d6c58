//! Times: 32 bits of seconds, and since 256-byte inodes 2 epoch bits and
//! 30 bits of nanoseconds (kernel documentation, "Inode Timestamps").

use image_format::entry::Timestamp;

use super::fields::low32;

const EPOCH_BITS: u32 = 2;
const EPOCH_MASK: u32 = 3;
const NANOSECONDS: u32 = 1_000_000_000;
const EPOCHS_END: i64 = (4 << 32) - (1 << 31);

/// The time of a seconds word and, where the inode is long enough, its extra word.
pub(crate) fn decode(seconds: u32, extra: Option<u32>) -> Timestamp {
    let extra = extra.unwrap_or(0);
    let epoch = i64::from(extra & EPOCH_MASK) << 32;
    Timestamp {
        seconds: i64::from(seconds.cast_signed()) + epoch,
        // A damaged word may say more than a second; the kernel wraps it too.
        nanoseconds: (extra >> EPOCH_BITS) % NANOSECONDS,
    }
}

/// The seconds word and the extra word; `None` outside 1901 ..= 2446.
pub(crate) fn encode(time: Timestamp) -> Option<(u32, u32)> {
    let range = i64::from(i32::MIN)..EPOCHS_END;
    if !range.contains(&time.seconds) || time.nanoseconds >= NANOSECONDS {
        return None;
    }
    let seconds = low32(time.seconds.cast_unsigned());
    let epochs = (time.seconds - i64::from(seconds.cast_signed())) >> 32;
    let epoch = u32::try_from(epochs).ok()?;
    Some((seconds, time.nanoseconds << EPOCH_BITS | epoch))
}

/// Whether an inode of 128 bytes can say it.
pub(crate) fn fits_short(time: Timestamp) -> bool {
    i32::try_from(time.seconds).is_ok() && time.nanoseconds == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_at_the_borders_of_every_epoch_survive() {
        for seconds in [
            -1 << 31,
            -1,
            0,
            (1 << 31) - 1,
            1 << 31,
            1 << 32,
            EPOCHS_END - 1,
        ] {
            let time = Timestamp {
                seconds,
                nanoseconds: 999_999_999,
            };
            let (word, extra) = encode(time).unwrap();
            assert_eq!(decode(word, Some(extra)), time);
        }
        for seconds in [(-1 << 31) - 1, EPOCHS_END, i64::MAX, i64::MIN] {
            assert_eq!(
                encode(Timestamp {
                    seconds,
                    nanoseconds: 0
                }),
                None
            );
        }
    }
}

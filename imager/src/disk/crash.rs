//! A simulated disk that loses power: it knows what was durable.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Disk, MemoryDisk};

/// A disk for simulations of power cuts.
///
/// Reads see every write at once, as through a cache. Only what was written
/// before a [`sync`](Disk::sync) is sure to survive; of what came later a power
/// cut keeps any subset of sectors, in any order.
#[derive(Debug)]
pub struct CrashDisk {
    seen: MemoryDisk,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    durable: MemoryDisk,
    pending: Vec<(u64, Vec<u8>)>,
    operations: u64,
    stop_at: u64,
}

impl CrashDisk {
    /// A disk whose contents so far are durable.
    pub fn new(contents: MemoryDisk) -> Self {
        let state = State {
            durable: contents.clone(),
            pending: Vec::new(),
            operations: 0,
            stop_at: u64::MAX,
        };
        Self {
            seen: contents,
            state: Mutex::new(state),
        }
    }

    /// The power fails at operation `number` (writes and syncs counted from 0):
    /// it and everything after it fail, reads too. A write that is cut off may
    /// still have reached the medium in part.
    pub fn stop_at(&self, number: u64) {
        self.lock().stop_at = number;
    }

    /// How many writes and syncs were asked for so far, failed ones included.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// The disk as it is found after a power cut now: all that was durable, and
    /// for each `seed` another choice of the sectors that were not.
    pub fn after_crash(&self, seed: u64) -> MemoryDisk {
        let state = self.lock();
        let disk = state.durable.clone();
        let sector = u64::from(self.seen.sector_size());
        let mut dice = Dice(seed);
        for (offset, bytes) in &state.pending {
            let mut at = 0;
            while at < bytes.len() {
                let place = offset + at as u64;
                let room = usize::try_from(sector - place % sector).unwrap_or(usize::MAX);
                let end = bytes.len().min(at.saturating_add(room));
                if dice.roll() {
                    // The write was inside the disk when it was recorded.
                    let _inside = disk.write_at(place, &bytes[at..end]);
                }
                at = end;
            }
        }
        disk
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_off(&self) -> bool {
        self.operations > self.stop_at
    }

    /// Counts an operation; false when the power is gone with it.
    fn count(&mut self) -> bool {
        self.operations += 1;
        !self.is_off()
    }
}

/// A small generator (splitmix64): the same seed, the same cut.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) & 1 == 1
    }
}

fn power_is_gone() -> io::Error {
    io::Error::other("the simulated power is gone")
}

impl Disk for CrashDisk {
    fn size(&self) -> u64 {
        self.seen.size()
    }

    fn sector_size(&self) -> u32 {
        self.seen.sector_size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if self.lock().is_off() {
            return Err(power_is_gone());
        }
        self.seen.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        let was_on = !state.is_off();
        let is_on = state.count();
        if was_on {
            self.seen.write_at(offset, bytes)?;
            state.pending.push((offset, bytes.to_vec()));
        }
        if is_on { Ok(()) } else { Err(power_is_gone()) }
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.lock();
        if !state.count() {
            return Err(power_is_gone());
        }
        state.durable = self.seen.clone();
        state.pending.clear();
        Ok(())
    }

    fn data_ranges(&self) -> io::Result<Vec<(u64, u64)>> {
        self.seen.data_ranges()
    }

    fn describe(&self) -> String {
        format!("{} (simulated)", self.seen.describe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synced_writes_survive_every_crash_and_others_may_be_torn_by_sector() {
        let disk = CrashDisk::new(MemoryDisk::new(8192, 512));
        disk.write_at(0, &[1; 1024]).unwrap();
        disk.sync().unwrap();
        disk.write_at(2048, &[2; 4096]).unwrap();
        let mut kinds = std::collections::BTreeSet::new();
        for seed in 0..64 {
            let bytes = disk.after_crash(seed).to_bytes().unwrap();
            assert!(bytes[..1024].iter().all(|&byte| byte == 1));
            for sector in bytes[2048..6144].chunks(512) {
                assert!(sector.iter().all(|&byte| byte == sector[0]));
            }
            kinds.insert(bytes);
        }
        assert!(kinds.len() > 16);
    }

    #[test]
    fn after_the_power_is_cut_nothing_works_and_only_the_cut_write_may_have_landed() {
        let disk = CrashDisk::new(MemoryDisk::new(8192, 512));
        disk.stop_at(1);
        disk.write_at(0, &[1; 512]).unwrap();
        assert!(disk.write_at(512, &[2; 512]).is_err());
        assert!(disk.write_at(1024, &[3; 512]).is_err());
        assert!(disk.sync().is_err());
        assert!(disk.read_at(0, &mut [0]).is_err());
        assert_eq!(disk.operations(), 4);
        let landed =
            |at: usize| (0..32).any(|seed| disk.after_crash(seed).to_bytes().unwrap()[at] != 0);
        assert!(landed(0) && landed(512) && !landed(1024));
    }
}

//! Like chunks gather to blocks, because like compresses well beside like.
//!
//! A lane is one class of contents and one file-name extension; within a block
//! chunks stand in order of the file's base name. What is gathered is bounded
//! in bytes over all lanes.

mod class;

use std::collections::BTreeMap;

pub use class::Class;

use crate::ids::ChunkId;
use crate::profile::Profile;

/// So much waits in all lanes together.
const GATHERED_MAX: usize = 64 << 20;
/// Rooms of blocks kept for the next ones.
const SPARE: usize = 2;
/// A longer extension is no extension.
const EXTENSION_MAX: usize = 12;
/// Base names are only for order.
const BASE_MAX: usize = 48;

/// What a stream's name and beginning say about its kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LaneKey {
    /// What its first bytes say; [`Class::Data`] until they are known.
    pub class: Class,
    /// Lower-case extension without trailing version numbers, or nothing.
    pub extension: Vec<u8>,
    /// Lower-case name before the extension.
    pub base: Vec<u8>,
}

/// A manifest's blocks are short: whoever looks for one file opens one of them.
const MANIFEST_TARGET: usize = 512 << 10;

impl LaneKey {
    /// The key of the manifest's own parts.
    pub fn manifest() -> Self {
        Self {
            class: Class::Manifest,
            extension: Vec::new(),
            base: Vec::new(),
        }
    }

    /// The key of a file's path or name: `lib/libc.so.6` is (`so`, `libc`).
    pub fn of(hint: &[u8]) -> Self {
        let name = hint
            .rsplit(|&byte| byte == b'/')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let mut end = name.len();
        // A leading dot hides a file, it starts no extension.
        let cut = |end: usize| {
            name.get(1..end)?
                .iter()
                .rposition(|&byte| byte == b'.')
                .map(|at| at + 1)
        };
        while let Some(dot) = cut(end) {
            let extension = name.get(dot + 1..end).unwrap_or_default();
            if !extension.is_empty() && extension.iter().all(u8::is_ascii_digit) {
                end = dot;
                continue;
            }
            if (1..=EXTENSION_MAX).contains(&extension.len()) {
                return Self {
                    class: Class::Data,
                    extension: extension.to_vec(),
                    base: clip(&name, dot),
                };
            }
            break;
        }
        Self {
            class: Class::Data,
            extension: Vec::new(),
            base: clip(&name, end),
        }
    }
}

fn clip(name: &[u8], end: usize) -> Vec<u8> {
    name.get(..end.min(BASE_MAX)).unwrap_or_default().to_vec()
}

struct Waiting {
    base: Vec<u8>,
    id: ChunkId,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Lane {
    chunks: Vec<Waiting>,
    bytes: usize,
}

/// Chunks that will be one block, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gathered {
    /// Their bytes, one after another.
    pub raw: Vec<u8>,
    /// Id and length of each.
    pub chunks: Vec<(ChunkId, u32)>,
    /// The class of all of them.
    pub class: Class,
}

/// A lane's class and extension.
type Name = (Class, Vec<u8>);

/// All lanes.
pub struct Lanes {
    profile: Profile,
    lanes: BTreeMap<Name, Lane>,
    gathered: usize,
    /// Room of blocks that are done with.
    spare: Vec<Vec<u8>>,
}

impl Lanes {
    /// No chunks yet; the profile says how long blocks are.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            lanes: BTreeMap::new(),
            gathered: 0,
            spare: Vec::new(),
        }
    }

    /// Takes back the room of a block that was compressed: fresh memory of
    /// that size costs the kernel more than the copy into it.
    pub fn reuse(&mut self, mut raw: Vec<u8>) {
        if self.spare.len() < SPARE {
            raw.clear();
            self.spare.push(raw);
        }
    }

    fn block(&mut self, class: Class) -> Gathered {
        Gathered {
            class,
            raw: self.spare.pop().unwrap_or_default(),
            chunks: Vec::new(),
        }
    }

    /// Takes a new chunk and gives back what is full now. A chunk is at most
    /// [`crate::chunker::MAX_CHUNK`] bytes, less than any block's target.
    pub fn push(&mut self, key: &LaneKey, id: ChunkId, bytes: impl Into<Vec<u8>>) -> Vec<Gathered> {
        let bytes = bytes.into();
        let mut full = Vec::new();
        let name = (key.class, key.extension.clone());
        let waits = self.lanes.get(&name).map_or(0, |lane| lane.bytes);
        if waits + bytes.len() > self.limit(key.class) {
            full.extend(self.close(&name));
        }
        let lane = self.lanes.entry(name.clone()).or_default();
        lane.bytes += bytes.len();
        let filled = lane.bytes;
        self.gathered += bytes.len();
        lane.chunks.push(Waiting {
            base: key.base.clone(),
            id,
            bytes,
        });
        if filled >= self.target(key.class) {
            full.extend(self.close(&name));
        }
        if self.gathered > GATHERED_MAX {
            full.extend(self.drain());
        }
        full
    }

    /// Everything that still waits; small lanes of one class share blocks, in
    /// order of extension.
    pub fn drain(&mut self) -> Vec<Gathered> {
        let mut blocks: Vec<Gathered> = Vec::new();
        for ((class, _), lane) in std::mem::take(&mut self.lanes) {
            let fits = |block: &&mut Gathered| {
                block.class == class && block.raw.len() + lane.bytes <= self.limit(class)
            };
            match blocks.last_mut().filter(fits) {
                Some(block) => lane.gather(block),
                None => {
                    let mut block = self.block(class);
                    lane.gather(&mut block);
                    blocks.push(block);
                }
            }
        }
        self.gathered = 0;
        blocks
    }

    /// A block is closed at so many bytes.
    fn target(&self, class: Class) -> usize {
        match class {
            Class::Manifest => MANIFEST_TARGET,
            _ => self.profile.block_target(),
        }
    }

    /// A chunk that would make a block longer begins the next.
    fn limit(&self, class: Class) -> usize {
        match class {
            Class::Manifest => MANIFEST_TARGET + MANIFEST_TARGET / 4,
            _ => self.profile.block_limit(),
        }
    }

    fn close(&mut self, name: &Name) -> Option<Gathered> {
        let lane = self.lanes.remove(name)?;
        self.gathered -= lane.bytes;
        let mut block = self.block(name.0);
        lane.gather(&mut block);
        Some(block)
    }
}

impl Lane {
    fn gather(mut self, block: &mut Gathered) {
        // Stable: pieces of one large file stay in order.
        self.chunks.sort_by(|a, b| a.base.cmp(&b.base));
        block.raw.reserve(self.bytes);
        for chunk in self.chunks {
            // Never fails: a chunk's length is bounded far below.
            if let Ok(length) = u32::try_from(chunk.bytes.len()) {
                block.raw.extend_from_slice(&chunk.bytes);
                block.chunks.push((chunk.id, length));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_lane_and_version_numbers_do_not() {
        let key = |hint: &str| {
            let key = LaneKey::of(hint.as_bytes());
            (
                String::from_utf8(key.extension).unwrap(),
                String::from_utf8(key.base).unwrap(),
            )
        };
        assert_eq!(key("usr/lib/libc.so.6"), ("so".into(), "libc".into()));
        assert_eq!(key("a/KERNEL32.DLL"), ("dll".into(), "kernel32".into()));
        assert_eq!(key("usr/bin/bash"), (String::new(), "bash".into()));
        assert_eq!(key(".bashrc"), (String::new(), ".bashrc".into()));
        assert_eq!(key("x.d/name"), (String::new(), "name".into()));
        assert_eq!(key(""), (String::new(), String::new()));
        assert_eq!(key("1.2.3"), (String::new(), "1".into()));
        assert_eq!(key("dot."), (String::new(), "dot.".into()));
    }

    #[test]
    fn programs_and_data_never_share_a_block() {
        let mut lanes = Lanes::new(Profile::Fast);
        for number in 0..40_u8 {
            let mut key = LaneKey::of(format!("f{number}").as_bytes());
            let x86 = number % 2 == 1;
            key.class = if x86 { Class::X86 } else { Class::Data };
            assert!(
                lanes
                    .push(&key, ChunkId::of(&[number]), vec![number; 9])
                    .is_empty()
            );
        }
        for block in lanes.drain() {
            let of_x86 = block.raw.iter().all(|byte| byte % 2 == 1);
            assert_eq!(of_x86, block.class == Class::X86);
        }
    }

    #[test]
    fn like_chunks_leave_together_in_order_of_name_and_no_block_is_too_long() {
        let mut lanes = Lanes::new(Profile::Fast);
        let mut out = Vec::new();
        for number in 0..300_u32 {
            let hint = format!(
                "f{:03}.{}",
                299 - number,
                if number % 2 == 0 { "dll" } else { "txt" }
            );
            let bytes = vec![u8::try_from(number % 2).unwrap(); 100_000 + number as usize];
            out.extend(lanes.push(
                &LaneKey::of(hint.as_bytes()),
                ChunkId::of(&number.to_le_bytes()),
                bytes,
            ));
        }
        assert!(
            out.iter()
                .all(|block| block.raw.iter().all(|byte| *byte == block.raw[0]))
        );
        out.extend(lanes.drain());
        assert_eq!(
            out.iter().map(|block| block.chunks.len()).sum::<usize>(),
            300
        );
        assert!(
            out.iter()
                .all(|block| block.raw.len() <= Profile::Fast.block_limit())
        );
        let descending = out[0].chunks.windows(2).all(|pair| pair[0].1 > pair[1].1);
        assert!(descending, "names fall while lengths rise");
        assert!(lanes.drain().is_empty());
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut lanes = Lanes::new(Profile::Fast);
        for number in 0..200_u32 {
            let key = LaneKey {
                class: Class::Data,
                extension: number.to_le_bytes().to_vec(),
                base: Vec::new(),
            };
            lanes.push(&key, ChunkId::of(&number.to_le_bytes()), vec![0; 1 << 20]);
            assert!(lanes.gathered <= GATHERED_MAX);
        }
    }
}

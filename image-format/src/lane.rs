//! Like chunks gather to blocks, because like compresses well beside like.
//!
//! A lane is one class of contents and one file-name extension; within a block
//! chunks stand in order of the file's base name, and beside those that they
//! resemble. Profiles that take their time let chunks wait for such others,
//! made small meanwhile. What is gathered is bounded in bytes over all lanes.

mod alike;
mod arrange;
mod class;
mod kept;

use std::collections::{BTreeMap, VecDeque};

pub use class::Class;

use crate::block::SealError;
use crate::ids::ChunkId;
use crate::profile::Profile;
use kept::{Keeper, Waiting};

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

#[derive(Default)]
struct Lane {
    chunks: Vec<Waiting>,
    /// Of all its chunks, before they were packed.
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
    /// Bytes that all lanes together take.
    held: usize,
    /// Chunks of each block that is full, in order.
    full: VecDeque<(Class, Lane)>,
    keeper: Keeper,
    /// Room of blocks that are done with.
    spare: Vec<Vec<u8>>,
}

impl Lanes {
    /// No chunks yet; the profile says how long blocks are.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            lanes: BTreeMap::new(),
            held: 0,
            full: VecDeque::new(),
            keeper: Keeper::default(),
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

    /// Takes a new chunk; what is full then is there to [`Lanes::take`]. A
    /// chunk is at most [`crate::chunker::MAX_CHUNK`] bytes, less than any
    /// block's target.
    pub fn push(&mut self, key: &LaneKey, id: ChunkId, bytes: impl Into<Vec<u8>>) {
        let mut chunk = Waiting::plain(key.base.clone(), id, bytes.into());
        let name = (key.class, key.extension.clone());
        let waits_for_like = self.waits_for_like(key.class);
        let waits = self.lanes.get(&name).map_or(0, |lane| lane.bytes);
        if waits_for_like {
            self.keeper.pack(&mut chunk);
        } else if waits + chunk.length > self.limit(key.class) {
            self.close(&name);
        }
        let lane = self.lanes.entry(name.clone()).or_default();
        lane.bytes += chunk.length;
        self.held += chunk.held();
        lane.chunks.push(chunk);
        if !waits_for_like && lane.bytes >= self.target(key.class) {
            self.close(&name);
        }
        while self.held > GATHERED_MAX {
            self.make_room();
        }
    }

    /// The next full block.
    ///
    /// # Errors
    /// A chunk is not what it was when it came: memory or processor is broken.
    pub fn take(&mut self) -> Result<Option<Gathered>, SealError> {
        let Some((class, lane)) = self.full.pop_front() else {
            return Ok(None);
        };
        let mut block = Gathered {
            class,
            raw: self.spare.pop().unwrap_or_default(),
            chunks: Vec::with_capacity(lane.chunks.len()),
        };
        block.raw.reserve(lane.bytes);
        for chunk in &lane.chunks {
            let length = u32::try_from(chunk.length).map_err(|_| SealError::Length {
                found: chunk.length,
            })?;
            self.keeper.unpack(chunk, &mut block.raw)?;
            block.chunks.push((chunk.id, length));
        }
        Ok(Some(block))
    }

    /// Makes blocks of everything that still waits; small lanes of one class
    /// share them, in order of extension.
    pub fn drain(&mut self) {
        let mut small: Option<(Class, Lane)> = None;
        for ((class, _), lane) in std::mem::take(&mut self.lanes) {
            for part in self.parts(class, lane) {
                let fits = |(of, lane): &&mut (Class, Lane)| {
                    *of == class && lane.bytes + part.bytes <= self.limit(class)
                };
                match small.as_mut().filter(fits) {
                    Some((_, lane)) => lane.append(part),
                    None => self.full.extend(small.replace((class, part))),
                }
            }
        }
        self.full.extend(small);
        self.held = 0;
    }

    /// Whether chunks wait for others that resemble them, as long as there is
    /// room: worth the work where compressing takes long.
    fn waits_for_like(&self, class: Class) -> bool {
        self.profile != Profile::Fast && !matches!(class, Class::Manifest | Class::Packed)
    }

    /// The longest lane alone where lanes may be long, otherwise all.
    fn make_room(&mut self) {
        let long = |(_, lane): &(&Name, &Lane)| lane.bytes > self.profile.block_limit();
        let longest = self.lanes.iter().filter(long);
        let longest = longest.max_by_key(|(_, lane)| lane.bytes);
        match longest.map(|(name, _)| name.clone()) {
            Some(name) => self.close(&name),
            None => self.drain(),
        }
    }

    fn close(&mut self, name: &Name) {
        if let Some(lane) = self.lanes.remove(name) {
            self.held -= lane.chunks.iter().map(Waiting::held).sum::<usize>();
            let parts = self.parts(name.0, lane);
            let class = name.0;
            self.full
                .extend(parts.into_iter().map(|part| (class, part)));
        }
    }

    /// A lane's chunks in order, as many blocks as it takes, about equally long.
    fn parts(&self, class: Class, mut lane: Lane) -> Vec<Lane> {
        arrange::arrange(&mut lane.chunks);
        let (target, limit) = (self.target(class), self.limit(class));
        if lane.bytes <= limit {
            return vec![lane];
        }
        let enough = lane.bytes / lane.bytes.div_ceil(target);
        let mut parts = Vec::new();
        let mut part = Lane::default();
        for chunk in lane.chunks {
            let is_full = part.bytes >= enough || part.bytes + chunk.length > limit;
            // One chunk may be longer than a manifest's blocks are.
            if is_full && !part.chunks.is_empty() {
                parts.push(std::mem::take(&mut part));
            }
            part.bytes += chunk.length;
            part.chunks.push(chunk);
        }
        parts.push(part);
        parts
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
}

impl Lane {
    fn append(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.chunks.extend(other.chunks);
    }
}

#[cfg(test)]
mod tests;

//! Bytes to write, most of them not made before their turn.

use std::sync::Arc;

use crate::volume::Write;

use super::super::codec::directory;
use super::space::Usage;

/// Longest write handed out.
const WINDOW: usize = 4 << 20;

/// What stands at a place of the volume.
pub(super) enum Payload {
    /// These bytes.
    Bytes(Vec<u8>),
    /// These bytes, used more than once.
    Shared(Arc<Vec<u8>>),
    /// These bytes and zeros up to a whole block.
    Padded(Vec<u8>),
    /// So many zeros.
    Zeros(u64),
    /// A directory block of these records, with the seed of its sum.
    Leaf(Vec<u8>, u32),
    /// The block bitmap of a group.
    BlockBitmap(u64),
}

/// Bytes and their place.
pub(super) struct Item {
    /// Offset in the volume, in bytes.
    pub(super) offset: u64,
    pub(super) payload: Payload,
}

/// What is needed to make the bytes of a payload.
#[derive(Clone)]
pub(super) struct Press {
    pub(super) block_size: usize,
    pub(super) usage: Arc<Usage>,
}

impl Press {
    /// Up to `room` bytes of `payload`, and what is left of it.
    pub(super) fn print(&self, payload: Payload, room: usize) -> (Vec<u8>, Option<Payload>) {
        let mut bytes = match payload {
            Payload::Bytes(bytes) => bytes,
            Payload::Shared(bytes) => bytes.to_vec(),
            Payload::Padded(mut bytes) => {
                bytes.resize(bytes.len().next_multiple_of(self.block_size), 0);
                bytes
            }
            Payload::Zeros(count) => {
                let now = usize::try_from(count).map_or(room, |count| count.min(room));
                let rest = count - now as u64;
                return (vec![0; now], (rest > 0).then_some(Payload::Zeros(rest)));
            }
            Payload::Leaf(records, seed) => directory::finish(&records, self.block_size, seed),
            Payload::BlockBitmap(group) => self.usage.bitmap(group),
        };
        let rest = (bytes.len() > room).then(|| Payload::Bytes(bytes.split_off(room)));
        (bytes, rest)
    }
}

/// Items in ascending order as writes, neighbours joined.
pub(super) struct Writes {
    press: Press,
    items: std::vec::IntoIter<Item>,
    pending: Option<Item>,
}

impl Writes {
    /// Sorts `items`, which do not overlap.
    pub(super) fn new(press: Press, mut items: Vec<Item>) -> Self {
        items.sort_unstable_by_key(|item| item.offset);
        Self {
            press,
            items: items.into_iter(),
            pending: None,
        }
    }
}

impl Iterator for Writes {
    type Item = Write;

    fn next(&mut self) -> Option<Write> {
        let mut item = self.pending.take().or_else(|| self.items.next())?;
        let offset = item.offset;
        let mut bytes = Vec::new();
        loop {
            let (mut made, rest) = self.press.print(item.payload, WINDOW - bytes.len());
            bytes.append(&mut made);
            let end = offset + bytes.len() as u64;
            let next = match rest {
                Some(payload) => Some(Item {
                    offset: end,
                    payload,
                }),
                None => self.items.next(),
            };
            match next {
                Some(next) if next.offset == end && bytes.len() < WINDOW => item = next,
                next => {
                    self.pending = next;
                    return Some(Write { offset, bytes });
                }
            }
        }
    }
}

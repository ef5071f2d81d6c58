//! Extended attributes behind an inode's fields and in a block of their own
//! (kernel documentation, "Extended Attributes").

use image_format::entry::Xattr;

use super::acl;
use super::checksum::crc;
use super::fields::{get16, get32, length8, length16, put16, put32};

const MAGIC: u32 = 0xea02_0000;
const INODE_HEAD: usize = 4;
const BLOCK_HEAD: usize = 32;
const RECORD: usize = 16;
const BLOCK_SUM: usize = 16;
const INDEX_SYSTEM: u8 = 7;
const INDEX_ACCESS: u8 = 2;
const INDEX_DEFAULT: u8 = 3;

/// Name prefixes by index; a whole name comes before its prefix.
const PREFIXES: [(u8, &[u8]); 6] = [
    (1, b"user."),
    (INDEX_ACCESS, b"system.posix_acl_access"),
    (INDEX_DEFAULT, b"system.posix_acl_default"),
    (4, b"trusted."),
    (6, b"security."),
    (INDEX_SYSTEM, b"system."),
];

/// An attribute in ext4's own words, ordered as blocks must be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Attribute {
    index: u8,
    name_length: usize,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Attribute {
    /// From the kernel's words; `None` for a name or an ACL ext4 cannot hold.
    pub(crate) fn from_portable(xattr: &Xattr) -> Option<Self> {
        let fits = |(index, prefix): &(u8, &[u8])| {
            let rest = xattr.name.strip_prefix(*prefix)?;
            let is_whole = matches!(*index, INDEX_ACCESS | INDEX_DEFAULT);
            (rest.is_empty() == is_whole).then(|| (*index, rest.to_vec()))
        };
        let (index, name) = PREFIXES.iter().find_map(fits)?;
        let value = match index {
            INDEX_ACCESS | INDEX_DEFAULT => acl::to_stored(&xattr.value)?,
            _ => xattr.value.clone(),
        };
        let is_inline_data = index == INDEX_SYSTEM && name == b"data";
        let name_length = name.len();
        (name_length <= 255 && !is_inline_data).then_some(Self {
            index,
            name_length,
            name,
            value,
        })
    }

    /// In the kernel's words; `None` for an unknown prefix or a damaged ACL.
    pub(crate) fn to_portable(&self) -> Option<Xattr> {
        let (_, prefix) = PREFIXES.iter().find(|(index, _)| *index == self.index)?;
        let value = match self.index {
            INDEX_ACCESS | INDEX_DEFAULT => acl::to_portable(&self.value)?,
            _ => self.value.clone(),
        };
        Some(Xattr {
            name: [*prefix, &self.name].concat(),
            value,
        })
    }

    /// The value when this is `system.data`, the rest of an inline file.
    pub(crate) fn inline_data(&self) -> Option<&[u8]> {
        (self.index == INDEX_SYSTEM && self.name == b"data").then_some(&self.value)
    }

    /// Bytes it takes wherever it lies.
    fn room(&self) -> usize {
        RECORD + self.name.len().next_multiple_of(4) + self.value.len().next_multiple_of(4)
    }

    /// `ext4_xattr_hash_entry`.
    fn hash(&self) -> u32 {
        let of_name = self
            .name
            .iter()
            .fold(0, |hash: u32, byte| hash.rotate_left(5) ^ u32::from(*byte));
        self.value.chunks(4).fold(of_name, |hash, bytes| {
            let mut word = [0; 4];
            word[..bytes.len()].copy_from_slice(bytes);
            hash.rotate_left(16) ^ u32::from_le_bytes(word)
        })
    }
}

/// The attributes in the bytes behind an inode's fields; none without the magic.
pub(crate) fn decode_in_inode(bytes: &[u8]) -> Option<Vec<Attribute>> {
    if get32(bytes, 0) != Some(MAGIC) {
        return Some(Vec::new());
    }
    let area = bytes.get(INODE_HEAD..)?;
    decode(area, 0)
}

/// The attributes in a block.
pub(crate) fn decode_block(block: &[u8]) -> Option<Vec<Attribute>> {
    (get32(block, 0)? == MAGIC).then_some(())?;
    decode(block, BLOCK_HEAD)
}

/// Values lie at offsets from the start of `area`, records from `at` on.
fn decode(area: &[u8], mut at: usize) -> Option<Vec<Attribute>> {
    let mut found = Vec::new();
    // The area is bounded and every record takes 16 bytes of it.
    while get32(area, at).is_some_and(|word| word != 0) {
        let name_length = usize::from(*area.get(at)?);
        let value_inode = get32(area, at + 4)?;
        let value_size = usize::try_from(get32(area, at + 8)?).ok()?;
        let value_at = usize::from(get16(area, at + 2)?);
        let name = area.get(at + RECORD..at + RECORD + name_length)?.to_vec();
        let value = match value_size {
            0 => &[],
            _ => area.get(value_at..value_at.checked_add(value_size)?)?,
        };
        (value_inode == 0).then_some(())?;
        found.push(Attribute {
            index: *area.get(at + 1)?,
            name_length,
            name,
            value: value.to_vec(),
        });
        at += (RECORD + name_length).next_multiple_of(4);
    }
    Some(found)
}

/// Splits sorted `attributes` into those that fit `inode_room` bytes behind an
/// inode's fields and the others, for a block of `block_size`; `None` when the
/// block is too small for those.
pub(crate) fn divide(
    attributes: Vec<Attribute>,
    inode_room: usize,
    block_size: usize,
) -> Option<(Vec<Attribute>, Vec<Attribute>)> {
    let mut left = inode_room.saturating_sub(INODE_HEAD + 4);
    let (inside, outside): (Vec<_>, Vec<_>) = attributes.into_iter().partition(|attribute| {
        let fits = attribute.room() <= left;
        left -= if fits { attribute.room() } else { 0 };
        fits
    });
    let needed: usize = outside.iter().map(Attribute::room).sum();
    (needed <= block_size - BLOCK_HEAD - 4).then_some((inside, outside))
}

/// The bytes behind an inode's fields.
pub(crate) fn encode_in_inode(attributes: &[Attribute], length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    if !attributes.is_empty() {
        put32(&mut bytes, 0, MAGIC);
        // The kernel leaves the hash of these at zero and so do we.
        encode(&mut bytes[INODE_HEAD..], 0, attributes, |_| 0);
    }
    bytes
}

/// A block of attributes at block number `place` of the volume.
pub(crate) fn encode_block(
    attributes: &[Attribute],
    block_size: usize,
    place: u64,
    seed: u32,
) -> Vec<u8> {
    let mut block = vec![0; block_size];
    put32(&mut block, 0, MAGIC);
    put32(&mut block, 4, 1);
    put32(&mut block, 8, 1);
    let hashes: Vec<u32> = attributes.iter().map(Attribute::hash).collect();
    let whole = hashes
        .iter()
        .fold(0, |sum: u32, hash| sum.rotate_left(16) ^ hash);
    // Zero means "not shared": so says a single zero among the hashes.
    put32(&mut block, 12, if hashes.contains(&0) { 0 } else { whole });
    encode(&mut block, BLOCK_HEAD, attributes, Attribute::hash);
    let sum = block_sum(&block, place, seed);
    put32(&mut block, BLOCK_SUM, sum);
    block
}

fn encode(area: &mut [u8], mut at: usize, attributes: &[Attribute], hash: fn(&Attribute) -> u32) {
    let mut value_at = area.len();
    for attribute in attributes {
        let name = &attribute.name;
        let size = attribute.value.len();
        value_at -= size.next_multiple_of(4);
        area[at] = length8(name.len());
        area[at + 1] = attribute.index;
        let shown_at = if size == 0 { 0 } else { value_at };
        put16(area, at + 2, length16(shown_at));
        put32(area, at + 8, u32::try_from(size).unwrap_or(u32::MAX));
        put32(area, at + 12, hash(attribute));
        area[at + RECORD..at + RECORD + name.len()].copy_from_slice(name);
        area[value_at..value_at + size].copy_from_slice(&attribute.value);
        at += (RECORD + name.len()).next_multiple_of(4);
    }
}

fn block_sum(block: &[u8], place: u64, seed: u32) -> u32 {
    let mut sum = crc(seed, &place.to_le_bytes());
    sum = crc(sum, &block[..BLOCK_SUM]);
    sum = crc(sum, &[0; 4]);
    crc(sum, &block[BLOCK_SUM + 4..])
}

/// Whether the sum of the block at `place` is right.
pub(crate) fn is_sealed(block: &[u8], place: u64, seed: u32) -> bool {
    let long_enough = block.len() >= BLOCK_HEAD;
    long_enough && get32(block, BLOCK_SUM) == Some(block_sum(block, place, seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<Attribute> {
        let pairs: [(&[u8], &[u8]); 5] = [
            (b"security.capability", b"\x01\0\0\x02"),
            (b"trusted.overlay.opaque", b"y"),
            (b"user.empty", b""),
            (b"user.odd", b"12345"),
            (
                b"system.posix_acl_access",
                b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff",
            ),
        ];
        let portable = |(name, value): (&[u8], &[u8])| Xattr {
            name: name.to_vec(),
            value: value.to_vec(),
        };
        let mut all: Vec<_> = pairs
            .into_iter()
            .map(|pair| {
                let xattr = portable(pair);
                let attribute = Attribute::from_portable(&xattr).unwrap();
                assert_eq!(attribute.to_portable(), Some(xattr));
                attribute
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn attributes_survive_inode_and_block() {
        let all = sample();
        let (inside, outside) = divide(all.clone(), 96, 1024).unwrap();
        assert!(!inside.is_empty() && !outside.is_empty());
        assert_eq!(decode_in_inode(&encode_in_inode(&inside, 96)), Some(inside));
        let block = encode_block(&outside, 1024, 77, 5);
        assert_eq!(decode_block(&block), Some(outside));
        assert!(is_sealed(&block, 77, 5) && !is_sealed(&block, 78, 5));
    }

    #[test]
    fn damaged_attributes_never_panic() {
        let block = encode_block(&sample(), 1024, 1, 1);
        for bit in 0..block.len() * 8 {
            let mut bent = block.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            let found = decode_block(&bent).unwrap_or_default();
            found
                .iter()
                .for_each(|attribute| drop(attribute.to_portable()));
        }
        (0..block.len()).for_each(|short| drop(decode_block(&block[..short])));
    }

    #[test]
    fn names_without_a_known_prefix_are_refused() {
        for name in [
            "other.x",
            "user.",
            "system.data",
            "system.posix_acl_accessory_",
        ] {
            let xattr = Xattr {
                name: name.into(),
                value: Vec::new(),
            };
            let taken = Attribute::from_portable(&xattr);
            assert_eq!(taken.is_some(), name.ends_with("accessory_"), "{name}");
        }
    }
}

//! What an apply proved: image, plan and the root of what was read back.
//!
//! Whoever holds the manifest computes the same roots and needs no disk.
//! Accessed and changed times are not part of it: reading a disk moves them.

mod digest;
mod running;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use digest::{entry_digest, grouped_digest};
pub use running::RootHasher;

use crate::bytes::length;
use crate::entry::Entry;
use crate::ids::ImageId;
use crate::image::VolumeTree;

/// What was read back of one volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeProof {
    /// Index into the layout's partitions.
    pub partition: u32,
    /// Over all entries but the overlay's.
    #[serde(with = "hex_digest")]
    pub root: [u8; 32],
    /// How many entries the root covers.
    pub entries: u64,
    /// Logical bytes of their contents.
    pub bytes: u64,
}

/// An entry that was laid over the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayEntry {
    /// Index into the layout's partitions.
    pub partition: u32,
    /// Its path; as text, with what is not printable ASCII escaped.
    #[serde(with = "escaped_path")]
    pub path: Vec<u8>,
    /// [`entry_digest`] of it as read back.
    #[serde(with = "hex_digest")]
    pub digest: [u8; 32],
}

/// What an apply proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Which image.
    pub image: ImageId,
    /// The id of the plan that was carried out.
    #[serde(with = "hex_digest")]
    pub plan: [u8; 32],
    /// In partition order.
    pub volumes: Vec<VolumeProof>,
    /// In order of partition and path.
    pub overlay: Vec<OverlayEntry>,
    /// Hash of partition table, boot code and withheld sectors as read back.
    #[serde(with = "hex_digest")]
    pub boot_root: [u8; 32],
}

const DOMAIN: &[u8] = b"mimeo proof 0\0";
const VOLUME_DOMAIN: &[u8] = b"mimeo volume 0\0";

impl Proof {
    /// The bytes a signature covers: the same for the same proof, always.
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = DOMAIN.to_vec();
        bytes.extend(self.image.as_bytes());
        bytes.extend(self.plan);
        bytes.extend(length_of(&self.volumes));
        for volume in &self.volumes {
            bytes.extend(volume.partition.to_le_bytes());
            bytes.extend(volume.root);
            bytes.extend(volume.entries.to_le_bytes());
            bytes.extend(volume.bytes.to_le_bytes());
        }
        bytes.extend(length_of(&self.overlay));
        for entry in &self.overlay {
            bytes.extend(entry.partition.to_le_bytes());
            bytes.extend(length(&entry.path).to_le_bytes());
            bytes.extend(&entry.path);
            bytes.extend(entry.digest);
        }
        bytes.extend(self.boot_root);
        bytes
    }

    /// The hash of [`Proof::canonical`].
    pub fn digest(&self) -> [u8; 32] {
        *blake3::hash(&self.canonical()).as_bytes()
    }
}

fn length_of<T>(items: &[T]) -> [u8; 8] {
    (items.len() as u64).to_le_bytes()
}

/// The proof of a volume with these entries, in path order; those whose path
/// is in `skip` (the overlay's) do not count.
///
/// Link numbers do not matter, only which names belong together: each name
/// counts with the first name of its group that is not skipped, and the group's
/// content counts there.
pub fn volume_root(partition: u32, entries: &[Entry], skip: &BTreeSet<Vec<u8>>) -> VolumeProof {
    let groups = digest::groups(entries, skip);
    let mut hasher = blake3::Hasher::new();
    hasher.update(VOLUME_DOMAIN);
    let mut proof = VolumeProof {
        partition,
        root: [0; 32],
        entries: 0,
        bytes: 0,
    };
    for entry in entries.iter().filter(|entry| !skip.contains(&entry.path)) {
        let (digest, bytes) = groups.digest(entry);
        hasher.update(&digest);
        proof.entries += 1;
        proof.bytes = proof.bytes.saturating_add(bytes);
    }
    hasher.update(&proof.entries.to_le_bytes());
    proof.root = *hasher.finalize().as_bytes();
    proof
}

/// [`volume_root`] of an image's own tree.
pub fn volume_proof(tree: &VolumeTree, skip: &BTreeSet<Vec<u8>>) -> VolumeProof {
    volume_root(tree.partition, &tree.entries, skip)
}

mod hex_digest {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        digest: &[u8; 32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&blake3::Hash::from_bytes(*digest).to_hex())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        let hash = blake3::Hash::from_hex(text).map_err(serde::de::Error::custom)?;
        Ok(*hash.as_bytes())
    }
}

/// Printable ASCII but `\` as it is, every other byte as `\xNN`.
mod escaped_path {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(path: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let escape = |byte: &u8| match byte {
            b' '..=b'~' if *byte != b'\\' => char::from(*byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        };
        serializer.serialize_str(&path.iter().map(escape).collect::<String>())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut parts = text.split("\\x");
        let mut path = parts.next().unwrap_or_default().as_bytes().to_vec();
        for part in parts {
            let wrong = || D::Error::custom("a path's escape is \\x and two hexadecimal digits");
            let digits = part.get(..2).ok_or_else(wrong)?;
            path.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
            path.extend(part.get(2..).unwrap_or_default().as_bytes());
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests;

//! The root of a volume, entry after entry.

use super::{VOLUME_DOMAIN, VolumeProof};

/// Computes what [`super::volume_root`] does for those who do not hold all
/// entries: digests come one by one in path order.
#[derive(Debug, Clone)]
pub struct RootHasher {
    hasher: blake3::Hasher,
    proof: VolumeProof,
}

impl RootHasher {
    /// A volume without entries, of the partition with this index.
    pub fn new(partition: u32) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(VOLUME_DOMAIN);
        Self {
            hasher,
            proof: VolumeProof {
                partition,
                root: [0; 32],
                entries: 0,
                bytes: 0,
            },
        }
    }

    /// Takes the [`super::grouped_digest`] of the next entry and the length of
    /// its contents.
    pub fn add(&mut self, digest: &[u8; 32], bytes: u64) {
        self.hasher.update(digest);
        self.proof.entries += 1;
        self.proof.bytes = self.proof.bytes.saturating_add(bytes);
    }

    /// The proof over all that was taken.
    pub fn finish(mut self) -> VolumeProof {
        self.hasher.update(&self.proof.entries.to_le_bytes());
        self.proof.root = *self.hasher.finalize().as_bytes();
        self.proof
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::entry::{Content, Entry, Kind};
    use crate::proof::{grouped_digest, volume_root};

    #[test]
    fn entries_one_by_one_have_the_root_of_all_at_once() {
        let mut first = Entry::new("a", Kind::File);
        first.content = Content::Inline(b"both".to_vec());
        first.link = Some(7);
        let mut second = Entry::new("b", Kind::File);
        second.link = Some(7);
        let alone = Entry {
            link: Some(9),
            ..Entry::new("c", Kind::File)
        };
        let entries = [Entry::new("", Kind::Directory), first, second, alone];
        let mut hasher = RootHasher::new(3);
        for entry in &entries {
            let group = (entry.link == Some(7)).then_some(&b"a"[..]);
            hasher.add(&grouped_digest(entry, group), entry.content.size());
        }
        let all = volume_root(3, &entries, &BTreeSet::new());
        assert_eq!(hasher.finish(), all);
    }
}

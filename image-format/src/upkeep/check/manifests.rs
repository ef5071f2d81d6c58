//! Manifests as files, and those that no ref leads to.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Finding, place};
use crate::ids::ImageId;
use crate::image::ImageRecord;
use crate::share::{Share, chain};
use crate::store::{RefName, Store, StoreError};
use crate::upkeep::leases;

impl Check<'_> {
    pub(super) fn manifests(&mut self, share: &Share<&dyn Store>) -> Result<(), StoreError> {
        let named: BTreeSet<ImageId> = share.records().map(|record| record.image).collect();
        let mut nameless = Vec::new();
        for id in self.store.list_manifests()? {
            let bytes = match self.store.read_manifest(&id) {
                Ok(bytes) => bytes,
                // Collected since the list was read.
                Err(StoreError::Missing { .. }) => continue,
                // Who needs it says so.
                Err(_) if named.contains(&id) => continue,
                Err(error) => {
                    self.not_its_root(share, &id, chain(&error));
                    continue;
                }
            };
            if ImageId::of(&bytes) != id && !self.broken.contains_key(&id) {
                let found = format!("{} bytes that are not that", bytes.len());
                self.not_its_root(share, &id, found);
            }
            if !named.contains(&id) {
                nameless.push(id);
            }
        }
        self.nameless(share, nameless)
    }

    /// Where images can be read, something follows the root.
    fn not_its_root(&mut self, share: &Share<&dyn Store>, id: &ImageId, found: String) {
        let of_this = share.records().filter(|record| record.image == *id);
        self.report.findings.push(Finding {
            file: format!("manifests/{id}.man"),
            offset: None,
            expected: "a root whose hash is the file's name, and nothing behind it".to_owned(),
            found,
            images: of_this.map(place).collect(),
        });
    }

    /// Captures write the manifest before the ref, so while one is at work
    /// nothing can be told.
    fn nameless(
        &mut self,
        share: &Share<&dyn Store>,
        nameless: Vec<ImageId>,
    ) -> Result<(), StoreError> {
        let mut leases = leases::look(self.store)?;
        leases.retain(|id, _| Some(*id) != self.own);
        if leases.values().any(|lease| lease.writes && !lease.gone) {
            return Ok(());
        }
        let explained = self.may_be_deleted(share)?;
        for id in nameless {
            if explained || !is_whole(share, &id) {
                self.report.nameless.push(id);
                continue;
            }
            self.report.findings.push(Finding {
                file: format!("manifests/{id}.man"),
                offset: None,
                expected: "a ref that leads to this image, or the mark of a deletion".to_owned(),
                found: format!(
                    "neither: `mimeo image tag {} NAME` gives the image a name again, \
                     the next `mimeo share gc` removes it",
                    id.short()
                ),
                images: Vec::new(),
            });
        }
        Ok(())
    }

    /// Whether something was deleted: a mark stands, a sequence below the newest
    /// is not there, or a ref cannot be read.
    fn may_be_deleted(&self, share: &Share<&dyn Store>) -> Result<bool, StoreError> {
        let mut names: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for record in share.records() {
            let (newest, count) = names.entry(&record.name).or_default();
            *newest = record.sequence.max(*newest);
            *count += 1;
        }
        let any_gap = names.values().any(|(newest, count)| newest != count);
        let deleted: Vec<RefName> = self.store.list_deleted_refs()?;
        let unread = self.report.refs != share.records().count() as u64;
        Ok(any_gap || unread || !deleted.is_empty())
    }
}

/// Whether all that an image needs is in the index.
fn is_whole(share: &Share<&dyn Store>, id: &ImageId) -> bool {
    let Ok(record) = ImageRecord::without_name(share, id) else {
        return false;
    };
    let chunks = share.image_chunks(&record);
    chunks.is_ok_and(|chunks| {
        let mut chunks = chunks.iter();
        chunks.all(|chunk| share.index().locate(&chunk.id).is_some())
    })
}

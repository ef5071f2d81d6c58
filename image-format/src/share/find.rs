//! Images by what people type.

use super::{Share, ShareError};
use crate::ids;
use crate::image::ImageRecord;
use crate::store::Store;

impl<S: Store> Share<S> {
    /// An image by its name (the newest), its name and version as `name@3`, its
    /// id, or at least eight first digits of it.
    ///
    /// # Errors
    /// There is none, several begin with these digits, or the ref of this very
    /// version cannot be used: the one before it is never given instead.
    pub fn find(&self, name_or_id: &str) -> Result<ImageRecord, ShareError> {
        if let Some(lost) = self.refs.unreadable_newest(name_or_id) {
            return Err(ShareError::Newest {
                before: self
                    .history(name_or_id)
                    .last()
                    .map(|record| record.sequence),
                unreadable: lost.clone(),
            });
        }
        if let Some(record) = self.history(name_or_id).last() {
            return Ok(record.clone());
        }
        if let Some(found) = self.version(name_or_id) {
            return found;
        }
        self.by_digits(name_or_id)
    }

    /// The image called `name@version`.
    fn version(&self, asked: &str) -> Option<Result<ImageRecord, ShareError>> {
        let (name, version) = asked.rsplit_once('@')?;
        let sequence: u64 = version.parse().ok()?;
        let mut versions = self.history(name).iter();
        if let Some(record) = versions.find(|record| record.sequence == sequence) {
            return Some(Ok(record.clone()));
        }
        let mut unreadable = self.refs.unreadable_of(name);
        let lost = unreadable.find(|lost| lost.at.sequence == sequence)?;
        Some(Err(ShareError::Unreadable(lost.clone())))
    }

    fn by_digits(&self, asked: &str) -> Result<ImageRecord, ShareError> {
        let digits = asked.to_ascii_lowercase();
        let is_id = ids::could_begin(&digits);
        let begins = |record: &&ImageRecord| is_id && record.image.to_string().starts_with(&digits);
        let mut found: Vec<&ImageRecord> = self.records().filter(begins).collect();
        found.sort_by_key(|record| record.image);
        found.dedup_by_key(|record| record.image);
        match found.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(ShareError::Unknown {
                asked: asked.to_owned(),
            }),
            _ => Err(ShareError::Ambiguous {
                asked: digits,
                found: found.len(),
            }),
        }
    }
}

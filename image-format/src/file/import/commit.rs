//! The end of an import: manifests, the question whether every image is
//! whole, and only then refs.

use std::collections::BTreeMap;

use super::packs::Packs;
use super::{Import, ImportError, ImportReport, Imported};
use crate::file::images::ImageRow;
use crate::file::section::FileId;
use crate::image::ImageRecord;
use crate::ingest::guard::Guard;
use crate::refs;
use crate::share::Share;
use crate::store::{RefName, Store};

/// What becomes of one image.
enum Fate {
    /// The share has it under this name.
    Already(ImageRecord),
    /// It is committed with these bytes.
    Commit(ImageRecord, Vec<u8>),
}

impl Import<'_> {
    pub(super) fn commit(mut self, file: FileId) -> Result<ImportReport, ImportError> {
        self.packs.flush()?;
        let mut images = std::mem::take(&mut self.images);
        images.sort_by_key(|(row, _)| row.at());
        for (row, manifest) in &images {
            self.store.put_manifest(&row.record.image, manifest)?;
        }
        let share = Share::open(self.store)?;
        let rows: Vec<ImageRow> = images.into_iter().map(|(row, _)| row).collect();
        for row in &rows {
            check_whole(&share, row, &mut self.packs)?;
        }
        let mut images = Vec::new();
        for (from, fate) in fates(&share, rows)? {
            images.push(put_ref(self.store, self.packs.guard(), from, fate)?);
        }
        Ok(ImportReport {
            file,
            images,
            blocks: self.blocks,
            stored: self.stored,
            passed_over: self.passed_over,
            warning: None,
        })
    }
}

fn check_whole<S: Store>(
    share: &Share<S>,
    row: &ImageRow,
    packs: &mut Packs<'_>,
) -> Result<(), ImportError> {
    for chunk in share.image_chunks(&row.record)? {
        let found = share.index().find(&chunk.id);
        let found = found.filter(|(_, found)| found.length == chunk.length);
        let Some((place, _)) = found else {
            let (at, chunk) = (row.at(), chunk.id);
            return Err(ImportError::Incomplete { at, chunk });
        };
        packs.uses(place.pack);
    }
    Ok(())
}

/// All is decided before the first ref is written, so that a ref that cannot
/// be written leaves none of the file.
fn fates<S: Store>(
    share: &Share<S>,
    rows: Vec<ImageRow>,
) -> Result<Vec<(RefName, Fate)>, ImportError> {
    let mut newest: BTreeMap<String, u64> = BTreeMap::new();
    // Refs that cannot be used have their sequence too.
    let mut used = share.store().list_refs()?;
    used.extend(share.store().list_deleted_refs()?);
    for at in used {
        let newest = newest.entry(at.name).or_default();
        *newest = at.sequence.max(*newest);
    }
    let mut fates = Vec::new();
    for row in rows {
        let known = share.history(&row.record.name);
        let newest = newest.entry(row.record.name.clone()).or_default();
        let same = |record: &&ImageRecord| {
            record.image == row.record.image && record.captured == row.record.captured
        };
        let fate = match known.iter().find(same) {
            Some(record) => Fate::Already(record.clone()),
            None => fate(&row, newest)?,
        };
        fates.push((row.at(), fate));
    }
    Ok(fates)
}

/// The ref as it was exported, or under the next free sequence where its own is taken.
fn fate(row: &ImageRow, newest: &mut u64) -> Result<Fate, ImportError> {
    if row.record.sequence > *newest {
        *newest = row.record.sequence;
        return Ok(Fate::Commit(row.record.clone(), row.reference.clone()));
    }
    if row.signed {
        let (at, newest) = (row.at(), *newest);
        return Err(ImportError::Signed { at, newest });
    }
    *newest = newest.saturating_add(1);
    let record = ImageRecord {
        sequence: *newest,
        ..row.record.clone()
    };
    let at = row.at();
    let bytes = refs::encode(&record, None).map_err(|source| ImportError::Ref { at, source })?;
    Ok(Fate::Commit(record, bytes))
}

fn put_ref(
    store: &dyn Store,
    guard: &mut Guard<'_>,
    from: RefName,
    fate: Fate,
) -> Result<Imported, ImportError> {
    let (record, already) = match fate {
        Fate::Already(record) => (record, true),
        Fate::Commit(record, bytes) => {
            let at = RefName {
                name: record.name.clone(),
                sequence: record.sequence,
            };
            guard.hold(store)?;
            store.put_ref(&at, &bytes)?;
            guard.held(store, &at)?;
            (record, false)
        }
    };
    Ok(Imported {
        record,
        from,
        already,
    })
}

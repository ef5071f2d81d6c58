//! The refs of a share: those that can be used, and those that cannot.
//!
//! One damaged ref must not take the whole share away, and no reader may take
//! the version before it for the newest: so it is left out, and remembered.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{ShareError, chain};
use crate::image::ImageRecord;
use crate::refs::signature::Trust;
use crate::refs::{self, Ref, RefError};
use crate::store::{RefName, Store, StoreError};

/// A ref that lies in the share and cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} cannot be used: {}: {reason}; {}", at.typed(), at.file(), self.next_step())]
pub struct UnreadableRef {
    /// Which.
    pub at: RefName,
    /// What was expected and found.
    pub reason: String,
    /// Whether its bytes are no ref of this place. Else the medium did not give
    /// them, or a newer program wrote them: nothing that repairing would mend.
    pub is_damaged: bool,
}

impl UnreadableRef {
    /// What failed, if it is the fault of this ref alone; else the failure itself.
    pub(crate) fn of(at: RefName, error: ShareError) -> Result<Self, ShareError> {
        let (reason, is_damaged) = match &error {
            ShareError::Ref { source, .. } => match source {
                RefError::Syntax(_) | RefError::Older { .. } | RefError::Name { .. } => {
                    (chain(source), true)
                }
                RefError::Version { .. } => (chain(source), false),
                // Who trusts some only is told at once.
                _ => return Err(error),
            },
            ShareError::Misplaced { .. } => (chain(&error), true),
            ShareError::Store(StoreError::Io { .. }) => (chain(&error), false),
            _ => return Err(error),
        };
        Ok(Self {
            at,
            reason,
            is_damaged,
        })
    }

    /// What people can do about it.
    pub fn next_step(&self) -> String {
        let delete = format!(
            "`mimeo image delete {}` takes this version back",
            self.at.typed()
        );
        match self.is_damaged {
            true => format!("`mimeo share repair` sets it aside, {delete}"),
            false => delete,
        }
    }
}

/// All refs of a share at one moment.
#[derive(Debug, Default)]
pub(super) struct Refs {
    /// Of every name all sequences, ascending.
    pub(super) records: BTreeMap<String, Vec<ImageRecord>>,
    /// Sorted.
    pub(super) unreadable: Vec<UnreadableRef>,
}

impl Refs {
    pub(super) fn of(records: Vec<ImageRecord>) -> Self {
        let mut refs = Self::default();
        for record in records {
            let versions = refs.records.entry(record.name.clone()).or_default();
            versions.push(record);
        }
        refs
    }

    /// Reads all of them; `known` is what the same reader saw before.
    pub(super) fn read<S: Store>(
        store: &S,
        known: &Self,
        trust: Option<&Trust>,
    ) -> Result<Self, ShareError> {
        let mut names = store.list_refs()?;
        names.sort();
        let mut refs = Self::default();
        for at in names {
            match read_ref(store, &at, trust) {
                Ok(read) => refs.records.entry(at.name).or_default().push(read.record),
                // Deleted since the list was read.
                Err(ShareError::Store(StoreError::Missing { .. })) => {}
                Err(error) => refs.unreadable.push(UnreadableRef::of(at, error)?),
            }
        }
        // After the refs: what was deleted meanwhile is found here.
        refs.follow(known, &store.list_deleted_refs()?)?;
        Ok(refs)
    }

    /// Refuses a name whose newest sequence went back.
    fn follow(&self, known: &Self, deleted: &[RefName]) -> Result<(), ShareError> {
        for name in known.records.keys() {
            let used = deleted.iter().filter(|at| at.name == *name);
            let used = used.map(|at| at.sequence).max().unwrap_or(0);
            let (found, known) = (self.newest(name).max(used), known.newest(name));
            if found < known {
                let name = name.clone();
                let at = RefName {
                    name: name.clone(),
                    sequence: found,
                };
                let source = RefError::Older { name, known, found };
                return Err(ShareError::Ref { at, source });
            }
        }
        Ok(())
    }

    /// The newest sequence of a name, whether it can be used or not; 0 for none.
    fn newest(&self, name: &str) -> u64 {
        let read = self.records.get(name).and_then(|versions| versions.last());
        let unread = self.unreadable_of(name).last();
        let unread = unread.map_or(0, |lost| lost.at.sequence);
        read.map_or(0, |record| record.sequence).max(unread)
    }

    /// The versions of a name that cannot be used, oldest first.
    pub(super) fn unreadable_of(
        &self,
        name: &str,
    ) -> impl DoubleEndedIterator<Item = &UnreadableRef> {
        self.unreadable
            .iter()
            .filter(move |lost| lost.at.name == name)
    }

    /// The newest version of a name, where that is one that cannot be used.
    pub(super) fn unreadable_newest(&self, name: &str) -> Option<&UnreadableRef> {
        let newest = self.newest(name);
        self.unreadable_of(name)
            .find(|lost| lost.at.sequence == newest)
    }
}

/// One ref, which must say what its place says.
pub(crate) fn read_ref<S: Store + ?Sized>(
    store: &S,
    at: &RefName,
    trust: Option<&Trust>,
) -> Result<Ref, ShareError> {
    let bytes = store.read_ref(at)?;
    let read = refs::decode(&bytes, at.sequence, trust).map_err(|source| ShareError::Ref {
        at: at.clone(),
        source,
    })?;
    if read.record.name == at.name && read.record.sequence == at.sequence {
        Ok(read)
    } else {
        let found = RefName {
            name: read.record.name,
            sequence: read.record.sequence,
        };
        Err(ShareError::Misplaced {
            at: at.clone(),
            found,
        })
    }
}

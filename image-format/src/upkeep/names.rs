//! An image gets another name; a name is given up.
//!
//! Neither touches contents: a name is a ref, and what no ref needs goes with
//! the next garbage collection.

use thiserror::Error;

use super::leases::Lease;
use crate::fetch::MissingChunk;
use crate::ids::ImageId;
use crate::image::ImageRecord;
use crate::refs::signature::Signer;
use crate::refs::{self, CommitError};
use crate::share::{Share, ShareError};
use crate::store::{Object, RefName, Store, StoreError};

/// A name could not be given or taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NameError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The share cannot be read, or there is no such image.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The ref could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// No image of this name.
    #[error("no image is called {name}; `mimeo image list` shows the names")]
    NoName {
        /// The name.
        name: String,
    },
    /// The name has no such capture.
    #[error("{at} does not exist; {name} has the captures {found}", name = at.name)]
    NoSequence {
        /// What was asked for.
        at: RefName,
        /// What there is, as text.
        found: String,
    },
    /// What was said is not clear enough for something that cannot be undone.
    #[error("{name} has {count} captures: name one as {name}@{newest}, or say that all are meant")]
    Several {
        /// The name.
        name: String,
        /// How many captures it has.
        count: usize,
        /// The newest one.
        newest: u64,
    },
}

/// Gives an image one more name; it keeps those it has. What is there under the
/// new name stays, as an older capture.
///
/// # Errors
/// No such image, the name cannot be used, or the store failed.
pub fn tag<S: Store>(
    store: &S,
    image: &str,
    name: &str,
    signer: Option<&dyn Signer>,
) -> Result<ImageRecord, NameError> {
    refs::check_new_name(name).map_err(CommitError::from)?;
    // The lease first: the image found is then still there when it has the name.
    let _lease = Lease::take(store, "tag")?;
    let share = Share::open(store)?;
    let mut record = match share.find(image) {
        Err(error @ ShareError::Unknown { .. }) => nameless(&share, image)?.ok_or(error)?,
        found => found?,
    };
    record.name = name.to_owned();
    Ok(refs::commit(store, record, signer)?)
}

/// A whole image that lost its last name and is not collected yet, by its id or
/// at least eight first digits of it.
fn nameless<S: Store>(share: &Share<S>, asked: &str) -> Result<Option<ImageRecord>, ShareError> {
    let asked = asked.to_ascii_lowercase();
    if asked.len() < 8 || !asked.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let mut ids = share.store().list_manifests()?;
    ids.extend(
        share
            .store()
            .list_trash()?
            .iter()
            .filter_map(|what| match what.object {
                Object::Manifest(id) => Some(id),
                Object::Pack(_) => None,
            }),
    );
    ids.retain(|id| id.to_string().starts_with(&asked));
    ids.sort();
    ids.dedup();
    let id = match ids.as_slice() {
        [] => return Ok(None),
        [id] => id,
        _ => {
            let found = ids.len();
            return Err(ShareError::Ambiguous { asked, found });
        }
    };
    let record = ImageRecord::without_name(share, id)?;
    for chunk in share.image_chunks(&record)? {
        if share.index().locate(&chunk.id).is_none() {
            return Err(MissingChunk { id: chunk.id }.into());
        }
    }
    Ok(Some(record))
}

impl ImageRecord {
    /// What a manifest alone tells of an image: no ref says when it was captured,
    /// so that is now, and the name is empty.
    pub(crate) fn without_name<S: Store>(
        share: &Share<S>,
        id: &ImageId,
    ) -> Result<Self, ShareError> {
        let root = share.root(id)?;
        let contents = root.volumes.iter().map(|volume| volume.contents);
        Ok(Self {
            image: *id,
            name: String::new(),
            sequence: 0,
            captured: share.store().now(),
            parent: None,
            system: None,
            logical_size: contents.fold(0, u64::saturating_add),
            entries: root.entry_count(),
            profile: None,
            source: None,
            witnesses: None,
        })
    }
}

/// `NAME@SEQUENCE`, where there is such an end.
fn split(asked: &str) -> (&str, Option<u64>) {
    asked
        .rsplit_once('@')
        .and_then(|(name, sequence)| Some((name, Some(sequence.parse().ok()?))))
        .unwrap_or((asked, None))
}

/// The captures that `asked` means: `NAME@SEQUENCE` one, `NAME` the only one,
/// or with `all` every one of the name, oldest first. Also those whose ref
/// cannot be used: this is how they are taken back.
///
/// # Errors
/// There is no such name or capture, or several are meant without `all`.
pub fn chosen<S: Store>(
    share: &Share<S>,
    asked: &str,
    all: bool,
) -> Result<Vec<RefName>, NameError> {
    let whole = versions(share, asked);
    let (name, sequence) = match whole.as_slice() {
        [] => split(asked),
        _ => (asked, None),
    };
    let history = versions(share, name);
    match (history.as_slice(), sequence) {
        ([], _) => Err(NameError::NoName {
            name: name.to_owned(),
        }),
        (_, Some(sequence)) => {
            let mut one = history.iter().filter(|at| at.sequence == sequence);
            one.next().map(|at| vec![at.clone()]).ok_or_else(|| {
                let found = history.iter().map(|at| at.sequence.to_string());
                NameError::NoSequence {
                    at: RefName {
                        name: name.to_owned(),
                        sequence,
                    },
                    found: found.collect::<Vec<_>>().join(", "),
                }
            })
        }
        ([_], None) => Ok(history),
        (_, None) if all => Ok(history),
        ([.., newest], None) => Err(NameError::Several {
            name: name.to_owned(),
            count: history.len(),
            newest: newest.sequence,
        }),
    }
}

/// All versions of a name, those that cannot be used included, oldest first.
fn versions<S: Store>(share: &Share<S>, name: &str) -> Vec<RefName> {
    let read = share.history(name).iter().map(|record| RefName {
        name: record.name.clone(),
        sequence: record.sequence,
    });
    let unread = share.unreadable().iter().map(|lost| &lost.at);
    let mut versions: Vec<RefName> = read
        .chain(unread.filter(|at| at.name == name).cloned())
        .collect();
    versions.sort();
    versions
}

/// Takes these captures' names. Their sequences are never given again.
///
/// # Errors
/// The store failed; what was deleted before stays deleted.
pub fn delete<S: Store + ?Sized>(store: &S, versions: &[RefName]) -> Result<(), StoreError> {
    // The newest first: after a crash the older ones are still there, in order.
    for at in versions.iter().rev() {
        match store.delete_ref(at) {
            // Somebody else deleted it meanwhile.
            Ok(()) | Err(StoreError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    store.tidy_refs()
}

//! A share as a store over the wire: what is asked of it, and what it answers.
//!
//! Both directions are one body:
//!
//! ```text
//! length of the JSON 4 (little-endian) | JSON: Call or Answer | bytes, if there are any
//! ```
//! One question for each of a store's, so that whoever has a store in a folder
//! can have it on a server.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The JSON in front is a few lines; lists go into the bytes.
const LONGEST_HEAD: usize = 64 << 10;

/// What is asked. Ids and names are in [`Call::subject`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is the method of a store with this name")]
pub enum Verb {
    PutPack,
    ListPacks,
    ReadPack,
    PackFacts,
    ReadPackPart,
    PutIndex,
    ListIndexes,
    ReadIndex,
    RemoveIndex,
    PutManifest,
    ListManifests,
    ReadManifest,
    PutRef,
    ListRefs,
    ReadRef,
    DeleteRef,
    ListDeletedRefs,
    TidyRefs,
    Condemn,
    Restore,
    Destroy,
    Adopt,
    ListTrash,
    TrashLength,
    Settle,
    PutSeal,
    ListSeals,
    ReadSeal,
    RemoveSeal,
    PutLease,
    ListLeases,
    ReadLease,
    RemoveLease,
    /// Which of the chunks in the bytes (32 each) are there: answered with an
    /// index segment of those that are.
    Locate,
    /// Whether the bearer may capture under this name: asked before anything is
    /// read, so that hours are not lost.
    MayCapture,
}

/// Who may ask something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Whoever may read the share.
    Reading,
    /// Whoever may capture into it.
    Writing,
    /// Whoever may capture under the name in the call.
    Naming,
    /// The operator: it takes things away, or tells what only those need who do.
    Keeping,
}

impl Verb {
    /// Who may ask this.
    pub fn needs(self) -> Needs {
        match self {
            Self::PutPack
            | Self::PutIndex
            | Self::PutManifest
            | Self::PutLease
            | Self::RemoveLease
            // Brings back what a capture needs; takes nothing away.
            | Self::Restore
            // Ends deletions that were allowed.
            | Self::TidyRefs => Needs::Writing,
            Self::PutRef | Self::DeleteRef | Self::MayCapture => Needs::Naming,
            Self::RemoveIndex
            | Self::Condemn
            | Self::Destroy
            | Self::Adopt
            | Self::Settle
            | Self::PutSeal
            | Self::ListSeals
            | Self::ReadSeal
            | Self::RemoveSeal
            // Who knows a lease's id passes for its holder; seals name them too.
            | Self::ListLeases
            | Self::ReadLease => Needs::Keeping,
            _ => Needs::Reading,
        }
    }
}

/// A question to a share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// What is asked.
    pub verb: Verb,
    /// An id, a lease, a run, something in the trash, or an image's name.
    #[serde(default)]
    pub subject: String,
    /// The other name where there are two.
    #[serde(default)]
    pub other: String,
    /// A ref's sequence, or an offset in bytes.
    #[serde(default)]
    pub number: u64,
    /// How many bytes.
    #[serde(default)]
    pub length: u32,
}

impl Call {
    /// What is asked, for people.
    pub fn words(&self) -> String {
        let Self { subject, .. } = self;
        match self.verb {
            Verb::MayCapture => format!("asking whether {subject} may be captured"),
            Verb::ListRefs | Verb::ReadRef => "reading the list of images".to_owned(),
            Verb::PutRef => format!("committing {subject}"),
            Verb::DeleteRef => format!("deleting {subject}"),
            Verb::ReadPack | Verb::ReadPackPart | Verb::PackFacts => {
                format!("reading pack {}", short(subject))
            }
            Verb::PutPack => format!("storing pack {}", short(subject)),
            Verb::ReadManifest => format!("reading manifest {}", short(subject)),
            Verb::PutManifest => format!("storing manifest {}", short(subject)),
            Verb::ListIndexes | Verb::ReadIndex | Verb::Locate => "reading the index".to_owned(),
            Verb::PutLease | Verb::ListLeases | Verb::ReadLease | Verb::RemoveLease => {
                "keeping what is at work from being collected".to_owned()
            }
            verb => format!("{verb:?} {subject}").trim_end().to_owned(),
        }
    }
}

/// As much of an id as people need.
fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// What a share answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// It was done, or the bytes are what was asked for.
    Done,
    /// Whether there was something to do it to.
    Was {
        /// Whether.
        there: bool,
    },
    /// A length, and a moment in seconds since 1970 if one is known.
    Facts {
        /// In bytes.
        length: u64,
        /// When it was written.
        written: Option<u64>,
    },
    /// It is not there.
    Missing {
        /// Pack, manifest, ref...
        what: String,
        /// Which.
        name: String,
    },
    /// Another capture took the sequence.
    Conflict {
        /// The newest there is.
        newest: u64,
    },
    /// The bytes are not what they are called.
    Refused {
        /// Pack, manifest, ref...
        what: String,
        /// Which.
        name: String,
        /// What is wrong with them.
        reason: String,
    },
}

/// Not a question or an answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// It ends too early, or its head is longer than any.
    #[error(
        "a head of {length} bytes in a body of {found}: expected at most {LONGEST_HEAD} and no more than there are"
    )]
    Length {
        /// What it says.
        length: usize,
        /// What there is.
        found: usize,
    },
    /// The head cannot be read.
    #[error("its head is not understood")]
    Head(#[from] serde_json::Error),
}

/// A head and bytes in one body.
///
/// # Errors
/// The head cannot be written.
pub fn frame<T: Serialize>(head: &T, bytes: &[u8]) -> Result<Vec<u8>, FrameError> {
    let head = serde_json::to_vec(head)?;
    let length = u32::try_from(head.len()).unwrap_or(u32::MAX);
    let mut body = Vec::with_capacity(4 + head.len() + bytes.len());
    body.extend(length.to_le_bytes());
    body.extend(head);
    body.extend_from_slice(bytes);
    Ok(body)
}

/// The head and where its bytes begin.
///
/// # Errors
/// [`FrameError`].
pub fn unframe<T: DeserializeOwned>(body: &[u8]) -> Result<(T, &[u8]), FrameError> {
    let wrong = |length| FrameError::Length {
        length,
        found: body.len(),
    };
    let (length, rest) = body.split_first_chunk::<4>().ok_or(wrong(0))?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let parts = rest
        .split_at_checked(length)
        .filter(|_| length <= LONGEST_HEAD);
    let (head, bytes) = parts.ok_or(wrong(length))?;
    Ok((serde_json::from_slice(head)?, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_survives_its_body_and_no_cut_panics() {
        let call = Call {
            verb: Verb::ReadPackPart,
            subject: "ab".to_owned(),
            other: String::new(),
            number: 7,
            length: 9,
        };
        let body = frame(&call, b"bytes").unwrap();
        let (found, bytes) = unframe::<Call>(&body).unwrap();
        assert_eq!((found, bytes), (call, &b"bytes"[..]));
        let head = body.len() - 5;
        for cut in 0..head {
            assert!(unframe::<Call>(&body[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_head_longer_than_any_is_refused() {
        let mut body = u32::MAX.to_le_bytes().to_vec();
        body.extend([b' '; 100]);
        assert!(unframe::<Call>(&body).is_err());
    }
}

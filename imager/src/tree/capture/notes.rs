//! What a capture left out or could not hold still, counted and named.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use image_format::entry::printable;

/// Why a name is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A pattern, or it is the share itself.
    Excluded,
    /// Another file system begins here: the directory is in the image, empty.
    Mount,
    /// Sockets are made by the program that listens.
    Socket,
    /// It was gone, or something else, when it was to be read.
    Vanished,
    /// It changed while it was read, again and again: captured as last read.
    Changed,
    /// It could not be read, and that was allowed.
    Unreadable,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Excluded,
        Self::Mount,
        Self::Socket,
        Self::Vanished,
        Self::Changed,
        Self::Unreadable,
    ];

    /// One word, as records have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Excluded => "excluded",
            Self::Mount => "mounts",
            Self::Socket => "sockets",
            Self::Vanished => "vanished",
            Self::Changed => "changed",
            Self::Unreadable => "unreadable",
        }
    }

    /// What happened, for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Excluded => "left out by a pattern",
            Self::Mount => "another file system is mounted there; its contents were left out",
            Self::Socket => "sockets were left out",
            Self::Vanished => "gone before they could be read",
            Self::Changed => "changed while they were read; captured as last read",
            Self::Unreadable => "could not be read and were left out",
        }
    }

    /// Whether the image is less than what was asked for.
    pub fn is_warning(self) -> bool {
        matches!(self, Self::Vanished | Self::Changed | Self::Unreadable)
    }
}

/// How many names there are for one reason, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Noted {
    /// All of them.
    pub count: u64,
    /// Paths with a slash in front, unprintable bytes escaped; sorted, at most
    /// as many as the options say.
    pub paths: Vec<String>,
}

/// Notes taken by several threads.
pub(super) struct Notes {
    by_reason: Mutex<[Noted; Reason::ALL.len()]>,
    /// What was gone or could not be read: a folder is met by those who list
    /// it and by those who read its attributes.
    missed: Mutex<HashSet<(Reason, Vec<u8>)>>,
    limit: usize,
}

impl Notes {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            by_reason: Mutex::default(),
            missed: Mutex::default(),
            limit,
        }
    }

    pub(super) fn note(&self, reason: Reason, path: &[u8]) {
        if matches!(reason, Reason::Unreadable | Reason::Vanished) {
            let missed = self.missed.lock();
            let mut missed = missed.unwrap_or_else(PoisonError::into_inner);
            if !missed.insert((reason, path.to_vec())) {
                return;
            }
        }
        let mut all = self
            .by_reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(noted) = all.get_mut(reason as usize) {
            noted.count += 1;
            if noted.paths.len() < self.limit {
                noted.paths.push(display(path));
            }
        }
    }

    /// What was noted, reason by reason; those without names are left out.
    pub(super) fn finish(self) -> Vec<(Reason, Noted)> {
        let all = self
            .by_reason
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<_> = Reason::ALL.into_iter().zip(all).collect();
        found.retain(|(_, noted)| noted.count > 0);
        found
            .iter_mut()
            .for_each(|(_, noted)| noted.paths.sort_unstable());
        found
    }
}

/// A path for people: unprintable bytes escaped, a slash in front.
pub(super) fn display(path: &[u8]) -> String {
    format!("/{}", printable(path))
}

impl Notes {
    /// Fails with the first thing that makes the image less than what was asked for.
    pub(super) fn refuse(&self) -> Result<(), super::TreeError> {
        let all = self
            .by_reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let worst = Reason::ALL
            .into_iter()
            .zip(all.iter())
            .find(|(reason, noted)| reason.is_warning() && noted.count > 0);
        match worst {
            Some((reason, noted)) => Err(super::TreeError::Strict {
                what: reason.sentence(),
                noted: noted.clone(),
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_named_once_whoever_meets_it() {
        let notes = Notes::new(10);
        for reason in [Reason::Vanished, Reason::Unreadable] {
            for path in [&b"dsec"[..], b"dsec", b"other"] {
                notes.note(reason, path);
            }
        }
        let found = notes.finish();
        assert_eq!(found.len(), 2);
        for (reason, noted) in found {
            assert_eq!(noted.count, 2, "{reason:?}");
            assert_eq!(noted.paths, ["/dsec", "/other"], "{reason:?}");
        }
    }
}

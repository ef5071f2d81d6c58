//! The image before this one, read beside the walk: what did not change since
//! is taken from it and not read again.

use std::sync::mpsc::{Receiver, SyncSender};
use std::vec::IntoIter;

use image_format::entry::Entry;
use image_format::image::ImageRecord;
use image_format::manifest::Witness;
use image_format::share::{Share, ShareError};
use image_format::store::Store;

/// Entries handed on at a time.
const PORTION: usize = 512;
/// Portions that may wait.
pub(super) const WAITING: usize = 4;

/// An entry of the parent and how its source looked then.
pub(super) type Known = (Entry, Witness);
/// A part of the parent's entries, or why there are no more.
pub(super) type Portion = Result<Vec<Known>, ShareError>;

/// Reads the parent's entries with their witnesses, in order, until nobody
/// wants more. A parent without witnesses vouches for nothing.
pub(super) fn read<S: Store>(share: &Share<S>, record: &ImageRecord, send: &SyncSender<Portion>) {
    if let Err(error) = read_all(share, record, send) {
        // Nobody listens any more: then it does not matter.
        let _ = send.send(Err(error));
    }
}

fn read_all<S: Store>(
    share: &Share<S>,
    record: &ImageRecord,
    send: &SyncSender<Portion>,
) -> Result<(), ShareError> {
    let Some(witnesses) = share.witnesses(record, 0)? else {
        return Ok(());
    };
    let mut portion = Vec::with_capacity(PORTION);
    for (entry, witness) in share.entries(&record.image, 0)?.zip(witnesses) {
        portion.push((entry?, witness?));
        if portion.len() == PORTION && send.send(Ok(std::mem::take(&mut portion))).is_err() {
            return Ok(());
        }
    }
    let _ = send.send(Ok(portion));
    Ok(())
}

/// The parent's entries, asked in path order.
pub(super) struct Before {
    receive: Option<Receiver<Portion>>,
    portion: IntoIter<Known>,
    next: Option<Known>,
    /// Why the parent could not be read to its end; what follows counts as new.
    pub(super) broken: Option<ShareError>,
}

impl Before {
    /// Without a parent nothing is known.
    pub(super) fn new(receive: Option<Receiver<Portion>>) -> Self {
        Self {
            receive,
            portion: Vec::new().into_iter(),
            next: None,
            broken: None,
        }
    }

    /// The parent's entry at `path`, if its source still looks like `witness`.
    pub(super) fn unchanged(&mut self, path: &[u8], witness: Witness) -> Option<Entry> {
        loop {
            match &self.next {
                Some((entry, _)) if entry.path.as_slice() > path => return None,
                Some((entry, _)) if entry.path.as_slice() == path => {
                    let (entry, seen) = self.next.take()?;
                    return (seen == witness && seen != UNTRUSTED).then_some(entry);
                }
                _ => {
                    self.next = self.pull();
                    self.next.as_ref()?;
                }
            }
        }
    }

    fn pull(&mut self) -> Option<Known> {
        loop {
            if let Some(known) = self.portion.next() {
                return Some(known);
            }
            match self.receive.as_ref()?.recv() {
                Ok(Ok(portion)) => self.portion = portion.into_iter(),
                Ok(Err(error)) => {
                    self.broken = Some(error);
                    self.receive = None;
                }
                Err(_) => self.receive = None,
            }
        }
    }
}

/// Stands for a file that could still change without its times telling.
pub(super) const UNTRUSTED: Witness = Witness([0; 8]);

#[cfg(test)]
mod tests {
    use super::*;
    use image_format::entry::Kind;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn only_the_same_path_with_the_same_witness_is_unchanged() {
        let (send, receive) = sync_channel(4);
        let known = |path: &str, witness| (Entry::new(path, Kind::File), Witness([witness; 8]));
        send.send(Ok(vec![known("", 1), known("a", 1)])).unwrap();
        send.send(Ok(vec![known("b", 0), known("d", 4)])).unwrap();
        drop(send);
        let mut before = Before::new(Some(receive));
        let mut same =
            |path: &[u8], witness| before.unchanged(path, Witness([witness; 8])).is_some();
        assert!(same(b"", 1));
        assert!(!same(b"a", 2), "changed");
        assert!(!same(b"b", 0), "never trusted");
        assert!(!same(b"c", 1), "new");
        assert!(same(b"d", 4));
        assert!(!same(b"e", 4));
    }
}

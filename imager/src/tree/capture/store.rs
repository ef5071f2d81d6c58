//! The one thread that stores: what was read becomes entries of the image, in order.

use std::collections::HashMap;
use std::ops::ControlFlow;

use image_format::ChunkId;
use image_format::entry::{Content, Entry};
use image_format::ingest::{Cut, ImageWriter, Ingest, Pieces};
use image_format::manifest::Witness;

use super::read::{Body, Item, Reader, Reading, Ready, Ripe, Task, times, witness};
use super::{TreeError, TreeProgress};

/// Takes items in path order.
pub(super) struct Storing<'w, 'i> {
    pub(super) ingest: Ingest<'i>,
    pub(super) image: ImageWriter,
    pub(super) progress: TreeProgress,
    pub(super) watch: &'w mut dyn FnMut(TreeProgress) -> ControlFlow<()>,
    reading: &'w Reading<'w>,
    /// Of the file whose pieces are coming.
    pieces: Pieces,
    links: HashMap<u32, First>,
}

/// The first name of a group, for those that follow.
struct First {
    /// Without its contents.
    entry: Entry,
    inode: u64,
    witness: Witness,
    /// Names that may still come.
    left: u32,
}

impl<'w, 'i> Storing<'w, 'i> {
    pub(super) fn new(
        ingest: Ingest<'i>,
        image: ImageWriter,
        reading: &'w Reading<'w>,
        watch: &'w mut dyn FnMut(TreeProgress) -> ControlFlow<()>,
    ) -> Self {
        Self {
            ingest,
            image,
            progress: TreeProgress::default(),
            watch,
            reading,
            pieces: Pieces::of(b""),
            links: HashMap::new(),
        }
    }

    pub(super) fn item(&mut self, item: Item) -> Result<(), TreeError> {
        match item {
            Item::Ready(list) => {
                self.ingest.expect(list.iter().flat_map(kept_chunks))?;
                list.into_iter().try_for_each(|ready| self.ready(ready))?;
            }
            Item::Begin(pieces) => self.pieces = pieces,
            Item::Cut(cut) => {
                self.progress.read += cut.weight() as u64;
                self.ingest.put(&mut self.pieces, cut)?;
            }
            Item::Failed(error) => return Err(error),
        }
        let done = self.ingest.progress();
        (self.progress.new, self.progress.stored) = (done.new, done.stored);
        match (self.watch)(self.progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(TreeError::Interrupted),
        }
    }

    fn ready(&mut self, ready: Ready) -> Result<(), TreeError> {
        match ready {
            Ready::Entry {
                entry,
                witness,
                body,
                stat,
            } => {
                let entry = self.with_contents(*entry, body)?;
                self.remember(&entry, stat.inode, witness, stat.links);
                self.entry(entry, witness)
            }
            Ready::Reused(task) => self.reused(*task),
            Ready::Later(task) => self.later(*task),
        }
    }

    fn with_contents(&mut self, mut entry: Entry, body: Body) -> Result<Entry, TreeError> {
        match body {
            Body::Kept => self.progress.read += entry.content.size(),
            Body::Whole(chunk) => {
                self.progress.read += chunk.bytes().len() as u64;
                let mut pieces = Pieces::of(&entry.path);
                self.ingest.put(&mut pieces, Cut::Chunk(chunk))?;
                entry.content = Content::Pieces(pieces.finish());
            }
            Body::Pieces => {
                let pieces = std::mem::replace(&mut self.pieces, Pieces::of(b""));
                entry.content = Content::Pieces(pieces.finish());
            }
        }
        Ok(entry)
    }

    /// Keeps what later names of the same inode need.
    fn remember(&mut self, entry: &Entry, inode: u64, witness: Witness, links: u32) {
        let Some(number) = entry.link.filter(|_| links > 1) else {
            return;
        };
        let entry = Entry {
            content: Content::Empty,
            kind: entry.kind.clone(),
            xattrs: entry.xattrs.clone(),
            path: Vec::new(),
            ..*entry
        };
        self.links.insert(
            number,
            First {
                entry,
                inode,
                witness,
                left: links - 1,
            },
        );
    }

    /// As the parent has it: its metadata seen now, what hangs on its change
    /// time from then. Contents the share no longer has are read again.
    fn reused(&mut self, mut task: Task) -> Result<(), TreeError> {
        let Some(before) = task.before.take() else {
            return self.read_now(task);
        };
        let later = task.link.is_some_and(|link| !link.first);
        let has_contents = before.content.size() == contents_expected(&task, later);
        if !has_contents || !self.ingest.has(&before.content)? {
            return match later {
                true => self.later(task),
                false => self.read_now(task),
            };
        }
        let stat = &task.stat;
        let entry = Entry {
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            times: times(stat, self.reading.all_times),
            link: task.link.map(|link| link.number),
            ..before
        };
        let witness = witness(stat, self.reading.captured);
        self.progress.unchanged += 1;
        if !later {
            self.remember(&entry, stat.inode, witness, stat.links);
        }
        self.entry(entry, witness)
    }

    /// Another name of an inode: as the first one, if that was captured.
    fn later(&mut self, task: Task) -> Result<(), TreeError> {
        let Some(link) = task.link else {
            return self.read_now(task);
        };
        let Some(first) = self.links.get_mut(&link.number) else {
            return self.read_now(task);
        };
        if first.inode != task.stat.inode {
            return self.read_now(task);
        }
        let entry = Entry {
            path: task.named.path,
            ..first.entry.clone()
        };
        let witness = first.witness;
        first.left -= 1;
        if first.left == 0 {
            self.links.remove(&link.number);
        }
        self.entry(entry, witness)
    }

    /// Reads what nobody else will: rare, so it may keep the others waiting.
    fn read_now(&mut self, task: Task) -> Result<(), TreeError> {
        let mut result = Ok(());
        let mut ripe = Ripe::default();
        let mut reader = Reader::new(self.reading);
        let mut sink = |item, _| {
            result = self.item(item);
            result.is_ok()
        };
        let goes_on = reader.read_one(&task, &mut ripe, &mut sink);
        if goes_on {
            ripe.flush(&mut sink);
        }
        result
    }

    fn entry(&mut self, entry: Entry, witness: Witness) -> Result<(), TreeError> {
        self.progress.entries += 1;
        self.progress.bytes = self.progress.bytes.saturating_add(entry.content.size());
        self.image.entry(&mut self.ingest, entry, Some(witness))?;
        Ok(())
    }
}

/// The chunks the parent's entry has, where it may be used again.
fn kept_chunks(ready: &Ready) -> impl Iterator<Item = ChunkId> {
    let before = match ready {
        Ready::Reused(task) => task.before.as_ref(),
        Ready::Entry { .. } | Ready::Later(_) => None,
    };
    before
        .into_iter()
        .flat_map(|entry| entry.content.chunks())
        .map(|chunk| chunk.id)
}

/// Bytes the parent's entry must have to stand for this name.
fn contents_expected(task: &Task, later: bool) -> u64 {
    match task.stat.file_type {
        rustix::fs::FileType::RegularFile if !later => task.stat.size,
        _ => 0,
    }
}

//! A name becomes an entry: opened, read, hashed; read again when it changed
//! meanwhile.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};

use image_format::chunker::WHOLE_BELOW;
use image_format::entry::{Content, Entry, INLINE_LIMIT, Kind, Times, Timestamp};
use image_format::ingest::{Cut, Cutter, HashedChunk, Pieces};
use image_format::manifest::Witness;
use rustix::fs::FileType;
use rustix::io::Errno;

use super::before::UNTRUSTED;
use super::bytes::{again, stretch, whole};
use super::link::Link;
use super::notes::{Notes, Reason};
use super::walk::Named;
use super::{Inode, TreeError};
use crate::tree::metadata::{self, Stat};

/// So often a file that changes under the reader is read.
const ATTEMPTS: u32 = 3;
/// Bytes of a large file read at a time.
const PORTION: usize = 1 << 20;
/// Times of files are only as fine as the kernel's clock ticks, and some file
/// systems count whole seconds, FAT two: what changed later than this before
/// the capture began may change again and look the same.
const TICK_SECONDS: i64 = 2;

/// A name to be read.
pub(super) struct Task {
    pub(super) named: Named,
    pub(super) stat: Stat,
    pub(super) link: Option<Link>,
    /// The parent's entry, if it is still true.
    pub(super) before: Option<Entry>,
}

/// What goes to the one thread that stores, in path order.
pub(super) enum Item {
    /// Entries that are ready.
    Ready(Vec<Ready>),
    /// Pieces of a file follow; those that came before for it do not count.
    Begin(Pieces),
    /// The next piece of it.
    Cut(Cut),
    /// Reading came to an end.
    Failed(TreeError),
}

/// An entry on its way.
pub(super) enum Ready {
    /// Read.
    Entry {
        entry: Box<Entry>,
        witness: Witness,
        body: Body,
        stat: Stat,
    },
    /// As the parent has it, or to be read if the parent's contents are gone.
    Reused(Box<Task>),
    /// A later name: as the first one of its group, or to be read if that failed.
    Later(Box<Task>),
}

/// Where an entry's contents are.
pub(super) enum Body {
    /// In the entry.
    Kept,
    /// One chunk.
    Whole(HashedChunk),
    /// In the pieces that went before.
    Pieces,
}

/// How to read.
pub(super) struct Reading<'r> {
    pub(super) notes: &'r Notes,
    pub(super) omit: &'r HashSet<Inode>,
    pub(super) skip_unreadable: bool,
    pub(super) all_times: bool,
    /// Seconds since 1970 when the capture began.
    pub(super) captured: i64,
}

/// Nobody takes any more.
struct Unheard;

/// Where items go: bytes they keep, and whether anybody takes them.
pub(super) type Sink<'s> = dyn FnMut(Item, usize) -> bool + 's;

/// One thread's reader.
pub(super) struct Reader<'r> {
    reading: &'r Reading<'r>,
    buffer: Vec<u8>,
}

enum Failure {
    Unheard,
    Gone,
    Errno(&'static str, Errno),
}

impl From<Unheard> for Failure {
    fn from(_: Unheard) -> Self {
        Self::Unheard
    }
}

/// Marks an error with what was being done.
fn doing<T>(what: &'static str, result: Result<T, Errno>) -> Result<T, Failure> {
    result.map_err(|errno| match errno {
        Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::NXIO | Errno::ISDIR => Failure::Gone,
        errno => Failure::Errno(what, errno),
    })
}

impl<'r> Reader<'r> {
    pub(super) fn new(reading: &'r Reading<'r>) -> Self {
        Self {
            reading,
            buffer: Vec::new(),
        }
    }

    /// Reads tasks in order; ends early when nobody takes what is read.
    pub(super) fn read_all(&mut self, tasks: Vec<Task>, sink: &mut Sink<'_>) {
        let mut ready = Ripe::default();
        for task in tasks {
            if task.before.is_some() {
                ready.push(Ready::Reused(Box::new(task)), 0);
            } else if task.link.is_some_and(|link| !link.first) {
                ready.push(Ready::Later(Box::new(task)), 0);
            } else if !self.read_one(&task, &mut ready, sink) {
                return;
            }
        }
        ready.flush(sink);
    }

    /// Reads one name. `false`: stop.
    pub(super) fn read_one(&mut self, task: &Task, ready: &mut Ripe, sink: &mut Sink<'_>) -> bool {
        let path = task.named.path.as_slice();
        let result = match task.stat.file_type {
            FileType::RegularFile => self.file(task, ready, sink),
            FileType::Directory => self.directory(task, ready),
            _ => self.other(task, ready),
        };
        match result {
            Ok(()) => ready.weight < PORTION || ready.flush(sink),
            Err(Failure::Unheard) => false,
            Err(Failure::Gone) => {
                self.reading.notes.note(Reason::Vanished, path);
                true
            }
            Err(Failure::Errno(_, _)) if self.reading.skip_unreadable => {
                self.reading.notes.note(Reason::Unreadable, path);
                true
            }
            Err(Failure::Errno(doing, errno)) => {
                ready.flush(sink);
                sink(Item::Failed(TreeError::read(path, doing, errno)), 0);
                false
            }
        }
    }

    /// A directory stays, whatever befell it since: names below it may be on their way.
    fn directory(&mut self, task: &Task, ready: &mut Ripe) -> Result<(), Failure> {
        let mut entry = self.entry(&task.named.path, Kind::Directory, &task.stat);
        // What is mounted on it is not the image's business.
        if !task.stat.is_mount || task.named.path.is_empty() {
            let opened = metadata::open_directory(task.named.dir.as_fd(), task.named.name());
            match doing("opening", opened) {
                Ok(fd) => self.more(&mut entry, &fd)?,
                Err(Failure::Gone) => self.reading.notes.note(Reason::Vanished, &task.named.path),
                Err(other) => return Err(other),
            }
        }
        ready.push(self.ready(entry, &task.stat, Body::Kept), 0);
        Ok(())
    }

    /// Links, pipes, device nodes: never opened.
    fn other(&mut self, task: &Task, ready: &mut Ripe) -> Result<(), Failure> {
        let (dir, name) = (task.named.dir.as_fd(), task.named.name());
        let kind = doing("reading", metadata::kind(dir, name, &task.stat))?;
        let mut entry = self.entry(&task.named.path, kind.ok_or(Failure::Gone)?, &task.stat);
        entry.link = task.link.map(|link| link.number);
        entry.xattrs = doing("reading attributes of", metadata::xattrs_of_name(dir, name))?;
        ready.push(self.ready(entry, &task.stat, Body::Kept), 0);
        Ok(())
    }

    fn file(&mut self, task: &Task, ready: &mut Ripe, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let (dir, name, path) = (task.named.dir.as_fd(), task.named.name(), &task.named.path);
        let mut attempt = 0;
        loop {
            let fd = doing("opening", metadata::open_file(dir, name))?;
            let before = doing("looking at", metadata::stat(fd.as_fd(), b""))?;
            if before.file_type != FileType::RegularFile {
                return Err(Failure::Gone);
            }
            let mut entry = self.entry(path, Kind::File, &before);
            // Another file by now has no part in the group of the one that was there.
            let same = (before.device, before.inode) == (task.stat.device, task.stat.inode);
            entry.link = task.link.filter(|_| same).map(|link| link.number);
            self.more(&mut entry, &fd)?;
            let body = self.contents(&fd, &before, &mut entry, ready, sink)?;
            let after = doing("looking at", metadata::stat(fd.as_fd(), b""))?;
            attempt += 1;
            let still = before.same_contents(&after);
            if still || attempt == ATTEMPTS {
                let weight = match (&body, &entry.content) {
                    (Body::Whole(chunk), _) => chunk.bytes().len(),
                    (_, Content::Inline(bytes)) => bytes.len(),
                    _ => 0,
                };
                let mut done = self.ready(entry, &after, body);
                if !still {
                    self.reading.notes.note(Reason::Changed, path);
                    if let Ready::Entry { witness, .. } = &mut done {
                        *witness = UNTRUSTED;
                    }
                }
                ready.push(done, weight);
                return Ok(());
            }
        }
    }

    /// Attributes and flags of what is open.
    fn more(&self, entry: &mut Entry, fd: &OwnedFd) -> Result<(), Failure> {
        entry.xattrs = doing("reading attributes of", metadata::xattrs(fd.as_fd()))?;
        entry.flags = doing("reading flags of", metadata::flags(fd))?;
        Ok(())
    }

    fn contents(
        &mut self,
        fd: &OwnedFd,
        stat: &Stat,
        entry: &mut Entry,
        ready: &mut Ripe,
        sink: &mut Sink<'_>,
    ) -> Result<Body, Failure> {
        let has_holes = stat.sectors.saturating_mul(512) < stat.size;
        if stat.size < WHOLE_BELOW && !has_holes {
            let bytes = doing("reading", whole(fd, stat.size))?;
            if bytes.is_empty() {
                return Ok(Body::Kept);
            }
            if bytes.len() <= INLINE_LIMIT {
                entry.content = Content::Inline(bytes);
                return Ok(Body::Kept);
            }
            return Ok(HashedChunk::of(bytes).map_or(Body::Kept, Body::Whole));
        }
        if !ready.flush(sink) || !sink(Item::Begin(Pieces::of(&entry.path)), 0) {
            return Err(Failure::Unheard);
        }
        let mut cutter = Cutter::new(&entry.path, stat.size);
        self.stream(fd, stat.size, has_holes, &mut cutter, sink)?;
        match cutter.finish(&mut |cut| hand_on(cut, sink))? {
            Some(bytes) if bytes.is_empty() => Ok(Body::Kept),
            Some(bytes) => {
                entry.content = Content::Inline(bytes);
                Ok(Body::Kept)
            }
            None => Ok(Body::Pieces),
        }
    }

    fn stream(
        &mut self,
        fd: &OwnedFd,
        size: u64,
        has_holes: bool,
        cutter: &mut Cutter,
        sink: &mut Sink<'_>,
    ) -> Result<(), Failure> {
        self.buffer.resize(PORTION, 0);
        let mut at = 0;
        while at < size {
            let (data, end) = match has_holes {
                false => (at, size),
                true => doing("reading", stretch(fd, at, size))?,
            };
            cutter.hole(data - at, &mut |cut| hand_on(cut, sink))?;
            at = data;
            while at < end {
                let length = usize::try_from(end - at).map_or(PORTION, |left| left.min(PORTION));
                let room = self.buffer.get_mut(..length).unwrap_or_default();
                let read = doing("reading", again(|| rustix::io::pread(fd, &mut *room, at)))?;
                let Some(bytes) = room.get(..read).filter(|bytes| !bytes.is_empty()) else {
                    // Shorter by now: what is left of it.
                    return Ok(());
                };
                cutter.write(bytes, &mut |cut| hand_on(cut, sink))?;
                at += read as u64;
            }
        }
        Ok(())
    }

    pub(super) fn entry(&self, path: &[u8], kind: Kind, stat: &Stat) -> Entry {
        Entry {
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            times: times(stat, self.reading.all_times),
            ..Entry::new(path, kind)
        }
    }

    fn ready(&self, entry: Entry, stat: &Stat, body: Body) -> Ready {
        Ready::Entry {
            entry: Box::new(entry),
            witness: witness(stat, self.reading.captured),
            body,
            stat: *stat,
        }
    }
}

/// Entries that wait to be handed on together.
#[derive(Default)]
pub(super) struct Ripe {
    list: Vec<Ready>,
    weight: usize,
}

impl Ripe {
    fn push(&mut self, ready: Ready, weight: usize) {
        self.list.push(ready);
        self.weight += weight;
    }

    pub(super) fn flush(&mut self, sink: &mut Sink<'_>) -> bool {
        let Self { list, weight } = std::mem::take(self);
        list.is_empty() || sink(Item::Ready(list), weight)
    }
}

/// Reading a file changes its access time, and capturing it its attributes'
/// names at most; only who asks for them gets times that differ every time.
pub(super) fn times(stat: &Stat, all: bool) -> Times {
    match all {
        true => stat.times,
        false => Times {
            accessed: stat.times.modified,
            changed: stat.times.modified,
            ..stat.times
        },
    }
}

/// How a source looks when nothing about it changed.
pub(super) fn witness(stat: &Stat, captured: i64) -> Witness {
    let Timestamp { seconds, .. } = stat.times.changed;
    if seconds >= captured.saturating_sub(TICK_SECONDS) {
        return UNTRUSTED;
    }
    Witness::of(
        stat.inode,
        stat.size,
        stat.times.modified,
        stat.times.changed,
    )
}

fn hand_on(cut: Cut, sink: &mut Sink<'_>) -> Result<(), Unheard> {
    let weight = cut.weight();
    match sink(Item::Cut(cut), weight) {
        true => Ok(()),
        false => Err(Unheard),
    }
}

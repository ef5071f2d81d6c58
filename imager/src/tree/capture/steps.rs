//! The steps of a capture on their threads, tied together by lines.

use std::num::NonZero;
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use image_format::image::ImageRecord;
use image_format::share::{Share, ShareError};
use image_format::store::Store;
use rustix::fs::FileType;
use rustix::io::Errno;

use super::before::{self, Before};
use super::identity::Root;
use super::line::{Ending, Line, Place, Stopping};
use super::link::Links;
use super::notes::Reason;
use super::read::{Item, Reader, Reading, Task, witness};
use super::store::Storing;
use super::walk::{Named, Rules, Walk};
use super::{Shared, TreeError};
use crate::tree::metadata::{self, Stat};

/// Names handed on at a time.
const NAMES: usize = 256;
/// Contents handed on at a time, when there are fewer names than that.
const BYTES: u64 = 4 << 20;
/// Bytes read that may wait to be stored; twice that at the most.
const WAITING: usize = 16 << 20;
/// Names looked at that may wait.
const LOOKED_AT: usize = 64 * NAMES;
/// More threads that read gain nothing: storing is one thread.
const MOST_THREADS: usize = 16;

/// Names with what was found at them.
type Looked = Result<Vec<(Named, Result<Stat, Errno>)>, TreeError>;
type Work<'l, I, O> = (Place<'l, O>, I);

/// Reads everything below `root` into `storing`. Answers with the reason why
/// the parent could not be read, if there is one.
pub(super) fn run<S: Store>(
    root: &Root,
    rules: &Rules<'_>,
    reading: &Reading<'_>,
    before: Option<(&Share<S>, &ImageRecord)>,
    threads: usize,
    storing: &mut Storing<'_, '_>,
) -> Result<Option<ShareError>, TreeError> {
    let threads = match threads {
        0 => thread::available_parallelism().map_or(1, NonZero::get),
        asked => asked,
    };
    let threads = threads.min(MOST_THREADS);
    let (looked, items) = (Line::new(LOOKED_AT), Line::new(WAITING));
    thread::scope(|scope| {
        let (send_names, names) = sync_channel(threads * 2);
        let (send_tasks, tasks) = sync_channel(threads * 2);
        let (names, tasks) = (shared(names), shared(tasks));
        let (looked, items) = (&looked, &items);
        scope.spawn(move || walk(root, rules, looked, &send_names));
        for _ in 0..threads {
            let (names, tasks) = (Arc::clone(&names), Arc::clone(&tasks));
            scope.spawn(move || work(&names, look));
            scope.spawn(move || {
                let mut reader = Reader::new(reading);
                work(&tasks, |place: Place<'_, Item>, batch| {
                    reader.read_all(batch, &mut |item, bytes| place.give(item, bytes));
                });
            });
        }
        drop((names, tasks));
        let parent = before.map(|(share, record)| {
            let (send, receive) = sync_channel(before::WAITING);
            scope.spawn(move || before::read(share, record, &send));
            receive
        });
        let grouping = scope.spawn(move || group(reading, looked, items, parent, &send_tasks));
        // Whatever ends the storing ends all who work for it.
        let stopping = Stopping(items);
        while let Some(item) = items.take() {
            storing.item(item)?;
        }
        drop(stopping);
        grouping.join().map_err(|_| TreeError::CutShort)
    })
}

fn shared<T>(receiver: Receiver<T>) -> Shared<Receiver<T>> {
    Arc::new(Mutex::new(receiver))
}

/// Takes work until there is none; what nobody wants any more is dropped by
/// those who do it, so that nobody waits for a place in a channel.
fn work<'l, I, O>(inbox: &Mutex<Receiver<Work<'l, I, O>>>, mut act: impl FnMut(Place<'l, O>, I)) {
    loop {
        let next = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((place, batch)) = next else {
            return;
        };
        act(place, batch);
    }
}

/// All names, in portions.
fn walk<'l>(
    root: &Root,
    rules: &Rules<'_>,
    looked: &'l Line<Looked>,
    send: &SyncSender<Work<'l, Vec<Named>, Looked>>,
) {
    let _ending = Ending(looked);
    let mut batch = Vec::with_capacity(NAMES);
    let hand_on = |batch: &mut Vec<Named>| match looked.place() {
        Some(place) => send.send((place, std::mem::take(batch))).is_ok(),
        None => false,
    };
    let walked = Walk::new(&root.dir, rules).and_then(|walk| {
        walk.run(|named| {
            batch.push(named);
            batch.len() < NAMES || hand_on(&mut batch)
        })
    });
    hand_on(&mut batch);
    if let (Err(error), Some(place)) = (walked, looked.place()) {
        place.give(Err(error), 0);
    }
}

fn look(place: Place<'_, Looked>, batch: Vec<Named>) {
    let count = batch.len();
    let looked = batch.into_iter().map(|named| {
        let stat = metadata::stat(named.dir.as_fd(), named.name());
        (named, stat)
    });
    place.give(Ok(looked.collect()), count);
}

/// In path order: which names are one inode, which are as the parent has them.
fn group<'l>(
    reading: &Reading<'_>,
    looked: &Line<Looked>,
    items: &'l Line<Item>,
    parent: Option<Receiver<before::Portion>>,
    send: &SyncSender<Work<'l, Vec<Task>, Item>>,
) -> Option<ShareError> {
    let (_ending, _stopping) = (Ending(items), Stopping(looked));
    let mut grouping = Grouping {
        reading,
        links: Links::default(),
        before: Before::new(parent),
        lost: std::collections::HashSet::new(),
    };
    let (mut batch, mut bytes) = (Vec::with_capacity(NAMES), 0);
    let hand_on = |batch: &mut Vec<Task>| match items.place() {
        Some(place) => send.send((place, std::mem::take(batch))).is_ok(),
        None => false,
    };
    while let Some(portion) = looked.take() {
        let named = match portion {
            Ok(named) => named,
            Err(error) => {
                fail(items, error);
                return None;
            }
        };
        for (named, stat) in named {
            match grouping.task(named, stat) {
                Ok(None) => continue,
                Ok(Some(task)) => {
                    bytes += if task.before.is_none() {
                        task.stat.size
                    } else {
                        0
                    };
                    batch.push(task);
                }
                Err(error) => {
                    fail(items, error);
                    return None;
                }
            }
            if batch.len() >= NAMES || bytes >= BYTES {
                bytes = 0;
                if !hand_on(&mut batch) {
                    return None;
                }
            }
        }
    }
    hand_on(&mut batch);
    grouping.before.broken.take()
}

fn fail(items: &Line<Item>, error: TreeError) {
    if let Some(place) = items.place() {
        place.give(Item::Failed(error), 0);
    }
}

struct Grouping<'g> {
    reading: &'g Reading<'g>,
    links: Links,
    before: Before,
    /// Directories that were gone when they were looked at: what is in them
    /// cannot be in the image.
    lost: std::collections::HashSet<Vec<u8>>,
}

impl Grouping<'_> {
    fn task(&mut self, named: Named, stat: Result<Stat, Errno>) -> Result<Option<Task>, TreeError> {
        let path = named.path.as_slice();
        if !self.lost.is_empty() && self.lost.contains(parent_of(path)) {
            self.lost.insert(named.path);
            return Ok(None);
        }
        let (notes, skip) = (self.reading.notes, self.reading.skip_unreadable);
        let stat = match stat {
            Ok(stat) => stat,
            Err(errno) => {
                match errno {
                    Errno::NOENT => notes.note(Reason::Vanished, path),
                    _ if skip => notes.note(Reason::Unreadable, path),
                    errno => return Err(TreeError::read(path, "looking at", errno)),
                }
                self.lost.insert(named.path);
                return Ok(None);
            }
        };
        if stat.file_type == FileType::Socket {
            notes.note(Reason::Socket, path);
            return Ok(None);
        }
        if stat.is_mount && stat.file_type != FileType::Directory {
            notes.note(Reason::Mount, path);
            return Ok(None);
        }
        let omitted = self.reading.omit.contains(&(stat.device, stat.inode));
        if omitted && stat.file_type == FileType::RegularFile {
            notes.note(Reason::Excluded, path);
            return Ok(None);
        }
        let link = self.links.of(path, &stat);
        let witness = witness(&stat, self.reading.captured);
        let before = self.before.unchanged(path, witness);
        Ok(Some(Task {
            before: before.filter(|entry| same_kind(entry, &stat)),
            named,
            stat,
            link,
        }))
    }
}

/// A hash of eight bytes is not taken on its word for the kind.
fn same_kind(entry: &image_format::entry::Entry, stat: &Stat) -> bool {
    use image_format::entry::Kind;
    let (major, minor) = stat.node;
    match &entry.kind {
        Kind::Directory => stat.file_type == FileType::Directory,
        Kind::File => stat.file_type == FileType::RegularFile,
        Kind::Symlink(_) => stat.file_type == FileType::Symlink,
        Kind::Fifo => stat.file_type == FileType::Fifo,
        kind @ Kind::CharDevice { .. } => {
            stat.file_type == FileType::CharacterDevice
                && *kind == Kind::CharDevice { major, minor }
        }
        kind @ Kind::BlockDevice { .. } => {
            stat.file_type == FileType::BlockDevice && *kind == Kind::BlockDevice { major, minor }
        }
        Kind::Socket | Kind::RawVolume => false,
    }
}

/// The path of the directory a path lies in.
fn parent_of(path: &[u8]) -> &[u8] {
    let cut = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    path.get(..cut).unwrap_or_default()
}

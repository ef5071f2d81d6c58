//! The first walk: folders at once, everything that needs no block by many
//! hands, and what needs blocks noted in rows.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use image_format::entry::{Content, Entry, Kind, Piece};
use rustix::fs::Mode;
use rustix::io::Errno;

use super::hands::{self, Small};
use super::laid::{FolderRow, Laid, Link, Still};
use super::run::{Phase, Run, at};
use super::waiting::{Have, note};
use super::{clear, existing};
use crate::tree::error::TreeError;
use crate::tree::held::{Holder, STILL};
use crate::tree::place::{FolderId, Folders, PlaceError, ROOT, Rows, Temper, Trail, known, text};
use crate::tree::plan::Origin;

/// Walks through the image once. All folders are there afterwards, and all that
/// needs no block.
pub(super) fn lay(run: &Run<'_>, origin: &Origin<'_>) -> Result<Laid, TreeError> {
    run.phase(Phase::Names);
    let rows = Mutex::new(Rows::default());
    let mut walk = Walk::new(run, &rows);
    let walked: Result<(), TreeError> = std::thread::scope(|scope| {
        let pool = hands::Pool::start(scope, run, &rows);
        let mut holder = Holder::new(&run.plan.can, origin.volume);
        let mut hands = hands::Batches::new(&pool);
        for entry in (origin.entries)()? {
            if run.stopped() {
                break;
            }
            if let Some(entry) = holder.hold(entry?, &mut |_| {}) {
                walk.entry(entry, &mut hands)?;
            }
        }
        hands.finish();
        Ok(())
    });
    // What a hand could not do is the reason, whatever the walk says.
    run.result()?;
    walked?;
    let mut laid = walk.finish();
    laid.rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(laid)
}

struct Walk<'w, 'a> {
    run: &'w Run<'a>,
    rows: &'w Mutex<Rows>,
    trail: Trail,
    folders: Folders,
    folder_rows: Vec<FolderRow>,
    by_link: HashMap<u32, (FolderId, u32)>,
    links: Vec<Link>,
    still: Vec<Still>,
    known: Vec<[u8; 16]>,
    /// The folder of the entry before: mostly that of the next one.
    last: Option<(FolderId, Arc<OwnedFd>)>,
}

impl<'w, 'a> Walk<'w, 'a> {
    fn new(run: &'w Run<'a>, rows: &'w Mutex<Rows>) -> Self {
        Self {
            run,
            rows,
            trail: Trail::default(),
            folders: Folders::new(),
            folder_rows: Vec::new(),
            by_link: HashMap::new(),
            links: Vec::new(),
            still: Vec::new(),
            known: Vec::new(),
            last: None,
        }
    }

    fn finish(mut self) -> Laid {
        self.known.sort_unstable();
        Laid {
            folders: self.folders,
            folder_rows: self.folder_rows,
            rows: Rows::default(),
            links: self.links,
            still: self.still,
            known: self.known,
        }
    }

    fn entry(&mut self, entry: Entry, hands: &mut hands::Batches<'_>) -> Result<(), TreeError> {
        if entry.path.is_empty() {
            return self.root(&entry);
        }
        let strange = || PlaceError::Path {
            path: text(&entry.path),
        };
        let (folder, name) = self.trail.parent(&entry.path).ok_or_else(strange)?;
        if self.run.plan.wishes.reuse {
            self.known.push(known(folder, name));
        }
        if let Some(first) = entry.link.and_then(|link| self.by_link.get(&link)) {
            let first = *first;
            let name = (folder, self.folders.names.push(name)?);
            self.links.push(Link { first, name });
            return Ok(());
        }
        if entry.kind == Kind::Directory {
            return self.folder(&entry, folder, name);
        }
        let own_flags = entry.flags & STILL != 0;
        let needs_block = has_chunk(&entry.content);
        let place = if entry.link.is_some() || own_flags || needs_block {
            (folder, self.folders.names.push(name)?)
        } else {
            (folder, 0)
        };
        if let Some(link) = entry.link {
            self.by_link.insert(link, place);
        }
        if own_flags {
            let flags = entry.flags;
            self.still.push(Still { name: place, flags });
        }
        if needs_block && self.run.is_fresh() {
            let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
            return note(self.run, &mut rows, &entry, place, Have::Nothing);
        }
        let fd = self.descriptor(folder)?;
        hands.push(Small {
            fd,
            folder,
            name: place.1,
            entry,
        });
        Ok(())
    }

    fn root(&mut self, entry: &Entry) -> Result<(), TreeError> {
        self.trail.enter(b"", ROOT);
        self.folder_row(entry)?;
        let root = self.run.descriptors.root();
        clear::calm(root).map_err(at("opening", b""))
    }

    fn folder(&mut self, entry: &Entry, parent: FolderId, name: &[u8]) -> Result<(), TreeError> {
        let fd = self.descriptor(parent)?;
        let made = rustix::fs::mkdirat(&*fd, name, Mode::RWXU);
        let taken = match made {
            Ok(()) => false,
            Err(Errno::EXIST) => existing::folder(self.run, &fd, name, &entry.path)?,
            Err(error) => return Err(at("making", &entry.path)(error)),
        };
        let id = self.folders.push(parent, name)?;
        self.trail.enter(&entry.path, id);
        self.folder_row(entry)?;
        let opened = self.run.descriptors.enter(&fd, name, id);
        let opened = opened.map_err(at("opening", &entry.path))?;
        if taken {
            clear::calm(&opened).map_err(at("opening", &entry.path))?;
        }
        self.last = Some((id, opened));
        Ok(())
    }

    fn folder_row(&mut self, entry: &Entry) -> Result<(), TreeError> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let temper = rows.temper(Temper::of(entry)).ok_or(PlaceError::TooMany)?;
        self.folder_rows.push(FolderRow {
            temper,
            modified: entry.times.modified,
            accessed: entry.times.accessed,
        });
        Ok(())
    }

    fn descriptor(&mut self, id: FolderId) -> Result<Arc<OwnedFd>, TreeError> {
        if let Some((last, fd)) = &self.last
            && *last == id
        {
            return Ok(Arc::clone(fd));
        }
        let found = self.run.descriptors.folder(&self.folders, id);
        let fd = found.map_err(|error| at("opening", &self.folders.path(id))(error))?;
        self.last = Some((id, Arc::clone(&fd)));
        Ok(fd)
    }
}

fn has_chunk(content: &Content) -> bool {
    match content {
        Content::Pieces(pieces) => pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Chunk { .. })),
        Content::Empty | Content::Inline(_) => false,
    }
}

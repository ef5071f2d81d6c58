//! The folder that is written into. Every name is opened from it downwards:
//! neither `..` nor a symbolic link, put there before or during, leads out.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image_format::entry::{Entry, Kind, Piece};
use image_format::ids::ChunkRef;
use image_format::share::Share;
use image_format::store::Store;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::look::LookError;
use crate::look::contents::Contents;
use crate::tree::write_all;

/// Until an entry is whole, nobody else may look into it.
const PRIVATE: Mode = Mode::RWXU;

/// The kernel takes paths of 4096 bytes; longer ones go in parts of this.
const AT_ONCE: usize = 2048;

/// The folder, open.
pub(super) struct Target {
    root: Arc<OwnedFd>,
    path: PathBuf,
    force: bool,
    /// Nothing lay in it: it takes what the root of the image has.
    fresh: bool,
    /// The folder entries came into last: the next ones mostly go there too.
    last: Option<(Vec<u8>, Arc<OwnedFd>)>,
}

/// Where something was made.
pub(super) struct Made {
    folder: Arc<OwnedFd>,
    name: Vec<u8>,
}

impl Made {
    pub(super) fn folder(&self) -> &OwnedFd {
        &self.folder
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }
}

impl Target {
    /// Opens the folder, and makes it if it is not there.
    pub(super) fn open(path: &Path, force: bool) -> Result<Self, LookError> {
        let failed = |doing| {
            move |source: std::io::Error| LookError::Target {
                doing,
                path: path.to_owned(),
                source,
            }
        };
        std::fs::create_dir_all(path).map_err(failed("making"))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty());
        let root = root.map_err(|error| failed("opening")(error.into()))?;
        let mut there = std::fs::read_dir(path).map_err(failed("reading"))?;
        Ok(Self {
            root: Arc::new(root),
            path: path.to_owned(),
            force,
            fresh: there.next().is_none(),
            last: None,
        })
    }

    /// Makes a folder; whether it is new. The root is there, and counts as new
    /// when nothing lay in it.
    pub(super) fn folder(&mut self, path: &[u8]) -> Result<bool, LookError> {
        if path.is_empty() {
            return Ok(self.fresh);
        }
        let made = self.place(path)?;
        match rustix::fs::mkdirat(made.folder(), made.name(), PRIVATE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => self.open_folder(path).map(|_| false),
            Err(error) => Err(self.failed("making the folder", path, error)),
        }
    }

    /// A folder below the target.
    pub(super) fn open_folder(&self, path: &[u8]) -> Result<OwnedFd, LookError> {
        let opened = self.beneath(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty());
        opened.map_err(|error| self.failed("opening the folder", path, error))
    }

    /// Something that was made here.
    pub(super) fn open_again(&self, path: &[u8]) -> Result<OwnedFd, LookError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let opened = self.beneath(path, flags, Mode::empty());
        opened.map_err(|error| self.failed("opening", path, error))
    }

    /// A new file; it gets its name when it is finished.
    pub(super) fn file(&mut self, path: &[u8]) -> Result<NewFile<'_>, LookError> {
        let made = self.place(path)?;
        let name = self.own_name(&made);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mode = Mode::RUSR | Mode::WUSR;
        if !self.force {
            self.refuse_existing(&made, path)?;
        }
        let opened = rustix::fs::openat(made.folder(), &*name, flags | OFlags::CLOEXEC, mode);
        let file = opened.map_err(|error| self.failed("making", path, error))?;
        Ok(NewFile {
            target: self,
            path: path.to_vec(),
            made,
            own_name: Some(name),
            file,
        })
    }

    /// A symbolic link.
    pub(super) fn symlink(&mut self, to: &[u8], path: &[u8]) -> Result<Made, LookError> {
        self.named(path, "making the symbolic link", |made, name| {
            rustix::fs::symlinkat(to, made.folder(), name)
        })
    }

    /// A further name for what was made at `first`.
    pub(super) fn link(&mut self, first: &[u8], path: &[u8]) -> Result<Made, LookError> {
        let from = first.to_vec();
        let from = self.place(&from)?;
        self.named(path, "making the hard link", |made, name| {
            let flags = AtFlags::empty();
            rustix::fs::linkat(from.folder(), from.name(), made.folder(), name, flags)
        })
    }

    /// A device, pipe or socket; `None` where that is not allowed.
    pub(super) fn node(&mut self, entry: &Entry) -> Result<Option<Made>, LookError> {
        let (kind, device) = match entry.kind {
            Kind::CharDevice { major, minor } => {
                (FileType::CharacterDevice, rustix::fs::makedev(major, minor))
            }
            Kind::BlockDevice { major, minor } => {
                (FileType::BlockDevice, rustix::fs::makedev(major, minor))
            }
            Kind::Fifo => (FileType::Fifo, 0),
            _ => (FileType::Socket, 0),
        };
        let mut refused = false;
        let made = self.named(&entry.path, "making", |made, name| {
            let result = rustix::fs::mknodat(made.folder(), name, kind, Mode::empty(), device);
            refused = result == Err(Errno::PERM);
            result
        });
        match refused {
            true => Ok(None),
            false => made.map(Some),
        }
    }

    /// Makes something that is whole at once: under its name, or, to replace
    /// what is there, beside it and renamed.
    fn named(
        &mut self,
        path: &[u8],
        doing: &'static str,
        mut make: impl FnMut(&Made, &[u8]) -> Result<(), Errno>,
    ) -> Result<Made, LookError> {
        let made = self.place(path)?;
        match make(&made, made.name()) {
            Ok(()) => return Ok(made),
            Err(Errno::EXIST) if self.force => {}
            Err(Errno::EXIST) => return Err(self.exists(path)),
            Err(error) => return Err(self.failed(doing, path, error)),
        }
        let name = self.own_name(&made);
        make(&made, &name).map_err(|error| self.failed(doing, path, error))?;
        self.rename(&made, &name, path)?;
        Ok(made)
    }

    fn rename(&self, made: &Made, from: &[u8], path: &[u8]) -> Result<(), LookError> {
        let renamed = rustix::fs::renameat(made.folder(), from, made.folder(), made.name());
        renamed.map_err(|error| {
            let _ = rustix::fs::unlinkat(made.folder(), from, AtFlags::empty());
            self.failed("replacing", path, error)
        })?;
        // Two names of one file: renaming one onto the other does nothing.
        let _ = rustix::fs::unlinkat(made.folder(), from, AtFlags::empty());
        Ok(())
    }

    fn refuse_existing(&self, made: &Made, path: &[u8]) -> Result<(), LookError> {
        let found = rustix::fs::statat(made.folder(), made.name(), AtFlags::SYMLINK_NOFOLLOW);
        match found {
            Err(Errno::NOENT) => Ok(()),
            Ok(_) => Err(self.exists(path)),
            Err(error) => Err(self.failed("looking at", path, error)),
        }
    }

    /// A name in the same folder that nobody else uses.
    fn own_name(&self, made: &Made) -> Vec<u8> {
        let hash = blake3::hash(made.name()).to_hex();
        let process = rustix::process::getpid().as_raw_nonzero();
        format!(".mimeo-{process}-{}", hash.get(..16).unwrap_or_default()).into_bytes()
    }

    /// The folder of a path, open, and its name in there.
    fn place(&mut self, path: &[u8]) -> Result<Made, LookError> {
        let slash = path.iter().rposition(|&byte| byte == b'/');
        let (folder, name) = match slash {
            Some(at) => (&path[..at], path.get(at + 1..).unwrap_or_default()),
            None => (&[][..], path),
        };
        let open = match &self.last {
            _ if folder.is_empty() => Arc::clone(&self.root),
            Some((last, open)) if last == folder => Arc::clone(open),
            _ => {
                let open = Arc::new(self.open_folder(folder)?);
                self.last = Some((folder.to_vec(), Arc::clone(&open)));
                open
            }
        };
        Ok(Made {
            folder: open,
            name: name.to_vec(),
        })
    }

    fn beneath(&self, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let always = OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let on_the_way = OFlags::PATH | OFlags::DIRECTORY | always;
        let mut rest = if path.is_empty() { b"." } else { path };
        let mut folder: Option<OwnedFd> = None;
        loop {
            let from = folder.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
            let slash = rest.get(..AT_ONCE).and_then(|first| {
                let slash = first.iter().rposition(|&byte| byte == b'/')?;
                Some((rest.get(..slash)?, rest.get(slash + 1..)?))
            });
            let Some((first, behind)) = slash else {
                return rustix::fs::openat2(from, rest, flags | always, mode, resolve);
            };
            let next = rustix::fs::openat2(from, first, on_the_way, Mode::empty(), resolve)?;
            (folder, rest) = (Some(next), behind);
        }
    }

    fn exists(&self, path: &[u8]) -> LookError {
        LookError::Exists {
            path: self.full(path),
        }
    }

    fn failed(&self, doing: &'static str, path: &[u8], error: Errno) -> LookError {
        LookError::Target {
            doing,
            path: self.full(path),
            source: error.into(),
        }
    }

    fn full(&self, path: &[u8]) -> PathBuf {
        self.path.join(OsStr::from_bytes(path))
    }
}

/// A file without its name; what is not finished is removed.
pub(super) struct NewFile<'t> {
    target: &'t Target,
    path: Vec<u8>,
    made: Made,
    own_name: Option<Vec<u8>>,
    file: OwnedFd,
}

impl NewFile<'_> {
    pub(super) fn file(&self) -> &OwnedFd {
        &self.file
    }

    /// Writes all contents; holes stay holes.
    pub(super) fn fill<S: Store>(
        &self,
        share: &Share<S>,
        contents: &Contents,
    ) -> Result<(), LookError> {
        let failed = |error| self.target.failed("writing", &self.path, error);
        self.write(contents.inline(), 0)?;
        for (start, piece) in contents.pieces() {
            if let Piece::Chunk { id, length } = *piece {
                let bytes = share.chunk(&ChunkRef { id, length })?;
                self.write(&bytes, *start)?;
            }
        }
        rustix::fs::ftruncate(&self.file, contents.size()).map_err(failed)
    }

    fn write(&self, bytes: &[u8], offset: u64) -> Result<(), LookError> {
        write_all(&self.file, bytes, offset)
            .map_err(|error| self.target.failed("writing", &self.path, error))
    }

    /// Gives the file its name.
    pub(super) fn finish(mut self) -> Result<(), LookError> {
        let Some(name) = self.own_name.take() else {
            return Ok(());
        };
        if self.target.force {
            return self.target.rename(&self.made, &name, &self.path);
        }
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        let (folder, to) = (self.made.folder(), self.made.name());
        let renamed = rustix::fs::renameat_with(folder, &*name, folder, to, flags);
        match renamed {
            Ok(()) => Ok(()),
            // A file system that cannot: between looking and naming nobody is kept out.
            Err(Errno::INVAL | Errno::NOSYS) => {
                let there = self.target.refuse_existing(&self.made, &self.path);
                there.and_then(|()| self.target.rename(&self.made, &name, &self.path))
            }
            Err(Errno::EXIST) => Err(self.target.exists(&self.path)),
            Err(error) => Err(self.target.failed("naming", &self.path, error)),
        }
        .inspect_err(|_| self.own_name = Some(name))
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if let Some(name) = self.own_name.take() {
            let _ = rustix::fs::unlinkat(self.made.folder(), &*name, AtFlags::empty());
        }
    }
}

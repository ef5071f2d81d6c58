//! Where a single file is written to: a file, the end of one, a pipe, parts.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::FileError;
use super::parts::{MAX_PARTS, PartHead, PartRow};
use super::pieces::part_path;
use super::section::{FileId, HEADER_LENGTH, Kind, Section};

/// No part is longer: what a FAT32 stick holds.
pub const MOST_PART: u64 = (4 << 30) - (64 << 10);
/// Parts of a split whose size nobody chose: 3.9 GiB, in whole MiB.
pub const DEFAULT_PART: u64 = 3993 << 20;
/// Shorter parts could not take the longest sections.
pub const LEAST_PART: u64 = 80 << 20;

/// The section that comes next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    pub(super) file: FileId,
    pub(super) number: u64,
    pub(super) offset: u64,
}

/// Takes bytes in order.
pub(super) trait Sink {
    /// So many bytes that stay together are about to come.
    fn room(&mut self, length: u64, next: Next) -> Result<(), FileError>;
    fn write(&mut self, bytes: &[u8]) -> Result<(), FileError>;
    /// What was written is on the medium when this returns, where the medium can say so.
    fn sync(&mut self) -> Result<(), FileError>;
    /// All parts but the one being written; `None` where nothing is split.
    fn closed_parts(&self) -> Option<&[PartRow]>;
    /// Takes back what was written, after a failure.
    fn abandon(&mut self);
}

/// A pipe, or anything else that only takes bytes.
pub(super) struct PipeSink<'w>(pub(super) &'w mut dyn Write);

impl Sink for PipeSink<'_> {
    fn room(&mut self, _: u64, _: Next) -> Result<(), FileError> {
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let result = self.0.write_all(bytes);
        result.map_err(|source| FileError::io("writing", Path::new("-"), source))
    }

    fn sync(&mut self) -> Result<(), FileError> {
        let result = self.0.flush();
        result.map_err(|source| FileError::io("writing", Path::new("-"), source))
    }

    fn closed_parts(&self) -> Option<&[PartRow]> {
        None
    }

    fn abandon(&mut self) {}
}

/// Bytes on their way to a file: few system calls for many short sections.
struct Buffered {
    path: PathBuf,
    file: File,
    waiting: Vec<u8>,
}

impl Buffered {
    const MOST: usize = 1 << 20;

    fn create(path: &Path) -> Result<Self, FileError> {
        let created = OpenOptions::new().write(true).create_new(true).open(path);
        let file = created.map_err(|source| FileError::io("creating", path, source))?;
        Ok(Self::new(path, file))
    }

    fn new(path: &Path, file: File) -> Self {
        Self {
            path: path.to_owned(),
            file,
            waiting: Vec::new(),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= Self::MOST {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), FileError> {
        let result = self.file.write_all(&self.waiting);
        self.waiting.clear();
        result.map_err(|source| FileError::io("writing", &self.path, source))
    }

    fn sync(&mut self) -> Result<(), FileError> {
        self.flush()?;
        let result = self.file.sync_all();
        result.map_err(|source| FileError::io("syncing", &self.path, source))?;
        sync_parent(&self.path)
    }
}

/// A file of its own, or the end of one.
pub(super) struct FileSink {
    file: Buffered,
    /// What stood there before; `None` for a new file.
    kept: Option<u64>,
}

impl FileSink {
    /// A new file, which must not exist.
    pub(super) fn create(path: &Path) -> Result<Self, FileError> {
        let file = Buffered::create(path)?;
        Ok(Self { file, kept: None })
    }

    /// After the first `total` bytes of a file that is locked by the caller;
    /// what stands after them belongs to an append that did not end.
    pub(super) fn append(path: &Path, mut file: File, total: u64) -> Result<Self, FileError> {
        let failed = |source| FileError::io("appending to", path, source);
        file.set_len(total).map_err(failed)?;
        file.seek(SeekFrom::Start(total)).map_err(failed)?;
        Ok(Self {
            file: Buffered::new(path, file),
            kept: Some(total),
        })
    }
}

impl Sink for FileSink {
    fn room(&mut self, _: u64, _: Next) -> Result<(), FileError> {
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write(bytes)
    }

    fn sync(&mut self) -> Result<(), FileError> {
        self.file.sync()
    }

    fn closed_parts(&self) -> Option<&[PartRow]> {
        None
    }

    fn abandon(&mut self) {
        // Whatever cannot be taken back has no footer and is told as cut off.
        match self.kept {
            Some(total) => drop(self.file.file.set_len(total)),
            None => drop(fs::remove_file(&self.file.path)),
        }
    }
}

/// Parts of a size, cut between sections.
pub(super) struct SplitSink {
    base: PathBuf,
    size: u64,
    part: Option<OpenPart>,
    closed: Vec<PartRow>,
}

struct OpenPart {
    file: Buffered,
    length: u64,
    hasher: blake3::Hasher,
}

impl OpenPart {
    fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write(bytes)?;
        self.hasher.update(bytes);
        self.length = self.length.saturating_add(bytes.len() as u64);
        Ok(())
    }
}

impl SplitSink {
    /// Parts of `base` of at most `size` bytes.
    pub(super) fn new(base: &Path, size: u64) -> Self {
        Self {
            base: base.to_owned(),
            size: size.min(MOST_PART),
            part: None,
            closed: Vec::new(),
        }
    }

    fn begin(&mut self, next: Next) -> Result<(), FileError> {
        if let Some(mut part) = self.part.take() {
            part.file.sync()?;
            self.closed.push(PartRow {
                length: part.length,
                hash: *part.hasher.finalize().as_bytes(),
            });
        }
        let number = u32::try_from(self.closed.len()).map_or(u32::MAX, |closed| closed + 1);
        let path = part_path(&self.base, number);
        if number > MAX_PARTS {
            let reason = format!("more than {MAX_PARTS} parts: choose larger ones");
            return Err(FileError::Part { path, reason });
        }
        let mut part = OpenPart {
            file: Buffered::create(&path)?,
            length: 0,
            hasher: blake3::Hasher::new(),
        };
        let head = PartHead {
            part: number,
            offset: next.offset,
        }
        .encode();
        let section = Section {
            kind: Kind::Part,
            file: next.file,
            number: next.number,
            length: head.len() as u64,
            link: 0,
            hash: *blake3::hash(&head).as_bytes(),
        };
        let written = part
            .write(&section.encode())
            .and_then(|()| part.write(&head));
        self.part = Some(part);
        written
    }
}

impl Sink for SplitSink {
    fn room(&mut self, length: u64, next: Next) -> Result<(), FileError> {
        let used = self.part.as_ref().map_or(u64::MAX, |part| part.length);
        if used.saturating_add(length) > self.size {
            let head = HEADER_LENGTH + super::parts::HEAD_LENGTH;
            if head.saturating_add(length) > self.size {
                let reason = format!(
                    "a section of {length} bytes does not fit into parts of {}: choose larger ones",
                    self.size
                );
                let path = self.base.clone();
                return Err(FileError::Part { path, reason });
            }
            self.begin(next)?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.part.as_mut().map_or(Ok(()), |part| part.write(bytes))
    }

    fn sync(&mut self) -> Result<(), FileError> {
        self.part.as_mut().map_or(Ok(()), |part| part.file.sync())
    }

    fn closed_parts(&self) -> Option<&[PartRow]> {
        Some(&self.closed)
    }

    fn abandon(&mut self) {
        let open = u32::from(self.part.take().is_some());
        let closed = u32::try_from(self.closed.len()).unwrap_or(0);
        for number in 1..=closed.saturating_add(open) {
            drop(fs::remove_file(part_path(&self.base, number)));
        }
    }
}

fn sync_parent(path: &Path) -> Result<(), FileError> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let synced = File::open(parent).and_then(|dir| dir.sync_all());
    synced.map_err(|source| FileError::io("syncing", parent, source))
}

//! The bytes of a single file, in one piece or in parts, as one run of bytes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::kind::Kind;
use super::parts::{HEAD_LENGTH, MAX_PARTS, PartHead, PartRow};
use super::section::{FileId, HEADER, HEADER_LENGTH, Section};
use super::{FileError, Place};

/// Header and payload of a part's head.
const HEAD: u64 = HEADER_LENGTH + HEAD_LENGTH;

/// The file of a part: `name.mim.001`.
pub(super) fn part_path(base: &Path, part: u32) -> PathBuf {
    let mut name = OsString::from(base);
    name.push(format!(".{part:03}"));
    PathBuf::from(name)
}

/// The numbers of the parts of `base` that are there, ascending.
pub(super) fn listed(base: &Path) -> Result<Vec<u32>, FileError> {
    let parent = base
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let failed = |source| FileError::io("listing", parent, source);
    let mut numbers = Vec::new();
    for entry in fs::read_dir(parent).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let suffix = base.file_name().and_then(|base| {
            let name = name.to_str()?.strip_prefix(base.to_str()?)?;
            name.strip_prefix('.')
        });
        numbers.extend(suffix.and_then(part_number));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn part_number(suffix: &str) -> Option<u32> {
    let digits = suffix.len() >= 3 && suffix.bytes().all(|byte| byte.is_ascii_digit());
    let number = suffix.parse().ok().filter(|_| digits)?;
    ((1..=MAX_PARTS).contains(&number) && format!("{number:03}") == suffix).then_some(number)
}

/// One file of a single file.
#[derive(Debug, Clone)]
struct Piece {
    path: PathBuf,
    /// Where its sections begin in the whole.
    start: u64,
    /// Bytes of the head before them.
    head: u64,
    /// Bytes of its sections.
    length: u64,
}

/// All files of a single file. Each read opens its file anew, so that any
/// number of threads may read, and nothing is mapped that a network may take away.
#[derive(Debug, Clone)]
pub(super) struct Pieces {
    pieces: Vec<Piece>,
    split: bool,
}

impl Pieces {
    /// Finds the file, or all parts when `path` names a split file or one of its parts.
    pub(super) fn find(path: &Path) -> Result<Self, FileError> {
        let number = path
            .extension()
            .and_then(|text| part_number(text.to_str()?));
        if number.is_some() {
            let base = path.with_extension("");
            return Self::parts(&base);
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => Self::whole(path, metadata.len()),
            Ok(_) => Err(FileError::NotOne {
                path: path.to_owned(),
                found: "it is no regular file".to_owned(),
            }),
            Err(error) if error.kind() == ErrorKind::NotFound && part_path(path, 1).exists() => {
                Self::parts(path)
            }
            Err(source) => Err(FileError::io("opening", path, source)),
        }
    }

    fn whole(path: &Path, length: u64) -> Result<Self, FileError> {
        let piece = Piece {
            path: path.to_owned(),
            start: 0,
            head: 0,
            length,
        };
        Ok(Self {
            pieces: vec![piece],
            split: false,
        })
    }

    fn parts(base: &Path) -> Result<Self, FileError> {
        let numbers = listed(base)?;
        let mut pieces: Vec<Piece> = Vec::new();
        let mut first: Option<Section> = None;
        let count = numbers.last().copied().unwrap_or(0).max(1);
        for part in 1..=count {
            let path = part_path(base, part);
            if !numbers.contains(&part) {
                let reason = format!("part {part} of at least {count} is missing");
                return Err(FileError::Part { path, reason });
            }
            let (section, head) = read_head(&path)?;
            let start = pieces
                .last()
                .map_or(0, |before| before.start + before.length);
            check_head(&path, part, start, &section, &head, first.as_ref())?;
            first.get_or_insert(section);
            let length =
                fs::metadata(&path).map_err(|source| FileError::io("opening", &path, source))?;
            pieces.push(Piece {
                path,
                start,
                head: HEAD,
                length: length.len().saturating_sub(HEAD),
            });
        }
        Ok(Self {
            pieces,
            split: true,
        })
    }

    /// Whether these are parts.
    pub(super) fn is_split(&self) -> bool {
        self.split
    }

    /// Bytes of the whole, heads of parts not counted.
    pub(super) fn length(&self) -> u64 {
        self.pieces
            .last()
            .map_or(0, |last| last.start.saturating_add(last.length))
    }

    /// The file that would come next, for messages about a missing part.
    pub(super) fn last_path(&self) -> &Path {
        self.pieces.last().map_or(Path::new(""), |last| &last.path)
    }

    /// Fills `buffer` from `at` on as far as one file goes; 0 at the end of all.
    pub(super) fn read_some(&self, at: u64, buffer: &mut [u8]) -> Result<usize, FileError> {
        let holds =
            |piece: &&Piece| (piece.start..piece.start.saturating_add(piece.length)).contains(&at);
        let Some(piece) = self.pieces.iter().find(holds) else {
            return Ok(0);
        };
        let left = piece.start.saturating_add(piece.length) - at;
        let wanted = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let buffer = buffer.get_mut(..wanted).unwrap_or_default();
        let mut read = || {
            let mut file = File::open(&piece.path)?;
            file.seek(SeekFrom::Start(at - piece.start + piece.head))?;
            file.read_exact(buffer)
        };
        match read() {
            Ok(()) => Ok(wanted),
            Err(source) => Err(FileError::io("reading", &piece.path, source)),
        }
    }

    /// `length` bytes from `at` on, or `None` where there are not so many. The
    /// caller has checked `length` against a limit.
    pub(super) fn read(&self, at: u64, length: u64) -> Result<Option<Vec<u8>>, FileError> {
        let end = at.checked_add(length).filter(|end| *end <= self.length());
        let (Some(_), Ok(length)) = (end, usize::try_from(length)) else {
            return Ok(None);
        };
        let mut bytes = vec![0; length];
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read_some(at + done as u64, rest)? {
                0 => return Ok(None),
                read => done += read,
            }
        }
        Ok(Some(bytes))
    }

    /// Compares the lengths of the parts with the table in the last one.
    pub(super) fn check_table(&self, rows: &[PartRow]) -> Result<(), FileError> {
        let refuse = |path: &Path, reason| {
            let path = path.to_owned();
            Err(FileError::Part { path, reason })
        };
        if rows.len() + 1 != self.pieces.len() {
            let reason = format!(
                "its table tells of {} parts before it, found {}",
                rows.len(),
                self.pieces.len() - 1
            );
            return refuse(self.last_path(), reason);
        }
        for (piece, row) in self.pieces.iter().zip(rows) {
            let found = piece.length.saturating_add(piece.head);
            if found != row.length {
                let reason = format!(
                    "expected {} bytes, found {found}: copy it again",
                    row.length
                );
                return refuse(&piece.path, reason);
            }
        }
        Ok(())
    }
}

fn read_head(path: &Path) -> Result<(Section, PartHead), FileError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut bytes));
    read.map_err(|source| FileError::io("reading", path, source))?;
    let (header, payload) = bytes.split_at(bytes.len().min(HEADER));
    let place = Place {
        at: 0,
        number: 0,
        kind: None,
    };
    let section = Section::decode(header).map_err(|source| FileError::Section { place, source })?;
    let place = Place::of(&section, 0);
    if section.kind != Kind::Part {
        let reason = format!("expected a part of a split file, found a {}", section.kind);
        let path = path.to_owned();
        return Err(FileError::Part { path, reason });
    }
    section
        .check(payload)
        .map_err(|source| FileError::Section { place, source })?;
    let head = PartHead::decode(payload).map_err(|source| FileError::Payload { place, source })?;
    Ok((section, head))
}

fn check_head(
    path: &Path,
    part: u32,
    start: u64,
    section: &Section,
    head: &PartHead,
    first: Option<&Section>,
) -> Result<(), FileError> {
    let reason = if head.part != part {
        format!(
            "expected part {part}, found part {}: names were swapped",
            head.part
        )
    } else if first.is_some_and(|first| first.file != section.file) {
        format!("it belongs to another file ({})", section.file)
    } else if head.offset != start {
        format!(
            "it begins at byte {} of the whole, the parts before it have {start}: one of them is cut off",
            head.offset
        )
    } else {
        return Ok(());
    };
    let path = path.to_owned();
    Err(FileError::Part { path, reason })
}

/// Reads one section header; `None` where the bytes end.
pub(super) fn header_at(
    pieces: &Pieces,
    at: u64,
    number: u64,
) -> Result<Option<Section>, FileError> {
    let Some(bytes) = pieces.read(at, HEADER_LENGTH)? else {
        return Ok(None);
    };
    let place = Place {
        at,
        number,
        kind: None,
    };
    let section = Section::decode(&bytes).map_err(|source| FileError::Section { place, source })?;
    Ok(Some(section))
}

/// A file's sections must all say this.
pub(super) fn check_file(section: &Section, at: u64, file: FileId) -> Result<(), FileError> {
    if section.file == file {
        return Ok(());
    }
    let source = super::SectionError::Foreign {
        expected: file,
        found: section.file,
    };
    let place = Place::of(section, at);
    Err(FileError::Section { place, source })
}

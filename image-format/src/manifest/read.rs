//! Columns become entries. Shapes are checked here, meaning in [`super::check`].

use super::table::{self as column, Column, Tables};
use super::{ManifestError, kinds, list};
use crate::bytes::Fields;
use crate::chunker::MAX_CHUNK;
use crate::entry::{Content, Entry, Kind, Piece, Times, Timestamp, Xattr};
use crate::ids::{ChunkId, ChunkRef};

/// Where lists of pieces come from, when an entry has any.
pub(super) type Fetch<'f> = dyn FnMut(&ChunkRef) -> Result<Vec<u8>, ManifestError> + 'f;

/// The entries of a leaf.
pub(super) fn leaf(bytes: &[u8], fetch: &mut Fetch<'_>) -> Result<Vec<Entry>, ManifestError> {
    let (rows, tables) = Tables::decode(bytes)?;
    let mut reader = Reader::new(&tables);
    let entries = (0..rows)
        .map(|_| reader.entry(fetch))
        .collect::<Result<_, _>>()?;
    reader.done()?;
    Ok(entries)
}

/// The lists of pieces a leaf names.
pub(super) fn lists_of(bytes: &[u8]) -> Result<Vec<ChunkRef>, ManifestError> {
    let (_, tables) = Tables::decode(bytes)?;
    let rows = |column| Rows::new(&tables, column);
    let (mut numbers, mut lengths, mut ids) = (
        rows(column::PIECE_KIND),
        rows(column::PIECE_LENGTH),
        rows(column::PIECE_CHUNK),
    );
    let mut lists = Vec::new();
    while numbers.fields.left() > 0 {
        let (kind, _, id) = (numbers.u8()?, lengths.u64()?, ids.array()?);
        if kind == kinds::LIST {
            let (_, length, _) = (numbers.u8()?, lengths.u64()?, ids.array::<32>()?);
            let length =
                u32::try_from(length).map_err(|_| lengths.wrong("a list too long for a chunk"))?;
            lists.push(ChunkRef {
                id: ChunkId::new(id),
                length,
            });
        }
    }
    Ok(lists)
}

/// One column, read from the first row to the last.
struct Rows<'a> {
    table: &'static str,
    fields: Fields<'a>,
}

impl<'a> Rows<'a> {
    fn new(tables: &'a Tables, column: Column) -> Self {
        Self {
            table: column.name,
            fields: Fields::new(tables.get(column)),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ManifestError> {
        self.fields.array().map_err(|source| ManifestError::CutOff {
            part: self.table,
            source,
        })
    }

    fn u8(&mut self) -> Result<u8, ManifestError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, ManifestError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, ManifestError> {
        self.array().map(u64::from_le_bytes)
    }

    fn done(&self) -> Result<(), ManifestError> {
        if self.fields.left() > 0 {
            Err(self.wrong("more rows than its neighbours"))
        } else {
            Ok(())
        }
    }

    fn wrong(&self, reason: &'static str) -> ManifestError {
        ManifestError::Row {
            table: self.table,
            reason,
        }
    }
}

/// A column of ends: each row tells how many rows of another table belong to it.
struct Ends<'a> {
    rows: Rows<'a>,
    before: u32,
}

impl<'a> Ends<'a> {
    fn new(tables: &'a Tables, column: Column) -> Self {
        Self {
            rows: Rows::new(tables, column),
            before: 0,
        }
    }

    fn next(&mut self) -> Result<usize, ManifestError> {
        let end = self.rows.u32()?;
        let count = end
            .checked_sub(self.before)
            .ok_or(self.rows.wrong("ends before it begins"))?;
        self.before = end;
        usize::try_from(count).map_err(|_| self.rows.wrong("more than fits into memory"))
    }

    fn done(&self) -> Result<(), ManifestError> {
        self.rows.done()
    }
}

/// Bytes of any length: a heap and where each part ends.
struct Heap<'a> {
    ends: Ends<'a>,
    bytes: Rows<'a>,
}

impl<'a> Heap<'a> {
    fn new(tables: &'a Tables, ends: Column, bytes: Column) -> Self {
        Self {
            ends: Ends::new(tables, ends),
            bytes: Rows::new(tables, bytes),
        }
    }

    fn next(&mut self) -> Result<Vec<u8>, ManifestError> {
        let length = self.ends.next()?;
        let part = self.bytes.table;
        let bytes = self.bytes.fields.take(length);
        bytes
            .map(<[u8]>::to_vec)
            .map_err(|source| ManifestError::CutOff { part, source })
    }

    fn done(&self) -> Result<(), ManifestError> {
        self.ends.done().and_then(|()| self.bytes.done())
    }
}

struct Reader<'a> {
    paths: Heap<'a>,
    kind: Rows<'a>,
    numbers: [Rows<'a>; 4],
    seconds: Rows<'a>,
    nanoseconds: Rows<'a>,
    link: Rows<'a>,
    short_name: Rows<'a>,
    targets: Heap<'a>,
    device: Rows<'a>,
    xattrs: Ends<'a>,
    xattr_names: Heap<'a>,
    xattr_values: Heap<'a>,
    content: Rows<'a>,
    inline: Heap<'a>,
    pieces: Ends<'a>,
    piece_length: Rows<'a>,
    piece_kind: Rows<'a>,
    piece_chunk: Rows<'a>,
}

impl<'a> Reader<'a> {
    fn new(tables: &'a Tables) -> Self {
        let rows = |column| Rows::new(tables, column);
        Self {
            paths: Heap::new(tables, column::PATH_END, column::PATH_BYTES),
            kind: rows(column::KIND),
            numbers: [column::MODE, column::UID, column::GID, column::FLAGS].map(rows),
            seconds: rows(column::TIME_SECONDS),
            nanoseconds: rows(column::TIME_NANOSECONDS),
            link: rows(column::LINK),
            short_name: rows(column::SHORT_NAME),
            targets: Heap::new(tables, column::TARGET_END, column::TARGET_BYTES),
            device: rows(column::DEVICE),
            xattrs: Ends::new(tables, column::XATTRS_END),
            xattr_names: Heap::new(tables, column::XATTR_NAME_END, column::XATTR_NAME_BYTES),
            xattr_values: Heap::new(tables, column::XATTR_VALUE_END, column::XATTR_VALUE_BYTES),
            content: rows(column::CONTENT),
            inline: Heap::new(tables, column::INLINE_END, column::INLINE_BYTES),
            pieces: Ends::new(tables, column::PIECES_END),
            piece_length: rows(column::PIECE_LENGTH),
            piece_kind: rows(column::PIECE_KIND),
            piece_chunk: rows(column::PIECE_CHUNK),
        }
    }

    fn entry(&mut self, fetch: &mut Fetch<'_>) -> Result<Entry, ManifestError> {
        let path = self.paths.next()?;
        let kind = self.kind()?;
        let [mode, uid, gid, flags] = &mut self.numbers;
        let (mode, uid, gid, flags) = (mode.u32()?, uid.u32()?, gid.u32()?, flags.u32()?);
        let times = Times {
            modified: self.time()?,
            accessed: self.time()?,
            changed: self.time()?,
            created: self.time()?,
        };
        let link = match self.link.u64()? {
            0 => None,
            link => Some(u32::try_from(link - 1).map_err(|_| self.link.wrong("number too large"))?),
        };
        let [present, name @ ..] = self.short_name.array::<12>()?;
        let short_name = match present {
            0 if name == [0; 11] => None,
            1 => Some(name),
            _ => return Err(self.short_name.wrong("neither there nor absent")),
        };
        let xattrs = (0..self.xattrs.next()?)
            .map(|_| self.xattr())
            .collect::<Result<_, _>>()?;
        let content = self.content(fetch)?;
        Ok(Entry {
            path,
            kind,
            mode,
            uid,
            gid,
            times,
            flags,
            xattrs,
            link,
            short_name,
            content,
        })
    }

    fn kind(&mut self) -> Result<Kind, ManifestError> {
        let number = self.kind.u8()?;
        let target = self.targets.next()?;
        let device = self.device.array::<8>()?;
        let [m0, m1, m2, m3, j0, j1, j2, j3] = device;
        let (major, minor) = (
            u32::from_le_bytes([j0, j1, j2, j3]),
            u32::from_le_bytes([m0, m1, m2, m3]),
        );
        let is_device = matches!(number, kinds::CHAR_DEVICE | kinds::BLOCK_DEVICE);
        if (!is_device && device != [0; 8]) || (number != kinds::SYMLINK && !target.is_empty()) {
            return Err(self
                .kind
                .wrong("device numbers or a target where there can be none"));
        }
        match number {
            kinds::DIRECTORY => Ok(Kind::Directory),
            kinds::FILE => Ok(Kind::File),
            kinds::SYMLINK => Ok(Kind::Symlink(target)),
            kinds::CHAR_DEVICE => Ok(Kind::CharDevice { major, minor }),
            kinds::BLOCK_DEVICE => Ok(Kind::BlockDevice { major, minor }),
            kinds::FIFO => Ok(Kind::Fifo),
            kinds::SOCKET => Ok(Kind::Socket),
            kinds::RAW_VOLUME => Ok(Kind::RawVolume),
            _ => Err(self.kind.wrong("unknown kind")),
        }
    }

    fn time(&mut self) -> Result<Timestamp, ManifestError> {
        let seconds = i64::from_le_bytes(self.seconds.array()?);
        Ok(Timestamp {
            seconds,
            nanoseconds: self.nanoseconds.u32()?,
        })
    }

    fn xattr(&mut self) -> Result<Xattr, ManifestError> {
        Ok(Xattr {
            name: self.xattr_names.next()?,
            value: self.xattr_values.next()?,
        })
    }

    fn content(&mut self, fetch: &mut Fetch<'_>) -> Result<Content, ManifestError> {
        let kind = self.content.u8()?;
        let inline = self.inline.next()?;
        let count = self.pieces.next()?;
        if kind != kinds::INLINE && !inline.is_empty() {
            return Err(self
                .content
                .wrong("inline bytes that do not belong to its kind"));
        }
        match kind {
            kinds::EMPTY if count == 0 => Ok(Content::Empty),
            kinds::INLINE if count == 0 => Ok(Content::Inline(inline)),
            kinds::PIECES => (0..count)
                .map(|_| self.piece())
                .collect::<Result<_, _>>()
                .map(Content::Pieces),
            kinds::LISTS if count.is_multiple_of(2) => self.lists(count / 2, fetch),
            _ => Err(self.content.wrong("pieces that do not belong to its kind")),
        }
    }

    fn row(&mut self) -> Result<(u8, u64, [u8; 32]), ManifestError> {
        Ok((
            self.piece_kind.u8()?,
            self.piece_length.u64()?,
            self.piece_chunk.array()?,
        ))
    }

    fn piece(&mut self) -> Result<Piece, ManifestError> {
        let (kind, length, id) = self.row()?;
        list::piece(kind, length, id).ok_or(self.piece_kind.wrong("neither a hole nor a chunk"))
    }

    /// The pieces of all lists; each list must cover what the leaf says.
    fn lists(&mut self, count: usize, fetch: &mut Fetch<'_>) -> Result<Content, ManifestError> {
        let mut pieces = Vec::new();
        for _ in 0..count {
            let (kind, contents, id) = self.row()?;
            let (length_kind, length, nothing) = self.row()?;
            let length = u32::try_from(length)
                .ok()
                .filter(|length| *length as usize <= MAX_CHUNK);
            let (kinds::LIST, kinds::LIST_LENGTH, Some(length), [0, ..]) =
                (kind, length_kind, length, nothing)
            else {
                return Err(self
                    .piece_kind
                    .wrong("no list of pieces where there should be one"));
            };
            let list = list::decode(&fetch(&ChunkRef {
                id: ChunkId::new(id),
                length,
            })?)?;
            let covered = list
                .iter()
                .try_fold(0_u64, |sum, piece| sum.checked_add(piece.length()));
            if covered != Some(contents) {
                return Err(self
                    .piece_length
                    .wrong("a list covers other bytes than its leaf says"));
            }
            pieces.extend(list);
        }
        Ok(Content::Pieces(pieces))
    }

    /// Every column ends where the entries do.
    fn done(&self) -> Result<(), ManifestError> {
        let rows = [
            &self.kind,
            &self.seconds,
            &self.nanoseconds,
            &self.link,
            &self.short_name,
            &self.device,
            &self.content,
            &self.piece_length,
            &self.piece_kind,
            &self.piece_chunk,
        ];
        rows.into_iter()
            .chain(&self.numbers)
            .try_for_each(Rows::done)?;
        let heaps = [
            &self.paths,
            &self.targets,
            &self.xattr_names,
            &self.xattr_values,
            &self.inline,
        ];
        heaps.into_iter().try_for_each(Heap::done)?;
        self.xattrs.done().and_then(|()| self.pieces.done())
    }
}

//! Sections one after another, never going back.

use super::FileError;
use super::Place;
use super::footer::{Chain, FOOTER_LENGTH, Footer};
use super::kind::Kind;
use super::parts;
use super::payload::PayloadError;
use super::section::{FileId, Section, SectionError};
use super::sink::{Next, Sink};
use crate::index::Segment;
use crate::job::BlockJob;

/// A block table is closed at so many rows: what a writer and a reader of a
/// stream keep in memory until it comes.
pub(super) const TABLE_ROWS: usize = 1 << 18;

/// What a generation continues; for a new file all zeros.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Before {
    /// The last footer's generation.
    pub(super) generation: u64,
    /// Where it begins.
    pub(super) footer_at: u64,
    /// Bytes there are.
    pub(super) total: u64,
    /// Sections there are.
    pub(super) sections: u64,
    /// Its chain.
    pub(super) chain: [u8; 32],
}

/// Writes one generation.
pub(super) struct SectionWriter<'s> {
    sink: &'s mut dyn Sink,
    file: FileId,
    before: Before,
    at: u64,
    number: u64,
    chain: Chain,
    images_at: u64,
    table_at: u64,
    blocks: u64,
    /// Blocks no table tells of yet, and their chunks.
    untold: Vec<BlockJob>,
    untold_rows: usize,
}

impl<'s> SectionWriter<'s> {
    pub(super) fn new(sink: &'s mut dyn Sink, file: FileId, before: Before) -> Self {
        Self {
            sink,
            file,
            before,
            at: before.total,
            number: before.sections,
            chain: Chain::new(&before.chain),
            images_at: 0,
            table_at: 0,
            blocks: 0,
            untold: Vec::new(),
            untold_rows: 0,
        }
    }

    /// Writes a section and says where it begins.
    pub(super) fn put(&mut self, kind: Kind, payload: &[u8]) -> Result<u64, FileError> {
        let hash = *blake3::hash(payload).as_bytes();
        self.put_linked(kind, 0, hash, payload)
    }

    fn put_linked(
        &mut self,
        kind: Kind,
        link: u64,
        hash: [u8; 32],
        payload: &[u8],
    ) -> Result<u64, FileError> {
        let section = Section {
            kind,
            file: self.file,
            number: self.number,
            length: payload.len() as u64,
            link,
            hash,
        };
        let at = self.at;
        if section.length > kind.limit() {
            let source = SectionError::TooLong {
                limit: kind.limit(),
                found: section.length,
            };
            let place = Place::of(&section, at);
            return Err(FileError::Section { place, source });
        }
        self.room(section.total())?;
        let header = section.encode();
        self.sink.write(&header)?;
        self.sink.write(payload)?;
        self.chain.add(&header);
        self.at = at.saturating_add(section.total());
        self.number += 1;
        Ok(at)
    }

    fn room(&mut self, length: u64) -> Result<(), FileError> {
        self.sink.room(
            length,
            Next {
                file: self.file,
                number: self.number,
                offset: self.at,
            },
        )
    }

    /// Writes the image table.
    pub(super) fn images(&mut self, payload: &[u8]) -> Result<(), FileError> {
        self.images_at = self.put(Kind::Images, payload)?;
        Ok(())
    }

    /// Writes a block after its chunk list; `stored` hashes to the block's id.
    pub(super) fn block(
        &mut self,
        head: &super::BlockHead,
        stored: &[u8],
    ) -> Result<(), FileError> {
        let list = head.encode().map_err(|source| self.refuse(source))?;
        self.put(Kind::Chunks, &list)?;
        let at = self.put_linked(Kind::Block, 0, *head.block.as_bytes(), stored)?;
        let offset = at.saturating_add(super::HEADER_LENGTH);
        self.untold.push(head.job(self.file.pack(), offset));
        self.untold_rows += head.chunks.len();
        self.blocks += 1;
        if self.untold_rows >= TABLE_ROWS {
            self.table()?;
        }
        Ok(())
    }

    fn table(&mut self) -> Result<(), FileError> {
        let jobs = std::mem::take(&mut self.untold);
        self.untold_rows = 0;
        if jobs.is_empty() {
            return Ok(());
        }
        let segment = Segment::encode(&jobs).map_err(|error| self.refuse(error.into()))?;
        let hash = *blake3::hash(&segment).as_bytes();
        self.table_at = self.put_linked(Kind::Table, self.table_at, hash, &segment)?;
        Ok(())
    }

    /// Tables, then everything durable, then the footer, durable too.
    pub(super) fn finish(mut self) -> Result<Footer, FileError> {
        self.table()?;
        let mut parts_at = 0;
        if let Some(closed) = self.sink.closed_parts() {
            // One more may be closed for want of room.
            let rows = parts::encode(closed).len() as u64 + 40;
            self.room(super::HEADER_LENGTH + rows + FOOTER_LENGTH)?;
            let rows = parts::encode(self.sink.closed_parts().unwrap_or_default());
            parts_at = self.put(Kind::Parts, &rows)?;
        }
        self.sink.sync()?;
        let footer = Footer {
            generation: self.before.generation + 1,
            begins: self.before.total,
            total: self.at.saturating_add(FOOTER_LENGTH),
            sections: self.number + 1,
            images_at: self.images_at,
            table_at: self.table_at,
            blocks: self.blocks,
            parts_at,
            chain: self.chain.hash(),
        };
        let payload = footer.encode();
        let hash = *blake3::hash(&payload).as_bytes();
        self.put_linked(Kind::Footer, self.before.footer_at, hash, &payload)?;
        self.sink.sync()?;
        Ok(footer)
    }

    fn refuse(&self, source: PayloadError) -> FileError {
        FileError::Payload {
            place: Place {
                at: self.at,
                number: self.number,
                kind: None,
            },
            source,
        }
    }
}

//! Sections read one after another, each checked as it comes: from a pipe, or
//! from a file, where what nobody wants is passed over.

use std::path::Path;

use super::footer::{Chain, Footer};
use super::input::Input;
use super::kind::Kind;
use super::order::Order;
use super::parts::PartHead;
use super::payload::PayloadError;
use super::section::{FileId, HEADER, HEADER_LENGTH, Section, SectionError};
use super::write::TABLE_ROWS;
use super::{BlockHead, FileError, Place};
use crate::index::Segment;
use crate::job::BlockJob;

/// What a generation has brought so far, to be compared with its footer.
#[derive(Debug, Default)]
struct Seen {
    generation: u64,
    begins: u64,
    images_at: u64,
    table_at: u64,
    parts_at: u64,
    blocks: u64,
    footer_at: u64,
}

/// Reads sections in order.
pub(super) struct SectionStream<I> {
    input: I,
    file: Option<FileId>,
    at: u64,
    number: u64,
    part: u32,
    order: Order,
    chain: Chain,
    seen: Seen,
    /// Blocks whose table has not come yet.
    untold: Vec<BlockJob>,
    untold_rows: usize,
}

impl<I: Input> SectionStream<I> {
    pub(super) fn new(input: I) -> Self {
        Self {
            input,
            file: None,
            at: 0,
            number: 0,
            part: 0,
            order: Order::default(),
            chain: Chain::new(&[0; 32]),
            seen: Seen::default(),
            untold: Vec::new(),
            untold_rows: 0,
        }
    }

    /// Which file it is, once the first section was read.
    pub(super) fn file(&self) -> FileId {
        self.file.unwrap_or(FileId([0; 16]))
    }

    /// Bytes read, heads of parts not counted.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The header of the next section and where it stands; `None` at the end
    /// of a whole file. Its payload must be read or passed over before the next call.
    pub(super) fn next(&mut self) -> Result<Option<(Section, Place)>, FileError> {
        loop {
            let Some(bytes) = self.header()? else {
                return Ok(None);
            };
            let place = self.place(None);
            let refuse = |source| FileError::Section { place, source };
            let section = Section::decode(&bytes).map_err(refuse)?;
            let place = Place::of(&section, self.at);
            self.check(&section, place)?;
            if section.kind == Kind::Part {
                self.part(&section, place)?;
                continue;
            }
            self.order = self.order.after(section.kind).map_err(|expected| {
                let found = section.kind;
                let source = SectionError::Order { expected, found };
                FileError::Section { place, source }
            })?;
            self.begin(&section, &bytes);
            return Ok(Some((section, place)));
        }
    }

    fn place(&self, kind: Option<Kind>) -> Place {
        Place {
            at: self.at,
            number: self.number,
            kind,
        }
    }

    /// All of a header, or `None` where the file rightly ends.
    fn header(&mut self) -> Result<Option<[u8; HEADER]>, FileError> {
        let mut bytes = [0; HEADER];
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest)? {
                0 if done == 0 && self.order.may_end() => return Ok(None),
                0 => return Err(self.cut_off(done as u64)),
                read => done += read,
            }
        }
        Ok(Some(bytes))
    }

    fn cut_off(&self, after: u64) -> FileError {
        FileError::CutOff {
            at: self.at.saturating_add(after),
            number: self.number,
        }
    }

    fn check(&mut self, section: &Section, place: Place) -> Result<(), FileError> {
        let file = *self.file.get_or_insert(section.file);
        super::pieces::check_file(section, place.at, file)?;
        if section.number == self.number {
            return Ok(());
        }
        let source = SectionError::Number {
            expected: self.number,
            found: section.number,
        };
        Err(FileError::Section { place, source })
    }

    /// Parts may come one after another through a pipe; their heads are not
    /// part of the whole.
    fn part(&mut self, section: &Section, place: Place) -> Result<(), FileError> {
        let payload = self.payload(section, place)?;
        let head =
            PartHead::decode(&payload).map_err(|source| FileError::Payload { place, source })?;
        self.part += 1;
        if (head.part, head.offset) == (self.part, self.at) {
            return Ok(());
        }
        let path = Path::new("-").to_owned();
        let reason = format!(
            "part {} comes where part {} should: give all parts in order",
            head.part, self.part
        );
        Err(FileError::Part { path, reason })
    }

    fn begin(&mut self, section: &Section, header: &[u8; HEADER]) {
        if section.kind != Kind::Footer {
            self.chain.add(header);
        }
        match section.kind {
            Kind::Images => self.seen.images_at = self.at,
            Kind::Parts => self.seen.parts_at = self.at,
            Kind::Block => self.seen.blocks += 1,
            _ => {}
        }
        self.at = self.at.saturating_add(section.total());
        self.number += 1;
    }

    /// The payload of the section just read, checked against its hash.
    pub(super) fn payload(
        &mut self,
        section: &Section,
        place: Place,
    ) -> Result<Vec<u8>, FileError> {
        const STEP: usize = 1 << 20;
        let mut bytes = Vec::new();
        // Memory grows with what has come, not with what the header says.
        while (bytes.len() as u64) < section.length {
            let left = section.length - bytes.len() as u64;
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(STEP);
            let start = bytes.len();
            bytes.resize(start + wanted, 0);
            let read = self
                .input
                .read(bytes.get_mut(start..).unwrap_or_default())?;
            bytes.truncate(start + read);
            if read == 0 {
                break;
            }
        }
        section
            .check(&bytes)
            .map_err(|source| FileError::Section { place, source })?;
        Ok(bytes)
    }

    /// Passes over the payload of the section just read.
    pub(super) fn skip(&mut self, section: &Section, place: Place) -> Result<(), FileError> {
        let found = self.input.skip(section.length)?;
        if found == section.length {
            return Ok(());
        }
        let source = SectionError::Short {
            expected: section.length,
            found,
        };
        Err(FileError::Section { place, source })
    }

    /// Tells of a block just begun, so that its table can be checked.
    pub(super) fn saw_block(
        &mut self,
        head: &BlockHead,
        section: &Section,
        place: Place,
    ) -> Result<BlockJob, FileError> {
        let refuse = |reason| FileError::Payload {
            place,
            source: PayloadError::Reason(reason),
        };
        if section.hash != *head.block.as_bytes() || section.length != u64::from(head.stored) {
            return Err(refuse(
                "another block than the chunk list before it announced",
            ));
        }
        // A writer closes a table before the next block of at most 16 MiB of chunks.
        if self.untold_rows > TABLE_ROWS {
            return Err(refuse("too many blocks without a block table"));
        }
        let offset = place.at.saturating_add(HEADER_LENGTH);
        let job = head.job(section.file.pack(), offset);
        self.untold_rows = self.untold_rows.saturating_add(job.chunks.len());
        self.untold.push(job.clone());
        Ok(job)
    }

    /// Compares a block table with the blocks since the one before.
    pub(super) fn table(&mut self, section: &Section, place: Place) -> Result<(), FileError> {
        let payload = self.payload(section, place)?;
        let refuse = |source| FileError::Payload { place, source };
        let segment = Segment::decode(payload).map_err(|error| refuse(error.into()))?;
        if segment.jobs() != self.untold || section.link != self.seen.table_at {
            return Err(refuse(PayloadError::Reason(
                "it tells of other blocks than stand before it",
            )));
        }
        self.untold.clear();
        self.untold_rows = 0;
        self.seen.table_at = place.at;
        Ok(())
    }

    /// Ends a generation: all its footer says must be so.
    pub(super) fn footer(&mut self, section: &Section, place: Place) -> Result<Footer, FileError> {
        let payload = self.payload(section, place)?;
        let footer =
            Footer::decode(&payload).map_err(|source| FileError::Payload { place, source })?;
        if !self.untold.is_empty() {
            let source = PayloadError::Reason("no block table tells of the last blocks");
            return Err(FileError::Payload { place, source });
        }
        let expected = Footer {
            generation: self.seen.generation + 1,
            begins: self.seen.begins,
            total: self.at,
            sections: self.number,
            images_at: self.seen.images_at,
            table_at: self.seen.table_at,
            blocks: self.seen.blocks,
            parts_at: self.seen.parts_at,
            chain: self.chain.hash(),
        };
        compare(&expected, &footer, place)?;
        if section.link != self.seen.footer_at {
            return Err(differs(
                place,
                "the footer before",
                self.seen.footer_at,
                section.link,
            ));
        }
        self.chain = Chain::new(&footer.chain);
        self.seen = Seen {
            generation: footer.generation,
            begins: self.at,
            footer_at: place.at,
            ..Seen::default()
        };
        Ok(footer)
    }
}

fn compare(expected: &Footer, found: &Footer, place: Place) -> Result<(), FileError> {
    let fields = [
        ("generation", expected.generation, found.generation),
        ("beginning", expected.begins, found.begins),
        ("length", expected.total, found.total),
        ("number of sections", expected.sections, found.sections),
        (
            "place of the image table",
            expected.images_at,
            found.images_at,
        ),
        (
            "place of the block table",
            expected.table_at,
            found.table_at,
        ),
        ("number of blocks", expected.blocks, found.blocks),
        ("place of the part table", expected.parts_at, found.parts_at),
    ];
    for (field, expected, found) in fields {
        if expected != found {
            return Err(differs(place, field, expected, found));
        }
    }
    if expected.chain == found.chain {
        return Ok(());
    }
    let hex = |hash: [u8; 32]| blake3::Hash::from_bytes(hash).to_string();
    Err(differs(
        place,
        "hash of all headers",
        hex(expected.chain),
        hex(found.chain),
    ))
}

fn differs(
    place: Place,
    field: &'static str,
    expected: impl ToString,
    found: impl ToString,
) -> FileError {
    FileError::Footer {
        place,
        field,
        expected: expected.to_string(),
        found: found.to_string(),
    }
}

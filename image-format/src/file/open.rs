//! A single file opened where it lies: the end tells where everything is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::features::Features;
use super::footer::{FOOTER_LENGTH, Footer};
use super::images::{self, ImageRow};
use super::kind::Kind;
use super::parts;
use super::pieces::{Pieces, check_file, header_at};
use super::section::{FileId, HEADER_LENGTH, Section, SectionError};
use super::write::Before;
use super::{FileError, PayloadError, Place};
use crate::ids::SegmentId;

/// More appends than anybody makes; each is one step back through the file.
const MAX_GENERATIONS: u64 = 1 << 16;

/// A file whose tables are known. It is a [`crate::Store`] that refuses to be written.
#[derive(Debug)]
pub struct MimFile {
    pub(super) path: PathBuf,
    pub(super) pieces: Pieces,
    pub(super) file: FileId,
    pub(super) features: Features,
    /// All images of all generations, by name and sequence.
    pub(super) images: Vec<ImageRow>,
    /// Block tables: where they begin, with their headers.
    pub(super) tables: BTreeMap<SegmentId, (u64, Section)>,
    footer: Footer,
    footer_at: u64,
    /// Bytes after the last footer that counts.
    left_over: u64,
}

impl MimFile {
    /// Opens a file, or a split one by its name without number or by any of its parts.
    ///
    /// # Errors
    /// It is none, a part is missing, swapped or another file's, or a table is damaged.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let pieces = Pieces::find(path)?;
        let header = first_section(&pieces, path)?;
        let features = read_features(&pieces, &header)?;
        let (footer_at, section, footer) = last_footer(&pieces, header.file)?;
        let mut opened = Self {
            path: path.to_owned(),
            file: header.file,
            features,
            images: Vec::new(),
            tables: BTreeMap::new(),
            left_over: pieces.length().saturating_sub(footer.total),
            footer,
            footer_at,
            pieces,
        };
        opened.read_generations(section)?;
        opened.check_parts()?;
        Ok(opened)
    }

    /// Which file it is.
    pub fn id(&self) -> FileId {
        self.file
    }

    /// The images in it, by name and sequence.
    pub fn images(&self) -> &[ImageRow] {
        &self.images
    }

    /// Bytes up to the last footer, heads of parts not counted.
    pub fn length(&self) -> u64 {
        self.footer.total
    }

    /// Whether it lies in parts.
    pub fn is_split(&self) -> bool {
        self.pieces.is_split()
    }

    /// What a person should know although the file can be read: bytes of an
    /// append that did not end.
    pub fn warning(&self) -> Option<String> {
        (self.left_over > 0).then(|| {
            format!(
                "{}: the last {} bytes belong to an append that did not end and are passed over",
                self.path.display(),
                self.left_over
            )
        })
    }

    /// Where a further generation would begin.
    pub(super) fn before(&self) -> Before {
        Before {
            generation: self.footer.generation,
            footer_at: self.footer_at,
            total: self.footer.total,
            sections: self.footer.sections,
            chain: self.footer.chain,
        }
    }

    fn read_generations(&mut self, last: Section) -> Result<(), FileError> {
        let (mut footer, mut at, mut section) = (self.footer, self.footer_at, last);
        loop {
            self.read_images(&footer)?;
            self.read_tables(&footer)?;
            if footer.generation == 1 {
                break;
            }
            let wanted = (footer.generation - 1, footer.begins);
            at = earlier(section.link, at, &section)?;
            (section, footer) = read_footer(&self.pieces, at, self.file)?;
            if (footer.generation, footer.total) != wanted || footer.generation > MAX_GENERATIONS {
                return Err(payload(&section, at, "not the generation before"));
            }
        }
        self.images.sort_by_key(ImageRow::at);
        let mut pairs = self.images.windows(2);
        let twice = pairs.find(|pair| matches!(pair, [one, other] if one.at() == other.at()));
        match twice {
            Some(_) => Err(payload(&section, at, "an image stands in two generations")),
            None => Ok(()),
        }
    }

    fn read_images(&mut self, footer: &Footer) -> Result<(), FileError> {
        let section = section_at(&self.pieces, footer.images_at, self.file, Kind::Images)?;
        let bytes = read_payload(&self.pieces, &section, footer.images_at)?;
        let place = Place::of(&section, footer.images_at);
        let rows = images::decode(&bytes).map_err(|source| FileError::Payload { place, source })?;
        self.images.extend(rows);
        Ok(())
    }

    fn read_tables(&mut self, footer: &Footer) -> Result<(), FileError> {
        let mut at = footer.table_at;
        while at != 0 {
            let section = section_at(&self.pieces, at, self.file, Kind::Table)?;
            self.tables
                .insert(SegmentId::new(section.hash), (at, section));
            if section.link == 0 {
                break;
            }
            at = earlier(section.link, at, &section)?;
        }
        Ok(())
    }

    fn check_parts(&self) -> Result<(), FileError> {
        if !self.pieces.is_split() {
            return Ok(());
        }
        let at = self.footer.parts_at;
        let section = section_at(&self.pieces, at, self.file, Kind::Parts)?;
        let bytes = read_payload(&self.pieces, &section, at)?;
        let place = Place::of(&section, at);
        let rows = parts::decode(&bytes).map_err(|source| FileError::Payload { place, source })?;
        self.pieces.check_table(&rows)
    }
}

/// Chains only go back, so following one ends.
fn earlier(link: u64, at: u64, section: &Section) -> Result<u64, FileError> {
    if link < at {
        Ok(link)
    } else {
        Err(payload(
            section,
            at,
            "it points forward where it should point back",
        ))
    }
}

fn payload(section: &Section, at: u64, reason: &'static str) -> FileError {
    FileError::Payload {
        place: Place::of(section, at),
        source: PayloadError::Reason(reason),
    }
}

/// The first section, which tells whether this is a single file at all.
fn first_section(pieces: &Pieces, path: &Path) -> Result<Section, FileError> {
    let refuse = |found: &str| FileError::NotOne {
        path: path.to_owned(),
        found: found.to_owned(),
    };
    let Some(bytes) = pieces.read(0, HEADER_LENGTH)? else {
        return Err(refuse("it is too short"));
    };
    if !bytes.starts_with(&super::section::MAGIC) {
        return Err(refuse("it begins otherwise"));
    }
    let place = Place {
        at: 0,
        number: 0,
        kind: None,
    };
    let section = Section::decode(&bytes).map_err(|source| FileError::Section { place, source })?;
    match section.kind {
        Kind::Header => Ok(section),
        Kind::Part => Err(refuse(
            "it is a part of a split file; its name must end with its number, as .001",
        )),
        found => {
            let expected = "a header";
            let source = SectionError::Order { expected, found };
            Err(FileError::Section { place, source })
        }
    }
}

fn read_features(pieces: &Pieces, section: &Section) -> Result<Features, FileError> {
    let bytes = read_payload(pieces, section, 0)?;
    let place = Place::of(section, 0);
    Features::decode(&bytes).map_err(|source| FileError::Payload { place, source })
}

/// The section at `at`, which must be of this kind and file.
pub(super) fn section_at(
    pieces: &Pieces,
    at: u64,
    file: FileId,
    kind: Kind,
) -> Result<Section, FileError> {
    let section = header_at(pieces, at, 0)?.ok_or(FileError::CutOff { at, number: 0 })?;
    check_file(&section, at, file)?;
    if section.kind == kind {
        return Ok(section);
    }
    let source = SectionError::Order {
        expected: "what a table said",
        found: section.kind,
    };
    let place = Place::of(&section, at);
    Err(FileError::Section { place, source })
}

/// A payload, whole and compared with its hash.
pub(super) fn read_payload(
    pieces: &Pieces,
    section: &Section,
    at: u64,
) -> Result<Vec<u8>, FileError> {
    let place = Place::of(section, at);
    let bytes = pieces.read(at.saturating_add(HEADER_LENGTH), section.length)?;
    let bytes = bytes.ok_or(FileError::CutOff {
        at: pieces.length(),
        number: section.number,
    })?;
    section
        .check(&bytes)
        .map_err(|source| FileError::Section { place, source })?;
    Ok(bytes)
}

fn read_footer(pieces: &Pieces, at: u64, file: FileId) -> Result<(Section, Footer), FileError> {
    let section = section_at(pieces, at, file, Kind::Footer)?;
    let bytes = read_payload(pieces, &section, at)?;
    let place = Place::of(&section, at);
    let footer = Footer::decode(&bytes).map_err(|source| FileError::Payload { place, source })?;
    let stands = at.checked_add(FOOTER_LENGTH) == Some(footer.total)
        && section.number.checked_add(1) == Some(footer.sections);
    if stands {
        Ok((section, footer))
    } else {
        Err(payload(&section, at, "it stands where it was not written"))
    }
}

/// The footer at the end, or the last one that counts: an append that did not
/// end leaves the one before it valid.
fn last_footer(pieces: &Pieces, file: FileId) -> Result<(u64, Section, Footer), FileError> {
    let at_end = pieces.length().checked_sub(FOOTER_LENGTH);
    if let Some(at) = at_end
        && let Ok((section, footer)) = read_footer(pieces, at, file)
    {
        return Ok((at, section, footer));
    }
    let (mut at, mut number, mut last) = (0, 0, None);
    while let Ok(Some(section)) = header_at(pieces, at, number) {
        if section.file != file || section.number != number {
            break;
        }
        if section.kind == Kind::Footer
            && let Ok((section, footer)) = read_footer(pieces, at, file)
        {
            last = Some((at, section, footer));
        }
        let next = at.checked_add(section.total());
        let Some(next) = next.filter(|next| *next <= pieces.length()) else {
            break;
        };
        (at, number) = (next, number + 1);
    }
    last.ok_or_else(|| without_footer(pieces, number))
}

fn without_footer(pieces: &Pieces, number: u64) -> FileError {
    if !pieces.is_split() {
        let at = pieces.length();
        return FileError::CutOff { at, number };
    }
    let reason = "no footer follows: the parts after it are missing, or it was cut off".to_owned();
    let path = pieces.last_path().to_owned();
    FileError::Part { path, reason }
}

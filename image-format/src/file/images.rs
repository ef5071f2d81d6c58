//! The image table: which images a generation brings, each with its whole ref.

use super::payload::{PayloadError, expect};
use crate::bytes::Fields;
use crate::ids::ImageId;
use crate::image::ImageRecord;
use crate::refs::{self, MAX_NAME, MAX_REF, Ref};
use crate::store::RefName;

/// More images than anybody exports at once; their manifests are held until the end of an import.
pub(super) const MAX_IMAGES: u32 = 4096;
/// Far above any number of captures, and room enough above it for those to come.
const MAX_SEQUENCE: u64 = 1 << 48;

/// One image of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRow {
    /// Where the section of its manifest begins.
    pub manifest_at: u64,
    /// Its ref as the share kept it, with the signature if it has one.
    pub reference: Vec<u8>,
    /// What the ref says.
    pub record: ImageRecord,
    /// Whether somebody vouches for name and sequence, so that neither can change.
    pub signed: bool,
}

impl ImageRow {
    /// Reads `reference`, which is the ref of `at`.
    ///
    /// # Errors
    /// It is no ref, or that of another image.
    pub fn new(manifest_at: u64, at: &RefName, reference: Vec<u8>) -> Result<Self, RowError> {
        if reference.len() as u64 > MAX_REF {
            return Err(RowError::Reason("a ref that long is none"));
        }
        let Ref {
            record, signature, ..
        } = refs::decode(&reference, 0, None).map_err(RowError::Ref)?;
        if record.name != at.name || record.sequence != at.sequence {
            return Err(RowError::Reason("its ref has another name or sequence"));
        }
        if !(1..=MAX_SEQUENCE).contains(&at.sequence) {
            return Err(RowError::Reason("impossible sequence"));
        }
        Ok(Self {
            manifest_at,
            reference,
            record,
            signed: signature.is_some(),
        })
    }

    /// Name and sequence.
    pub fn at(&self) -> RefName {
        RefName {
            name: self.record.name.clone(),
            sequence: self.record.sequence,
        }
    }
}

/// Why a row cannot be used; told with its number.
#[derive(Debug)]
pub enum RowError {
    /// Its fields contradict each other.
    Reason(&'static str),
    /// Its ref cannot be read.
    Ref(refs::RefError),
}

impl RowError {
    fn at(self, row: usize) -> PayloadError {
        match self {
            Self::Reason(reason) => PayloadError::Row { row, reason },
            Self::Ref(source) => PayloadError::Ref { row, source },
        }
    }
}

/// number of rows 4, then for each row: image id 32, manifest at 8, sequence 8,
/// length of the name 4, name, length of the ref 4, ref.
pub fn encode(rows: &[ImageRow]) -> Result<Vec<u8>, PayloadError> {
    let mut bytes = Vec::new();
    bytes.extend(count(rows.len())?.to_le_bytes());
    for row in rows {
        let name = row.record.name.as_bytes();
        bytes.extend(row.record.image.as_bytes());
        bytes.extend(row.manifest_at.to_le_bytes());
        bytes.extend(row.record.sequence.to_le_bytes());
        bytes.extend(count(name.len())?.to_le_bytes());
        bytes.extend(name);
        let length = u32::try_from(row.reference.len())
            .map_err(|_| PayloadError::Reason("a ref that long is none"))?;
        bytes.extend(length.to_le_bytes());
        bytes.extend(&row.reference);
    }
    decode(&bytes)?;
    Ok(bytes)
}

fn count(found: usize) -> Result<u32, PayloadError> {
    let count = u32::try_from(found)
        .ok()
        .filter(|count| *count <= MAX_IMAGES);
    count.ok_or(PayloadError::Reason("too many images for one generation"))
}

/// Reads the rows, which rise by name and sequence.
///
/// # Errors
/// What is wrong and in which row.
pub fn decode(bytes: &[u8]) -> Result<Vec<ImageRow>, PayloadError> {
    let mut fields = Fields::new(bytes);
    let wanted = fields.u32()?;
    if !(1..=MAX_IMAGES).contains(&wanted) {
        return Err(PayloadError::Reason("impossible number of images"));
    }
    let mut rows: Vec<ImageRow> = Vec::new();
    for number in 0..wanted as usize {
        let wrong = |reason| PayloadError::Row {
            row: number,
            reason,
        };
        let image = ImageId::new(fields.array()?);
        let (manifest_at, sequence) = (fields.u64()?, fields.u64()?);
        let name = text(&mut fields, MAX_NAME).ok_or_else(|| wrong("impossible name"))?;
        let length = fields.u32()? as usize;
        let reference = fields.take(length)?.to_vec();
        let at = RefName { name, sequence };
        let row = ImageRow::new(manifest_at, &at, reference).map_err(|error| error.at(number))?;
        if row.record.image != image {
            return Err(wrong("its ref names another image"));
        }
        if rows.last().is_some_and(|before| before.at() >= at) {
            return Err(wrong("does not follow the one before by name and sequence"));
        }
        rows.push(row);
    }
    expect("bytes after the last image", 0, fields.left())?;
    Ok(rows)
}

fn text(fields: &mut Fields<'_>, limit: usize) -> Option<String> {
    let length = usize::try_from(fields.u32().ok()?).ok()?;
    let bytes = fields.take(length).ok().filter(|_| length <= limit)?;
    String::from_utf8(bytes.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, sequence: u64) -> ImageRow {
        let record = ImageRecord {
            image: ImageId::of(name.as_bytes()),
            name: name.to_owned(),
            sequence,
            captured: 1,
            parent: None,
            system: None,
            logical_size: 2,
            entries: 3,
            profile: None,
            source: None,
            witnesses: None,
        };
        let reference = refs::encode(&record, None).unwrap();
        ImageRow {
            manifest_at: 9,
            reference,
            record,
            signed: false,
        }
    }

    #[test]
    fn rows_survive_their_bytes_in_order_only() {
        let rows = vec![row("office pc", 2), row("office pc", 3), row("room", 1)];
        let bytes = encode(&rows).unwrap();
        assert_eq!(decode(&bytes).unwrap(), rows);
        assert!(encode(&[row("b", 1), row("a", 1)]).is_err());
        assert!(encode(&[row("a", 1), row("a", 1)]).is_err());
        assert!(encode(&[]).is_err());
        assert!(encode(&[row("a", u64::MAX)]).is_err());
    }

    #[test]
    fn every_cut_table_is_refused_and_no_flipped_bit_panics() {
        let bytes = encode(&[row("office pc", 2), row("room", 1)]).unwrap();
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(rows) = decode(&damaged) {
                assert_eq!(rows.len(), 2);
            }
        }
    }
}

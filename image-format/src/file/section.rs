//! A section: ninety-six header bytes, then the payload. The header carries
//! its own checksum and the payload's hash, so each can be judged alone.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::time::SystemTime;

use thiserror::Error;

use super::kind::Kind;
use crate::bytes::{CutOff, Fields};
use crate::ids::PackId;

/// Bytes before the payload.
pub const HEADER_LENGTH: u64 = HEADER as u64;
/// The same as arrays are measured.
pub(super) const HEADER: usize = 96;
/// The bytes every section begins with, so that a damaged file can be searched for them.
pub(super) const MAGIC: [u8; 8] = *b"mimeosec";

const VERSION: u32 = 1;
/// A reader that does not know the kind may pass over it.
const FLAG_OPTIONAL: u16 = 1;
/// magic 8, version 4, kind 2, flags 2, file 16, number 8, length 8, link 8,
/// hash 32, reserved 4, then the checksum of these bytes.
const CHECKSUM_AT: usize = 92;

/// Which file a section belongs to: chosen anew with every file.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId(pub [u8; 16]);

impl FileId {
    /// One that no other file has: keys from the operating system, the time,
    /// the process.
    pub fn fresh() -> Self {
        let mut hasher = blake3::Hasher::new();
        for _ in 0..2 {
            let keys = RandomState::new().build_hasher().finish();
            hasher.update(&keys.to_le_bytes());
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        hasher.update(&now.unwrap_or_default().as_nanos().to_le_bytes());
        hasher.update(&std::process::id().to_le_bytes());
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        Self(id)
    }

    /// The pack that blocks of a single file are said to lie in: the file
    /// itself, heads of parts not counted.
    pub(super) fn pack(&self) -> PackId {
        let mut hasher = blake3::Hasher::new();
        hasher
            .update(b"mimeo single file as a pack 1\0")
            .update(&self.0);
        PackId::from(hasher.finalize())
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileId({self})")
    }
}

/// A section's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// What it holds.
    pub kind: Kind,
    /// The file it belongs to.
    pub file: FileId,
    /// Counts all sections of a file from 0; of a part's head, the section after it.
    pub number: u64,
    /// Bytes of the payload.
    pub length: u64,
    /// Where the section of this kind before it begins, where kinds are
    /// chained (tables of one generation, footers); 0 for none.
    pub link: u64,
    /// BLAKE3 of the payload. Of a block that is its id, of a manifest the
    /// image's, of a block table the segment's.
    pub hash: [u8; 32],
}

impl Section {
    /// Header and payload in bytes.
    pub fn total(&self) -> u64 {
        HEADER_LENGTH.saturating_add(self.length)
    }

    /// The ninety-six bytes.
    pub fn encode(&self) -> [u8; HEADER] {
        let flags = match self.kind {
            Kind::Unknown(_) => FLAG_OPTIONAL,
            _ => 0,
        };
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.kind.code().to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend(self.file.0);
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.length.to_le_bytes());
        bytes.extend(self.link.to_le_bytes());
        bytes.extend(self.hash);
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        let mut header = [0; HEADER];
        header.copy_from_slice(&bytes);
        header
    }

    /// Reads a header and checks everything that can be known without its payload.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Self, SectionError> {
        let mut fields = Fields::new(bytes);
        expect(
            "magic",
            MAGIC.escape_ascii(),
            fields.array::<8>()?.escape_ascii(),
        )?;
        expect("section version", VERSION, fields.u32()?)?;
        let code = u16::from_le_bytes(fields.array()?);
        let flags = u16::from_le_bytes(fields.array()?);
        let section = Self {
            kind: Kind::from_code(code),
            file: FileId(fields.array()?),
            number: fields.u64()?,
            length: fields.u64()?,
            link: fields.u64()?,
            hash: fields.array()?,
        };
        expect("reserved", 0, fields.u32()?)?;
        let checked = bytes.get(..CHECKSUM_AT).unwrap_or_default();
        if fields.u32()? != crc32c::crc32c(checked) {
            return Err(SectionError::Checksum);
        }
        match section.kind {
            Kind::Unknown(code) if flags != FLAG_OPTIONAL => {
                return Err(SectionError::Kind { code });
            }
            Kind::Unknown(_) => {}
            _ => expect("flags", 0, flags)?,
        }
        if section.length > section.kind.limit() {
            return Err(SectionError::TooLong {
                limit: section.kind.limit(),
                found: section.length,
            });
        }
        Ok(section)
    }

    /// Whether `payload` is what was written.
    ///
    /// # Errors
    /// It has another length or hash.
    pub fn check(&self, payload: &[u8]) -> Result<(), SectionError> {
        let found = payload.len() as u64;
        if found != self.length {
            return Err(SectionError::Short {
                expected: self.length,
                found,
            });
        }
        if blake3::hash(payload) == self.hash {
            Ok(())
        } else {
            Err(SectionError::Damaged)
        }
    }
}

fn expect<T: ToString>(field: &'static str, expected: T, found: T) -> Result<(), SectionError> {
    let (expected, found) = (expected.to_string(), found.to_string());
    if expected == found {
        Ok(())
    } else {
        Err(SectionError::Field {
            field,
            expected,
            found,
        })
    }
}

/// A section is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SectionError {
    /// There are not even ninety-six bytes.
    #[error(transparent)]
    CutOff(#[from] CutOff),
    /// A field of the header is wrong.
    #[error("{field}: expected {expected}, found {found}")]
    Field {
        /// Which.
        field: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The header is not the one that was written.
    #[error("its header is damaged")]
    Checksum,
    /// A later version wrote something that must be understood.
    #[error("sections of kind {code} are not known here: use a newer program")]
    Kind {
        /// Which kind.
        code: u16,
    },
    /// Longer than such a section may be.
    #[error("{found} bytes are more than the {limit} such a section may have")]
    TooLong {
        /// How many may be.
        limit: u64,
        /// How many it says.
        found: u64,
    },
    /// The file ends within the payload.
    #[error("its payload has {expected} bytes, the file ends after {found} of them")]
    Short {
        /// How many there should be.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// The payload is not the one that was written.
    #[error("its payload is damaged")]
    Damaged,
    /// It belongs to another file.
    #[error("it belongs to file {found}, not to {expected}: parts of two files are mixed")]
    Foreign {
        /// The file being read.
        expected: FileId,
        /// What the section says.
        found: FileId,
    },
    /// It stands where another should.
    #[error("section {expected} should stand here, found {found}: something is missing or swapped")]
    Number {
        /// Which should come.
        expected: u64,
        /// Which came.
        found: u64,
    },
    /// Its kind makes no sense here.
    #[error("a {found} cannot stand here: expected {expected}")]
    Order {
        /// What may come.
        expected: &'static str,
        /// What came.
        found: Kind,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Section {
        Section {
            kind: Kind::Block,
            file: FileId([7; 16]),
            number: 3,
            length: 5,
            link: 0,
            hash: *blake3::hash(b"mimeo").as_bytes(),
        }
    }

    #[test]
    fn header_survives_its_bytes_and_knows_its_payload() {
        let section = sample();
        assert_eq!(Section::decode(&section.encode()).unwrap(), section);
        section.check(b"mimeo").unwrap();
        assert_eq!(section.check(b"mimex"), Err(SectionError::Damaged));
        assert!(matches!(
            section.check(b"mime"),
            Err(SectionError::Short { .. })
        ));
    }

    #[test]
    fn every_cut_and_every_flipped_bit_of_a_header_is_noticed() {
        let bytes = sample().encode();
        for length in 0..bytes.len() {
            assert!(Section::decode(&bytes[..length]).is_err(), "{length}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Section::decode(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn unknown_kind_is_passed_over_only_when_its_writer_allowed_it() {
        let later = Section {
            kind: Kind::Unknown(77),
            length: 1 << 40,
            ..sample()
        };
        let mut bytes = later.encode();
        assert_eq!(Section::decode(&bytes).unwrap(), later);
        bytes[14] = 0;
        let sum = crc32c::crc32c(&bytes[..CHECKSUM_AT]).to_le_bytes();
        bytes[CHECKSUM_AT..].copy_from_slice(&sum);
        assert_eq!(
            Section::decode(&bytes),
            Err(SectionError::Kind { code: 77 })
        );
    }

    #[test]
    fn length_above_the_limit_of_its_kind_is_refused() {
        let long = Section {
            length: Kind::Block.limit() + 1,
            ..sample()
        };
        assert!(matches!(
            Section::decode(&long.encode()),
            Err(SectionError::TooLong { .. })
        ));
    }
}

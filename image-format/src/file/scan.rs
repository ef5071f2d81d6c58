//! Every section of a file looked at, damage or not: what is wrong and where.

use std::path::Path;

use super::pieces::{Pieces, check_file};
use super::section::{FileId, HEADER_LENGTH, Kind, MAGIC, Section};
use super::{FileError, Place};

/// So much is searched at once for the next section after a damaged one.
const STEP: u64 = 1 << 20;
/// After so many findings the rest of a file says nothing new.
const MAX_DAMAGE: usize = 1000;

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScanReport {
    /// Sections whose header and payload are right.
    pub whole: u64,
    /// Footers among them.
    pub footers: u64,
    /// What is damaged, in order; at most a thousand.
    pub damage: Vec<Damage>,
}

/// Bytes that are not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// First byte in the whole file, heads of parts not counted.
    pub at: u64,
    /// How many bytes cannot be used.
    pub length: u64,
    /// What is wrong, with the section where it is known.
    pub what: String,
}

/// Reads a whole file, also one that cannot be opened, and names every damaged place.
///
/// # Errors
/// The medium failed, or a part is missing.
pub fn scan(path: &Path) -> Result<ScanReport, FileError> {
    let pieces = Pieces::find(path)?;
    let mut report = ScanReport::default();
    let (mut at, mut number, mut file) = (0, 0, None);
    while at < pieces.length() && report.damage.len() < MAX_DAMAGE {
        let found = look(&pieces, at, file)?;
        match &found {
            Ok(section) => {
                file = file.or(Some(section.file));
                if section.number != number {
                    let what = format!(
                        "section {number} should stand here, found {}: something is missing or swapped",
                        section.number
                    );
                    let length = 0;
                    report.damage.push(Damage { at, length, what });
                }
                report.whole += 1;
                report.footers += u64::from(section.kind == Kind::Footer);
                (at, number) = (
                    at.saturating_add(section.total()),
                    section.number.saturating_add(1),
                );
            }
            Err((what, framed)) => {
                let next = match framed {
                    Some(section) => at.saturating_add(section.total()),
                    None => next_section(&pieces, at + 1)?,
                };
                report.damage.push(Damage {
                    at,
                    length: next - at,
                    what: what.clone(),
                });
                number = framed
                    .map_or(number, |section| section.number)
                    .saturating_add(1);
                at = next;
            }
        }
    }
    Ok(report)
}

/// A section that is whole, or what is wrong with it and, where its header is
/// right, that.
type Looked = Result<Section, (String, Option<Section>)>;

fn look(pieces: &Pieces, at: u64, file: Option<FileId>) -> Result<Looked, FileError> {
    let nowhere = Place {
        at,
        number: 0,
        kind: None,
    };
    let Some(bytes) = pieces.read(at, HEADER_LENGTH)? else {
        let what = format!("the file ends within the header of a section at byte {at}");
        return Ok(Err((what, None)));
    };
    let section = match Section::decode(&bytes) {
        Ok(section) => section,
        Err(error) => {
            return Ok(Err((format!("bytes at {}: {error}", nowhere.at), None)));
        }
    };
    let place = Place::of(&section, at);
    if let Some(file) = file
        && let Err(error) = check_file(&section, at, file)
    {
        return Ok(Err((crate::share::chain(&error), Some(section))));
    }
    // What may be passed over is not held in memory.
    let payload = match section.kind {
        Kind::Unknown(_) => return Ok(Ok(section)),
        _ => pieces.read(at.saturating_add(HEADER_LENGTH), section.length)?,
    };
    let Some(payload) = payload else {
        return Ok(Err((format!("{place}: the file ends within it"), None)));
    };
    Ok(match section.check(&payload) {
        Ok(()) => Ok(section),
        Err(error) => Err((format!("{place}: {error}"), Some(section))),
    })
}

/// Where the next section begins that can be read, or the end of the file.
fn next_section(pieces: &Pieces, from: u64) -> Result<u64, FileError> {
    let end = pieces.length();
    let mut at = from;
    while at < end {
        let length = STEP.min(end - at);
        let Some(bytes) = pieces.read(at, length)? else {
            break;
        };
        let found = bytes.windows(MAGIC.len()).position(|bytes| bytes == MAGIC);
        match found {
            Some(offset) => {
                at = at.saturating_add(offset as u64);
                let header = pieces.read(at, HEADER_LENGTH)?;
                if header.is_some_and(|bytes| Section::decode(&bytes).is_ok()) {
                    return Ok(at);
                }
                at += 1;
            }
            // The magic may begin in the last bytes of this step.
            None if length < STEP => break,
            None => at += length - (MAGIC.len() as u64 - 1),
        }
    }
    Ok(end)
}

//! Parts of a split file: the head each begins with, the table in the last.

use super::payload::{PayloadError, expect};
use crate::bytes::Fields;

/// Payload of a part's head: part 4, reserved 4, offset 8.
pub(super) const HEAD_LENGTH: u64 = 16;
/// File names count with three digits and go on with four.
pub(super) const MAX_PARTS: u32 = 9999;

/// length 8, hash 32.
const ROW: usize = 40;

/// The first thing in a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartHead {
    /// Which part, from 1.
    pub part: u32,
    /// Where its first section begins in the whole file, heads of parts not counted.
    pub offset: u64,
}

impl PartHead {
    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.part.to_le_bytes().to_vec();
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(self.offset.to_le_bytes());
        bytes
    }

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, PayloadError> {
        expect("length of the head", HEAD_LENGTH, bytes.len() as u64)?;
        let mut fields = Fields::new(bytes);
        let part = fields.u32()?;
        expect("reserved", 0, fields.u32()?)?;
        let offset = fields.u64()?;
        if !(1..=MAX_PARTS).contains(&part) || (part == 1) != (offset == 0) {
            return Err(PayloadError::Reason("part and offset do not agree"));
        }
        Ok(Self { part, offset })
    }
}

/// A part that is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartRow {
    /// Bytes of the file on its medium, head included.
    pub length: u64,
    /// BLAKE3 of all of them.
    pub hash: [u8; 32],
}

/// The table: one row for every part but the last, which holds the table.
pub fn encode(rows: &[PartRow]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rows.len().saturating_mul(ROW));
    for row in rows {
        bytes.extend(row.length.to_le_bytes());
        bytes.extend(row.hash);
    }
    bytes
}

/// Reads the table.
///
/// # Errors
/// It does not consist of rows, or there are too many.
pub fn decode(bytes: &[u8]) -> Result<Vec<PartRow>, PayloadError> {
    let count = bytes.len() / ROW;
    expect("length of the rows", count * ROW, bytes.len())?;
    if count >= MAX_PARTS as usize {
        return Err(PayloadError::Reason("too many parts"));
    }
    let mut fields = Fields::new(bytes);
    let mut rows = Vec::new();
    for _ in 0..count {
        rows.push(PartRow {
            length: fields.u64()?,
            hash: fields.array()?,
        });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_table_survive_their_bytes_and_no_cut_is_taken() {
        let head = PartHead {
            part: 2,
            offset: 77,
        };
        let bytes = head.encode();
        assert_eq!(PartHead::decode(&bytes).unwrap(), head);
        let wrong = PartHead {
            part: 1,
            offset: 77,
        };
        assert!(PartHead::decode(&wrong.encode()).is_err());
        for length in 0..bytes.len() {
            assert!(PartHead::decode(&bytes[..length]).is_err());
        }
        let rows = vec![
            PartRow {
                length: 5,
                hash: [1; 32],
            },
            PartRow {
                length: 6,
                hash: [2; 32],
            },
        ];
        let bytes = encode(&rows);
        assert_eq!(decode(&bytes).unwrap(), rows);
        for length in (0..bytes.len()).filter(|length| length % ROW != 0) {
            assert!(decode(&bytes[..length]).is_err());
        }
    }
}

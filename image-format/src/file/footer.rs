//! The footer: the last 4096 bytes of a generation, and its commit. What a
//! reader needs to find everything else is here.

use super::kind::FOOTER_PAYLOAD;
use super::payload::{PayloadError, expect};
use super::section::{HEADER, HEADER_LENGTH};
use crate::bytes::Fields;

/// Header and payload together: fixed, so that the end of a file is enough to find it.
pub const FOOTER_LENGTH: u64 = HEADER_LENGTH + FOOTER_PAYLOAD;
const PAYLOAD: usize = 4096 - HEADER;

/// generation 8, begins 8, total 8, sections 8, images at 8, table at 8, blocks 8,
/// parts at 8, chain 32; the rest is reserved and zero.
const USED: usize = 96;

/// What a footer says. Offsets count bytes of the whole file without the heads of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footer {
    /// Counts up with every append, from 1.
    pub generation: u64,
    /// Where the generation's first section begins; 0 for the first generation.
    pub begins: u64,
    /// Length of the file up to and with this footer.
    pub total: u64,
    /// Sections up to and with this footer.
    pub sections: u64,
    /// Where the generation's image table begins.
    pub images_at: u64,
    /// Where the last block table of the generation begins; 0 when it brought no blocks.
    pub table_at: u64,
    /// Blocks the generation brought.
    pub blocks: u64,
    /// Where the part table begins; 0 for a file that is not split.
    pub parts_at: u64,
    /// [`Chain`] over all sections of the generation before this one.
    pub chain: [u8; 32],
}

impl Footer {
    /// The payload of a footer's section.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PAYLOAD);
        for number in [
            self.generation,
            self.begins,
            self.total,
            self.sections,
            self.images_at,
            self.table_at,
            self.blocks,
            self.parts_at,
        ] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.chain);
        bytes.resize(PAYLOAD, 0);
        bytes
    }

    /// Reads the payload; offsets are only compared with each other.
    ///
    /// # Errors
    /// What is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, PayloadError> {
        expect("length of the footer", FOOTER_PAYLOAD, bytes.len() as u64)?;
        let mut fields = Fields::new(bytes);
        let footer = Self {
            generation: fields.u64()?,
            begins: fields.u64()?,
            total: fields.u64()?,
            sections: fields.u64()?,
            images_at: fields.u64()?,
            table_at: fields.u64()?,
            blocks: fields.u64()?,
            parts_at: fields.u64()?,
            chain: fields.array()?,
        };
        let rest = bytes.get(USED..).unwrap_or_default();
        if rest.iter().any(|byte| *byte != 0) {
            return Err(PayloadError::Reason("reserved bytes are not zero"));
        }
        footer.check()
    }

    fn check(self) -> Result<Self, PayloadError> {
        let end = self.total.checked_sub(FOOTER_LENGTH);
        let end = end.ok_or(PayloadError::Reason("shorter than itself"))?;
        let inside = |at: u64| (self.begins..end).contains(&at);
        let optional = |at: u64| at == 0 || inside(at);
        if self.generation == 0 || (self.generation == 1) != (self.begins == 0) {
            return Err(PayloadError::Reason(
                "generation and beginning do not agree",
            ));
        }
        if !inside(self.images_at) || !optional(self.table_at) || !optional(self.parts_at) {
            return Err(PayloadError::Reason("a table lies outside the generation"));
        }
        if (self.table_at == 0) != (self.blocks == 0) {
            return Err(PayloadError::Reason("blocks and block table do not agree"));
        }
        // Every section has a header.
        if self.sections == 0 || self.sections > self.total / HEADER_LENGTH {
            return Err(PayloadError::Reason("impossible number of sections"));
        }
        Ok(self)
    }
}

/// The hash over the headers of a generation's sections, and the one before:
/// headers hash their payloads, so it stands for every byte up to the footer.
#[derive(Debug, Clone)]
pub struct Chain(blake3::Hasher);

impl Chain {
    /// Begins a generation; `before` is the chain of the footer before, zeros for none.
    pub fn new(before: &[u8; 32]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"mimeo single file 1\0").update(before);
        Self(hasher)
    }

    /// Takes the header of the next section.
    pub fn add(&mut self, header: &[u8; HEADER]) {
        self.0.update(header);
    }

    /// The hash so far.
    pub fn hash(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Footer {
        Footer {
            generation: 2,
            begins: 9000,
            total: 20_000,
            sections: 30,
            images_at: 9500,
            table_at: 12_000,
            blocks: 3,
            parts_at: 0,
            chain: [5; 32],
        }
    }

    #[test]
    fn footer_survives_its_bytes_at_its_fixed_length() {
        let bytes = sample().encode();
        assert_eq!(bytes.len() as u64 + HEADER_LENGTH, FOOTER_LENGTH);
        assert_eq!(Footer::decode(&bytes).unwrap(), sample());
    }

    #[test]
    fn footers_that_contradict_themselves_are_refused() {
        let wrong: [fn(&mut Footer); 7] = [
            |footer| footer.generation = 0,
            |footer| footer.generation = 1,
            |footer| footer.total = 4000,
            |footer| footer.images_at = 8999,
            |footer| footer.table_at = 19_000,
            |footer| footer.blocks = 0,
            |footer| footer.sections = 1000,
        ];
        for spoil in wrong {
            let mut footer = sample();
            spoil(&mut footer);
            assert!(Footer::decode(&footer.encode()).is_err(), "{footer:?}");
        }
        let bytes = sample().encode();
        for length in 0..bytes.len() {
            assert!(Footer::decode(&bytes[..length]).is_err());
        }
        let mut bytes = bytes;
        bytes[USED] = 1;
        assert!(Footer::decode(&bytes).is_err());
    }
}

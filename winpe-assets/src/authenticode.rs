//! Does a loader or kernel carry a signature? Only the certificate table is
//! looked at: who signed is the firmware's question, that nobody did is ours.
//!
//! PE format: "Optional Header Data Directories", entry 4, and "The Attribute
//! Certificate Table" (whose address is a file offset, not an RVA).

use std::ops::Range;

use thiserror::Error;

/// Offset of the PE header's offset in the DOS header.
const PE_OFFSET_AT: usize = 0x3c;
/// From the PE signature to the optional header: 4 bytes and 20 of COFF header.
const OPTIONAL_HEADER_AT: usize = 24;
/// Magic of an optional header with 64-bit addresses.
const PE32_PLUS: u16 = 0x020b;
/// From the optional header to the number of data directories (PE32+).
const DIRECTORY_COUNT_AT: usize = 108;
/// From the optional header to the fifth data directory (PE32+).
const CERTIFICATE_ENTRY_AT: usize = 112 + 4 * 8;
/// Position of the certificate table among the data directories.
const CERTIFICATE_INDEX: u32 = 4;
/// WIN_CERTIFICATE: length, revision, type.
const CERTIFICATE_HEADER: u32 = 8;
/// WIN_CERT_TYPE_PKCS_SIGNED_DATA.
const PKCS_SIGNED_DATA: u16 = 2;

/// Why a program is not a signed PE.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SignatureError {
    /// Not a 64-bit PE program.
    #[error("not a 64-bit PE program: {0}")]
    NotPe(&'static str),
    /// It is one, but nobody signed it.
    #[error("carries no signature: the firmware refuses it under Secure Boot")]
    Unsigned,
    /// It has a certificate table that cannot be one.
    #[error("its certificate table ({offset}+{size}) is damaged: {reason}")]
    Damaged {
        /// File offset of the table as written.
        offset: u32,
        /// Length as written.
        size: u32,
        /// What does not fit.
        reason: &'static str,
    },
}

/// Where the first signature of a PE program lies in the file.
pub fn signature(program: &[u8]) -> Result<Range<usize>, SignatureError> {
    use SignatureError::NotPe;
    if program.get(..2) != Some(b"MZ") {
        return Err(NotPe("no MZ at its start"));
    }
    let pe = u32_at(program, PE_OFFSET_AT).ok_or(NotPe("cut short"))? as usize;
    if program.get(pe..).and_then(|rest| rest.get(..4)) != Some(b"PE\0\0") {
        return Err(NotPe("no PE header where the DOS header says"));
    }
    let optional = pe + OPTIONAL_HEADER_AT;
    if u16_at(program, optional) != Some(PE32_PLUS) {
        return Err(NotPe("not of the 64-bit kind"));
    }
    let count = u32_at(program, optional + DIRECTORY_COUNT_AT).ok_or(NotPe("cut short"))?;
    if count <= CERTIFICATE_INDEX {
        return Err(SignatureError::Unsigned);
    }
    let entry = optional + CERTIFICATE_ENTRY_AT;
    let offset = u32_at(program, entry).ok_or(NotPe("cut short"))?;
    let size = u32_at(program, entry + 4).ok_or(NotPe("cut short"))?;
    if offset == 0 || size == 0 {
        return Err(SignatureError::Unsigned);
    }
    certificate(program, offset, size).map_err(|reason| SignatureError::Damaged {
        offset,
        size,
        reason,
    })
}

/// Checks the first entry of the certificate table.
fn certificate(program: &[u8], offset: u32, size: u32) -> Result<Range<usize>, &'static str> {
    let start = offset as usize;
    let table = program
        .get(start..)
        .and_then(|rest| rest.get(..size as usize))
        .ok_or("it ends behind the file")?;
    let length = u32_at(table, 0).ok_or("shorter than its header")?;
    if length <= CERTIFICATE_HEADER || length > size {
        return Err("its first entry does not fit");
    }
    if u16_at(table, 6) != Some(PKCS_SIGNED_DATA) {
        return Err("its first entry is not PKCS signed data");
    }
    Ok(start + CERTIFICATE_HEADER as usize..start + length as usize)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*field))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*field))
}

/// A minimal signed program for the tests of this crate.
#[cfg(test)]
pub(crate) fn signed_sample() -> Vec<u8> {
    let mut program = vec![0; 0x200];
    program[..2].copy_from_slice(b"MZ");
    program[PE_OFFSET_AT] = 0x40;
    program[0x40..0x44].copy_from_slice(b"PE\0\0");
    let optional = 0x40 + OPTIONAL_HEADER_AT;
    program[optional..optional + 2].copy_from_slice(&PE32_PLUS.to_le_bytes());
    program[optional + DIRECTORY_COUNT_AT] = 16;
    let entry = optional + CERTIFICATE_ENTRY_AT;
    program[entry..entry + 4].copy_from_slice(&0x200u32.to_le_bytes());
    program[entry + 4..entry + 8].copy_from_slice(&16u32.to_le_bytes());
    program.extend([16, 0, 0, 0, 0, 2, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_program_tells_where_its_signature_lies() {
        assert_eq!(signature(&signed_sample()), Ok(0x208..0x210));
    }

    #[test]
    fn a_program_without_certificate_table_is_unsigned() {
        let mut program = signed_sample();
        let entry = 0x40 + OPTIONAL_HEADER_AT + CERTIFICATE_ENTRY_AT;
        program[entry..entry + 8].fill(0);
        assert_eq!(signature(&program), Err(SignatureError::Unsigned));
    }

    #[test]
    fn a_cut_or_damaged_program_never_panics_and_a_cut_one_never_passes() {
        let program = signed_sample();
        for length in 0..program.len() {
            assert!(signature(&program[..length]).is_err(), "cut at {length}");
        }
        for at in 0..program.len() {
            let mut damaged = program.clone();
            damaged[at] ^= 0xff;
            let _ = signature(&damaged);
        }
    }
}

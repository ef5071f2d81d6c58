//! The little of ELF that matters here: a module's sections, and whether a
//! program needs an interpreter. 64-bit little-endian only (elf(5)).

use thiserror::Error;

/// EI_CLASS and EI_DATA of a 64-bit little-endian file.
const IDENT: &[u8] = b"\x7fELF\x02\x01";
const MACHINE_AT: usize = 0x12;
const PROGRAM_TABLE_AT: usize = 0x20;
const SECTION_TABLE_AT: usize = 0x28;
const PROGRAM_SIZE_AT: usize = 0x36;
const PROGRAM_COUNT_AT: usize = 0x38;
const SECTION_SIZE_AT: usize = 0x3a;
const SECTION_COUNT_AT: usize = 0x3c;
const SECTION_NAMES_AT: usize = 0x3e;
/// Within a section header.
const SECTION_OFFSET: usize = 0x18;
const SECTION_LENGTH: usize = 0x20;
/// Program header type of the path of the dynamic loader.
const PT_INTERP: u32 = 3;
/// The machine of this crate's kernels.
const EM_X86_64: u16 = 62;

/// Why a file is not the ELF file it should be.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ElfError {
    /// Another format, word size or byte order.
    #[error("not a 64-bit little-endian ELF file")]
    NotElf,
    /// For another processor.
    #[error("made for processor type {0}, not for x86-64 (62)")]
    Machine(u16),
    /// A table lies outside the file.
    #[error("ELF file is cut short or damaged: {0}")]
    Damaged(&'static str),
    /// Needs a dynamic loader, which the boot environment does not have.
    #[error("needs a dynamic loader (PT_INTERP); build it with -C target-feature=+crt-static")]
    Dynamic,
}

/// The content of the section `name`, if the file has one.
pub fn section<'a>(file: &'a [u8], name: &str) -> Result<Option<&'a [u8]>, ElfError> {
    const DAMAGED: ElfError = ElfError::Damaged("section table");
    if !file.starts_with(IDENT) {
        return Err(ElfError::NotElf);
    }
    let names_index = u16_at(file, SECTION_NAMES_AT).ok_or(DAMAGED)?;
    let names = header(file, names_index)
        .and_then(|names| content(file, names))
        .ok_or(DAMAGED)?;
    for index in 0..u16_at(file, SECTION_COUNT_AT).ok_or(DAMAGED)? {
        let section = header(file, index).ok_or(DAMAGED)?;
        let name_at = usize::try_from(u32_at(section, 0).ok_or(DAMAGED)?).map_err(|_| DAMAGED)?;
        let rest = names.get(name_at..).ok_or(DAMAGED)?;
        if rest.split(|&byte| byte == 0).next() == Some(name.as_bytes()) {
            return content(file, section).map(Some).ok_or(DAMAGED);
        }
    }
    Ok(None)
}

/// The header of section number `index`.
fn header(file: &[u8], index: u16) -> Option<&[u8]> {
    let table = usize::try_from(u64_at(file, SECTION_TABLE_AT)?).ok()?;
    let size = usize::from(u16_at(file, SECTION_SIZE_AT)?);
    let start = table.checked_add(size.checked_mul(usize::from(index))?)?;
    file.get(start..start.checked_add(size)?)
}

/// The bytes a section header points at.
fn content<'a>(file: &'a [u8], header: &[u8]) -> Option<&'a [u8]> {
    let start = usize::try_from(u64_at(header, SECTION_OFFSET)?).ok()?;
    let length = usize::try_from(u64_at(header, SECTION_LENGTH)?).ok()?;
    file.get(start..start.checked_add(length)?)
}

/// Refuses a program that could not be the first process of an empty system.
pub fn check_static(program: &[u8]) -> Result<(), ElfError> {
    const DAMAGED: ElfError = ElfError::Damaged("program headers");
    if !program.starts_with(IDENT) {
        return Err(ElfError::NotElf);
    }
    match u16_at(program, MACHINE_AT).ok_or(DAMAGED)? {
        EM_X86_64 => {}
        other => return Err(ElfError::Machine(other)),
    }
    let table = u64_at(program, PROGRAM_TABLE_AT).ok_or(DAMAGED)?;
    let table = usize::try_from(table).map_err(|_| DAMAGED)?;
    let size = usize::from(u16_at(program, PROGRAM_SIZE_AT).ok_or(DAMAGED)?);
    let count = u16_at(program, PROGRAM_COUNT_AT).ok_or(DAMAGED)?;
    if count == 0 {
        return Err(ElfError::Damaged("no program headers: not a program"));
    }
    for index in 0..usize::from(count) {
        // Both factors are at most 65535.
        let at = table.checked_add(index * size).ok_or(DAMAGED)?;
        if u32_at(program, at).ok_or(DAMAGED)? == PT_INTERP {
            return Err(ElfError::Dynamic);
        }
    }
    Ok(())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const HEADER: usize = 0x40;

    /// A file with one section, for the tests of this crate.
    pub(crate) fn with_section(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut file = vec![0; HEADER];
        file[..IDENT.len()].copy_from_slice(IDENT);
        let names = format!("\0{name}\0");
        let names_at = HEADER + bytes.len();
        file.extend_from_slice(bytes);
        file.extend_from_slice(names.as_bytes());
        let table = file.len();
        for (name, at, length) in [(1u32, HEADER, bytes.len()), (0, names_at, names.len())] {
            let mut header = [0; 0x40];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[SECTION_OFFSET..][..8].copy_from_slice(&(at as u64).to_le_bytes());
            header[SECTION_LENGTH..][..8].copy_from_slice(&(length as u64).to_le_bytes());
            file.extend_from_slice(&header);
        }
        file[SECTION_TABLE_AT..][..8].copy_from_slice(&(table as u64).to_le_bytes());
        file[SECTION_SIZE_AT] = 0x40;
        file[SECTION_COUNT_AT] = 2;
        file[SECTION_NAMES_AT] = 1;
        file
    }

    /// A program with one program header of this type, for the tests of this crate.
    pub(crate) fn program(kind: u8) -> Vec<u8> {
        let mut file = vec![0; HEADER + 0x38];
        file[..IDENT.len()].copy_from_slice(IDENT);
        file[MACHINE_AT] = 62;
        file[PROGRAM_TABLE_AT] = 0x40;
        file[PROGRAM_SIZE_AT] = 0x38;
        file[PROGRAM_COUNT_AT] = 1;
        file[HEADER] = kind;
        file
    }

    #[test]
    fn a_section_is_found_by_its_name() {
        let file = with_section(".modinfo", b"license=GPL\0");
        assert_eq!(
            section(&file, ".modinfo"),
            Ok(Some(b"license=GPL\0".as_slice()))
        );
        assert_eq!(section(&file, ".text"), Ok(None));
    }

    #[test]
    fn a_program_with_an_interpreter_is_refused() {
        assert_eq!(check_static(&program(1)), Ok(()));
        assert_eq!(check_static(&program(3)), Err(ElfError::Dynamic));
        assert_eq!(check_static(b"#!/bin/sh\n"), Err(ElfError::NotElf));
    }

    #[test]
    fn cut_and_damaged_files_never_panic() {
        let file = with_section(".modinfo", b"license=GPL\0");
        for length in 0..file.len() {
            assert!(
                section(&file[..length], ".modinfo").is_err(),
                "cut at {length}"
            );
            let _ = check_static(&file[..length]);
        }
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 0xff;
            let _ = (section(&damaged, ".modinfo"), check_static(&damaged));
        }
    }
}

//! What kind of contents a stream has, told by its first bytes.

use crate::block::FilterChoice;

/// What the first bytes of a stream say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Class {
    /// Nothing.
    #[default]
    Data,
    /// A program or library for x86, 32 or 64 bits.
    X86,
    /// A program or library for ARM64.
    Arm64,
    /// Compressed already.
    Packed,
    /// No stream, but a part of a manifest.
    Manifest,
}

/// So many first bytes tell the class of all streams that have one.
const CLASS_BYTES: usize = 4096;
/// How compressed files begin: gzip, xz, zstd, bzip2, zip, 7z, PNG, JPEG, WOFF2.
const PACKED: [&[u8]; 9] = [
    b"\x1f\x8b\x08",
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b"BZh",
    b"PK\x03\x04",
    b"7z\xbc\xaf\x27\x1c",
    b"\x89PNG\r\n",
    b"\xff\xd8\xff",
    b"wOF2",
];

impl Class {
    /// The class of a stream that begins with `head`.
    pub fn of(head: &[u8]) -> Self {
        let head = head.get(..CLASS_BYTES).unwrap_or(head);
        if PACKED.iter().any(|magic| head.starts_with(magic)) {
            return Self::Packed;
        }
        if Self::is_object(head) {
            return Self::Data;
        }
        match elf_machine(head).or_else(|| pe_machine(head)) {
            // EM_386 and EM_X86_64; IMAGE_FILE_MACHINE_I386 and _AMD64.
            Some(3 | 62 | 0x014c | 0x8664) => Self::X86,
            // EM_AARCH64; IMAGE_FILE_MACHINE_ARM64.
            Some(183 | 0xaa64) => Self::Arm64,
            _ => Self::Data,
        }
    }

    /// Whether code is not linked yet, as in kernel modules: its calls all have
    /// the distance zero, and a filter would make each of them another.
    pub(crate) fn is_object(head: &[u8]) -> bool {
        // ET_REL of a little-endian file.
        elf_machine(head).is_some() && u16_at(head, 16) == Some(1)
    }

    /// The branch filter that helps.
    pub fn filter(self) -> FilterChoice {
        match self {
            Self::X86 => FilterChoice::X86,
            Self::Arm64 => FilterChoice::Arm64,
            Self::Data | Self::Packed | Self::Manifest => FilterChoice::None,
        }
    }
}

/// `e_machine` of a little-endian ELF file.
fn elf_machine(head: &[u8]) -> Option<u16> {
    let little = head.starts_with(b"\x7fELF") && head.get(5) == Some(&1);
    little.then(|| u16_at(head, 18))?
}

/// The machine of a PE file, whose header's place stands at byte 60.
fn pe_machine(head: &[u8]) -> Option<u16> {
    let at = head.starts_with(b"MZ").then(|| u16_at(head, 60))??;
    let header = head.get(usize::from(at)..)?;
    header.starts_with(b"PE\0\0").then(|| u16_at(header, 4))?
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    match bytes.get(at..at + 2)? {
        &[low, high] => Some(u16::from_le_bytes([low, high])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_programs_and_compressed_files() {
        let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
        elf.resize(64, 0);
        assert_eq!(Class::of(&elf), Class::Data);
        elf[18] = 62;
        assert_eq!(Class::of(&elf), Class::X86);
        elf[16] = 1;
        assert_eq!(Class::of(&elf), Class::Data, "not linked");
        elf[16] = 3;
        elf[18] = 183;
        assert_eq!(Class::of(&elf), Class::Arm64);
        elf[5] = 2;
        assert_eq!(Class::of(&elf), Class::Data, "big-endian");
        let mut pe = b"MZ".to_vec();
        pe.resize(0x90, 0);
        pe[60] = 0x80;
        pe[0x80..0x86].copy_from_slice(b"PE\0\0\x64\x86");
        assert_eq!(Class::of(&pe), Class::X86);
        let found = |length| Class::of(&pe[..length]) == Class::X86;
        assert_eq!((0..pe.len()).find(|length| found(*length)), Some(0x86));
        pe[61] = 0xff;
        assert_eq!(Class::of(&pe), Class::Data, "its header lies elsewhere");
        assert_eq!(Class::of(b"\x1f\x8b\x08\0"), Class::Packed);
        assert_eq!(Class::of(b""), Class::Data);
    }
}

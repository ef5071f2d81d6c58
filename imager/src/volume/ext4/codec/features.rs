//! Feature words of the superblock: what is written, what is understood.

/// `has_journal`.
pub(crate) const COMPAT_HAS_JOURNAL: u32 = 0x4;
const COMPAT_EXT_ATTR: u32 = 0x8;
const COMPAT_DIR_INDEX: u32 = 0x20;

const INCOMPAT_COMPRESSION: u32 = 0x1;
const INCOMPAT_FILETYPE: u32 = 0x2;
/// The journal holds transactions that are not yet in place.
pub(crate) const INCOMPAT_RECOVER: u32 = 0x4;
const INCOMPAT_JOURNAL_DEVICE: u32 = 0x8;
/// Group descriptors lie in the groups they describe.
pub(crate) const INCOMPAT_META_BG: u32 = 0x10;
const INCOMPAT_EXTENTS: u32 = 0x40;
/// Descriptors of 64 bytes.
pub(crate) const INCOMPAT_64BIT: u32 = 0x80;
const INCOMPAT_MMP: u32 = 0x100;
const INCOMPAT_FLEX_BG: u32 = 0x200;
const INCOMPAT_EA_INODE: u32 = 0x400;
const INCOMPAT_DIRDATA: u32 = 0x1000;
/// The checksum seed stands in the superblock instead of being the UUID's sum.
pub(crate) const INCOMPAT_CSUM_SEED: u32 = 0x2000;
const INCOMPAT_LARGEDIR: u32 = 0x4000;
const INCOMPAT_INLINE_DATA: u32 = 0x8000;
const INCOMPAT_ENCRYPT: u32 = 0x1_0000;
const INCOMPAT_CASEFOLD: u32 = 0x2_0000;

/// Backups of the superblock only in groups 0, 1 and powers of 3, 5 and 7.
pub(crate) const RO_SPARSE_SUPER: u32 = 0x1;
const RO_LARGE_FILE: u32 = 0x2;
const RO_HUGE_FILE: u32 = 0x8;
const RO_DIR_NLINK: u32 = 0x20;
const RO_EXTRA_ISIZE: u32 = 0x40;
const RO_BIGALLOC: u32 = 0x200;
/// Everything carries a CRC-32C.
pub(crate) const RO_METADATA_CSUM: u32 = 0x400;
/// Files were open or being cut when it was last written.
pub(crate) const RO_ORPHAN_PRESENT: u32 = 0x1_0000;

/// `compat`, `incompat`, `ro_compat` of what is built: those of `mke2fs` 1.47
/// without `resize_inode`, whose reserved blocks a new layout does not need.
pub(crate) const BUILT: [u32; 3] = [
    COMPAT_HAS_JOURNAL | COMPAT_EXT_ATTR | COMPAT_DIR_INDEX,
    INCOMPAT_FILETYPE | INCOMPAT_EXTENTS | INCOMPAT_64BIT | INCOMPAT_FLEX_BG,
    RO_SPARSE_SUPER
        | RO_LARGE_FILE
        | RO_HUGE_FILE
        | RO_DIR_NLINK
        | RO_EXTRA_ISIZE
        | RO_METADATA_CSUM,
];

const READ_INCOMPAT: u32 = INCOMPAT_FILETYPE
    | INCOMPAT_RECOVER
    | INCOMPAT_META_BG
    | INCOMPAT_EXTENTS
    | INCOMPAT_64BIT
    | INCOMPAT_MMP
    | INCOMPAT_FLEX_BG
    | INCOMPAT_CSUM_SEED
    | INCOMPAT_LARGEDIR
    | INCOMPAT_INLINE_DATA;

const NAMED_REFUSALS: [(u32, &str); 6] = [
    (INCOMPAT_COMPRESSION, "compression"),
    (INCOMPAT_JOURNAL_DEVICE, "journal_dev"),
    (INCOMPAT_EA_INODE, "ea_inode"),
    (INCOMPAT_DIRDATA, "dirdata"),
    (INCOMPAT_ENCRYPT, "encrypt"),
    (INCOMPAT_CASEFOLD, "casefold"),
];

/// The names of features without which the volume cannot be read rightly.
pub(crate) fn refused(incompat: u32, ro_compat: u32) -> Vec<String> {
    let named = NAMED_REFUSALS.iter().filter(|(bit, _)| incompat & bit != 0);
    let mut names: Vec<String> = named.map(|(_, name)| (*name).to_owned()).collect();
    if ro_compat & RO_BIGALLOC != 0 {
        names.push("bigalloc".to_owned());
    }
    let all_named = NAMED_REFUSALS
        .iter()
        .fold(READ_INCOMPAT, |all, (bit, _)| all | bit);
    let unknown = incompat & !all_named;
    if unknown != 0 {
        names.push(format!("unknown incompatible features {unknown:#x}"));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_read_and_what_is_unknown_is_named() {
        assert!(refused(BUILT[1], BUILT[2]).is_empty());
        assert_eq!(
            refused(INCOMPAT_ENCRYPT, RO_BIGALLOC),
            ["encrypt", "bigalloc"]
        );
        assert_eq!(
            refused(1 << 31, 0),
            ["unknown incompatible features 0x80000000"]
        );
    }
}

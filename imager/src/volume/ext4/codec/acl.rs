//! Access control lists: ext4 leaves out the ids that mean nothing, the kernel
//! hands out all of them (`fs/ext4/acl.h`, `include/uapi/linux/posix_acl_xattr.h`).

use super::fields::{get16, get32};

const STORED_VERSION: u32 = 1;
const PORTABLE_VERSION: u32 = 2;
const UNDEFINED: u32 = u32::MAX;
const TAG_USER: u16 = 0x02;
const TAG_GROUP: u16 = 0x08;
const PORTABLE_ENTRY: usize = 8;

/// From the bytes on the volume to those `getxattr` gives.
pub(crate) fn to_portable(stored: &[u8]) -> Option<Vec<u8>> {
    (get32(stored, 0)? == STORED_VERSION).then_some(())?;
    let mut portable = PORTABLE_VERSION.to_le_bytes().to_vec();
    let mut rest = stored.get(4..)?;
    while !rest.is_empty() {
        let named = has_id(get16(rest, 0)?);
        let id = if named { get32(rest, 4)? } else { UNDEFINED };
        portable.extend_from_slice(rest.get(..4)?);
        portable.extend_from_slice(&id.to_le_bytes());
        rest = rest.get(if named { 8 } else { 4 }..)?;
    }
    Some(portable)
}

/// From the bytes `setxattr` takes to those on the volume.
pub(crate) fn to_stored(portable: &[u8]) -> Option<Vec<u8>> {
    let entries = portable.get(4..)?;
    let is_whole = entries.len().is_multiple_of(PORTABLE_ENTRY);
    if get32(portable, 0)? != PORTABLE_VERSION || !is_whole {
        return None;
    }
    let mut stored = STORED_VERSION.to_le_bytes().to_vec();
    for entry in entries.chunks_exact(PORTABLE_ENTRY) {
        let length = if has_id(get16(entry, 0)?) { 8 } else { 4 };
        stored.extend_from_slice(entry.get(..length)?);
    }
    Some(stored)
}

fn has_id(tag: u16) -> bool {
    tag == TAG_USER || tag == TAG_GROUP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_survive_both_ways_and_stray_bytes_are_refused() {
        let mut portable = 2u32.to_le_bytes().to_vec();
        for (tag, id) in [
            (1u16, UNDEFINED),
            (TAG_USER, 1000),
            (4, UNDEFINED),
            (16, UNDEFINED),
        ] {
            portable.extend_from_slice(&tag.to_le_bytes());
            portable.extend_from_slice(&6u16.to_le_bytes());
            portable.extend_from_slice(&id.to_le_bytes());
        }
        let stored = to_stored(&portable).unwrap();
        assert_eq!(stored.len(), 4 + 3 * 4 + 8);
        assert_eq!(to_portable(&stored), Some(portable.clone()));
        assert_eq!(to_portable(&stored[..stored.len() - 1]), None);
        assert_eq!(to_stored(&portable[..portable.len() - 1]), None);
        assert_eq!(to_portable(&[]), None);
    }
}

//! Facts of disks and volumes as a technician writes them.

use image_format::layout::{Scheme, Volume};

/// A UUID as stored by Unix file systems: in the order of its text.
pub(super) fn uuid(bytes: &[u8; 16]) -> String {
    let hex = |from: usize, to: usize| -> String {
        let part = bytes.get(from..to).unwrap_or_default();
        part.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let (a, b, c, d, e) = (hex(0, 4), hex(4, 6), hex(6, 8), hex(8, 10), hex(10, 16));
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// A GUID as a partition table stores it: its first three fields little-endian.
pub(super) fn guid(bytes: &[u8; 16]) -> String {
    let mut turned = *bytes;
    turned[..4].reverse();
    turned[4..6].reverse();
    turned[6..8].reverse();
    uuid(&turned).to_uppercase()
}

/// A partition's type or id: of an MBR only the first byte counts.
pub(super) fn partition_id(scheme: &Scheme, bytes: &[u8; 16]) -> String {
    match scheme {
        Scheme::Mbr { .. } => format!("{:02x}", bytes[0]),
        _ => guid(bytes),
    }
}

/// Which table, with what names the disk in it.
pub(super) fn scheme(scheme: &Scheme) -> String {
    match scheme {
        Scheme::Gpt { disk_guid } => format!("GPT with disk GUID {}", guid(disk_guid)),
        Scheme::Mbr { signature } => format!("MBR with disk signature {signature:08x}"),
        Scheme::None => "none".to_owned(),
        Scheme::Tree => "none, a directory".to_owned(),
    }
}

/// A label without what pads it.
pub(super) fn label(bytes: &[u8]) -> String {
    let end = bytes.iter().rposition(|&byte| byte != 0 && byte != b' ');
    let kept = bytes
        .get(..end.map_or(0, |end| end + 1))
        .unwrap_or_default();
    format!("\"{}\"", kept.escape_ascii())
}

/// What kind of volume.
pub(super) fn volume(volume: &Volume) -> &'static str {
    match volume {
        Volume::Ext4(_) => "an ext4 volume",
        Volume::Fat(_) => "a FAT volume",
        Volume::Swap { .. } => "swap",
        Volume::Raw => "contents kept sector by sector",
        Volume::Empty => "nothing but zeros",
        Volume::Tree => "a directory",
    }
}

/// The default mount options of ext4 as `tune2fs -o` names them.
pub(super) fn mount_options(bits: &u32) -> String {
    const NAMES: [(u32, &str); 10] = [
        (0x1, "debug"),
        (0x2, "bsdgroups"),
        (0x4, "user_xattr"),
        (0x8, "acl"),
        (0x10, "uid16"),
        (0x100, "nobarrier"),
        (0x200, "block_validity"),
        (0x400, "discard"),
        (0x800, "nodelalloc"),
        (0x60, "journal_data_writeback"),
    ];
    let journal = match bits & 0x60 {
        0x20 => Some("journal_data"),
        0x40 => Some("journal_data_ordered"),
        _ => None,
    };
    let set = NAMES.iter().filter(|(bit, _)| bits & bit == *bit);
    let names: Vec<&str> = set.map(|(_, name)| *name).chain(journal).collect();
    match names.is_empty() {
        true => format!("none ({bits:#x})"),
        false => format!("{} ({bits:#x})", names.join(",")),
    }
}

/// What ext4 does on errors, as `tune2fs -e` names it.
pub(super) fn on_errors(value: &u32) -> String {
    match value {
        1 => "continue".to_owned(),
        2 => "remount-ro".to_owned(),
        3 => "panic".to_owned(),
        other => format!("{other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_as_blkid_and_sgdisk_print_them() {
        let bytes: [u8; 16] = std::array::from_fn(|at| u8::try_from(at).unwrap() + 0xa0);
        assert_eq!(uuid(&bytes), "a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf");
        assert_eq!(guid(&bytes), "A3A2A1A0-A5A4-A7A6-A8A9-AAABACADAEAF");
    }

    #[test]
    fn options_have_the_names_of_tune2fs() {
        assert_eq!(mount_options(&0xc), "user_xattr,acl (0xc)");
        assert_eq!(mount_options(&0x60), "journal_data_writeback (0x60)");
        assert_eq!(mount_options(&0), "none (0x0)");
        assert_eq!(on_errors(&3), "panic");
    }
}

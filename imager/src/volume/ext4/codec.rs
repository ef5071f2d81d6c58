//! The structures of ext4: bytes to values and back, one structure a file.
//!
//! Decoders take any bytes and answer `None` where they are too short or not
//! what they claim; nothing here reads a disk.

pub(super) mod acl;
pub(super) mod checksum;
pub(super) mod device;
pub(super) mod directory;
pub(super) mod extent;
pub(super) mod features;
pub(super) mod fields;
pub(super) mod group;
pub(super) mod hash;
pub(super) mod htree;
pub(super) mod inode;
pub(super) mod journal;
pub(super) mod superblock;
pub(super) mod time;
pub(super) mod xattr;

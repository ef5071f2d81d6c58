//! The disk an image was taken from: its table and what each partition holds.

use serde::{Deserialize, Serialize};

/// A partition table with its partitions, in bytes (never in sectors).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskLayout {
    /// Logical sector size in bytes: 512 or 4096.
    pub sector_size: u32,
    /// Size of the whole disk in bytes.
    pub size: u64,
    /// Which table, with what names the disk itself.
    pub scheme: Scheme,
    /// The first 440 bytes of the disk when a boot loader lives there, else empty.
    pub boot_code: Vec<u8>,
    /// Partitions in the order of their place on the disk.
    pub partitions: Vec<Partition>,
}

impl DiskLayout {
    /// What stands for a disk where only a directory tree was captured.
    pub fn tree() -> Self {
        let partition = Partition {
            number: 1,
            start: 0,
            size: 0,
            type_guid: [0; 16],
            guid: [0; 16],
            attributes: 0,
            name: Vec::new(),
            volume: Volume::Tree,
        };
        Self {
            sector_size: 512,
            size: 0,
            scheme: Scheme::Tree,
            boot_code: Vec::new(),
            partitions: vec![partition],
        }
    }
}

/// The kind of partition table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheme {
    /// GUID partition table (UEFI specification, chapter 5).
    Gpt {
        /// Disk GUID as stored (first three fields little-endian).
        disk_guid: [u8; 16],
    },
    /// Master boot record with its disk signature.
    Mbr {
        /// Bytes 440..444.
        signature: u32,
    },
    /// No table: the whole disk is one volume.
    None,
    /// No disk: a directory tree, in one partition without place and length.
    Tree,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Its number in the table, from 1.
    pub number: u32,
    /// First byte on the disk.
    pub start: u64,
    /// Length in bytes.
    pub size: u64,
    /// Type GUID as stored; on MBR the type byte in the first place.
    pub type_guid: [u8; 16],
    /// Unique GUID as stored; zero on MBR.
    pub guid: [u8; 16],
    /// GPT attribute bits; on MBR bit 2 says active (legacy boot), and on its
    /// logical partitions (from 5 on) bits 8 to 15 are the type and bits 16 to
    /// 19 the number of the extended partition they lie in.
    pub attributes: u64,
    /// GPT name, UTF-16 code units without the trailing zeros.
    pub name: Vec<u16>,
    /// What lies in it.
    pub volume: Volume,
}

/// What a partition holds and what is needed to make it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Volume {
    /// Captured file by file.
    Ext4(Ext4Facts),
    /// Captured file by file.
    Fat(FatFacts),
    /// Only the header is kept; made again.
    Swap {
        /// The UUID other files name it by.
        uuid: [u8; 16],
        /// Volume label, zero padded.
        label: [u8; 16],
        /// Page size the header was written for.
        page_size: u32,
    },
    /// Not understood: every sector that is not zero.
    Raw,
    /// Nothing but zeros.
    Empty,
    /// A directory tree of a POSIX system, whatever file system it lay on.
    Tree,
}

/// What names and shapes an ext4 file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ext4Facts {
    /// `s_uuid`.
    pub uuid: [u8; 16],
    /// `s_volume_name`, zero padded.
    pub label: [u8; 16],
    /// `s_hash_seed`.
    pub hash_seed: [u8; 16],
    /// Bytes a block.
    pub block_size: u32,
    /// Bytes an inode.
    pub inode_size: u32,
    /// Whole size of the file system in bytes.
    pub size: u64,
    /// Bytes in use when captured, metadata included.
    pub used: u64,
    /// `s_feature_compat`, `s_feature_incompat`, `s_feature_ro_compat` as found.
    pub features: [u32; 3],
    /// `s_default_mount_opts`, `s_def_hash_version`, `s_errors`.
    pub defaults: [u32; 3],
    /// Reserved blocks in percent of all, as `tune2fs -m` counts.
    pub reserved_percent: u32,
}

/// What names and shapes a FAT file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FatFacts {
    /// 12, 16 or 32.
    pub bits: u8,
    /// Volume serial number.
    pub serial: u32,
    /// Label from the boot sector, space padded.
    pub label: [u8; 11],
    /// Bytes a cluster.
    pub cluster_size: u32,
    /// Whole size of the file system in bytes.
    pub size: u64,
    /// Bytes in use when captured.
    pub used: u64,
    /// `BPB_HiddSec`.
    pub hidden_sectors: u32,
    /// OEM name, 8 bytes.
    pub oem_name: [u8; 8],
    /// Boot code of the boot sector, when there is any.
    pub boot_code: Vec<u8>,
}

//! Boot sector with its BPB, and the FSInfo sector (fatgen103, sections 3 and 5).

use image_format::layout::FatFacts;

use super::super::VolumeError;

const OEM: usize = 3;
const SECTOR_SIZE: usize = 11;
const CLUSTER_SECTORS: usize = 13;
const RESERVED: usize = 14;
const FATS: usize = 16;
const ROOT_ENTRIES: usize = 17;
const SECTORS_16: usize = 19;
const MEDIA: usize = 21;
const FAT_SECTORS_16: usize = 22;
const TRACK_SECTORS: usize = 24;
const HEADS: usize = 26;
const HIDDEN: usize = 28;
const SECTORS_32: usize = 32;
const FAT_SECTORS_32: usize = 36;
const ROOT_CLUSTER: usize = 44;
const FSINFO: usize = 48;
const BACKUP: usize = 50;
const MARK: usize = 510;
/// Where the extended part (drive number first) begins.
const EXTENDED_16: usize = 36;
const EXTENDED_32: usize = 64;
/// Where the boot code begins.
const CODE_16: usize = 62;
const CODE_32: usize = 90;

/// A fixed disk, in the BPB and in the first byte of the table.
pub(super) const FIXED_DISK: u8 = 0xf8;
/// Sectors of the copies FAT32 keeps.
const FSINFO_AT: u16 = 1;
const BACKUP_AT: u16 = 6;

/// What a boot sector says; sizes in sectors unless named otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootSector {
    /// Bytes a sector: 512 to 4096.
    pub sector_size: u32,
    /// Sectors a cluster, a power of two.
    pub cluster_sectors: u32,
    /// Sectors before the first table.
    pub reserved: u32,
    /// Number of tables: 1 or 2.
    pub fats: u32,
    /// Entries of the fixed root directory; 0 on FAT32.
    pub root_entries: u32,
    /// Sectors of the whole file system.
    pub sectors: u32,
    /// Sectors of one table.
    pub fat_sectors: u32,
    /// First cluster of the root directory; 0 on FAT12 and FAT16.
    pub root_cluster: u32,
    /// 12, 16 or 32.
    pub bits: u8,
    /// Sectors before the partition.
    pub hidden: u32,
    /// Serial number.
    pub serial: u32,
    /// Label, space padded.
    pub label: [u8; 11],
    /// OEM name.
    pub oem_name: [u8; 8],
    /// Set while mounted: it was not unmounted.
    pub dirty: bool,
    /// Code behind the fields, empty when all zero.
    pub boot_code: Vec<u8>,
}

/// Whether a first sector can be that of a FAT volume.
pub fn looks_like(sector: &[u8]) -> bool {
    let fats = sector.get(FATS).copied().unwrap_or(0);
    sector.get(MARK..MARK + 2) == Some(&[0x55, 0xaa])
        && matches!(sector.first(), Some(0xeb | 0xe9))
        && matches!(u16_at(sector, SECTOR_SIZE), 512 | 1024 | 2048 | 4096)
        && sector
            .get(CLUSTER_SECTORS)
            .is_some_and(|count| count.is_power_of_two())
        && u16_at(sector, RESERVED) != 0
        && matches!(fats, 1 | 2)
        && sector.get(OEM..OEM + 8) != Some(b"NTFS    ")
}

impl BootSector {
    /// Decodes the first 512 bytes of a volume.
    ///
    /// # Errors
    /// When a field cannot be right; which one is said.
    pub fn decode(sector: &[u8]) -> Result<Self, VolumeError> {
        if sector.len() < 512 || !looks_like(sector) {
            return Err(damaged(
                "FAT boot sector",
                0,
                "a BPB and 55 AA at 510",
                "neither FAT12, FAT16 nor FAT32",
            ));
        }
        let byte = |at: usize| sector.get(at).copied().unwrap_or(0);
        let is_32 = u16_at(sector, FAT_SECTORS_16) == 0;
        let sectors_16 = u32::from(u16_at(sector, SECTORS_16));
        let (extended, code) = if is_32 {
            (EXTENDED_32, CODE_32)
        } else {
            (EXTENDED_16, CODE_16)
        };
        let boot_code = sector.get(code..MARK).unwrap_or_default();
        let mut boot = Self {
            sector_size: u32::from(u16_at(sector, SECTOR_SIZE)),
            cluster_sectors: u32::from(byte(CLUSTER_SECTORS)),
            reserved: u32::from(u16_at(sector, RESERVED)),
            fats: u32::from(byte(FATS)),
            root_entries: u32::from(u16_at(sector, ROOT_ENTRIES)),
            sectors: if sectors_16 == 0 {
                u32_at(sector, SECTORS_32)
            } else {
                sectors_16
            },
            fat_sectors: if is_32 {
                u32_at(sector, FAT_SECTORS_32)
            } else {
                u32::from(u16_at(sector, FAT_SECTORS_16))
            },
            root_cluster: if is_32 {
                u32_at(sector, ROOT_CLUSTER)
            } else {
                0
            },
            bits: 32,
            hidden: u32_at(sector, HIDDEN),
            serial: u32_at(sector, extended + 3),
            label: sector
                .get(extended + 7..extended + 18)
                .and_then(|raw| raw.try_into().ok())
                .unwrap_or(*b"NO NAME    "),
            oem_name: sector
                .get(OEM..OEM + 8)
                .and_then(|raw| raw.try_into().ok())
                .unwrap_or_default(),
            dirty: byte(extended + 1) & 1 != 0,
            boot_code: if boot_code.iter().all(|&byte| byte == 0) {
                Vec::new()
            } else {
                boot_code.to_vec()
            },
        };
        // Without the mark 0x29 there is neither serial number nor label.
        if byte(extended + 2) != 0x29 {
            boot.serial = 0;
            boot.label = *b"NO NAME    ";
        }
        boot.check(is_32)?;
        Ok(boot)
    }

    fn check(&mut self, is_32: bool) -> Result<(), VolumeError> {
        let overhead = self.data_start() / u64::from(self.sector_size);
        if self.fat_sectors == 0 || overhead >= u64::from(self.sectors) {
            let found = format!(
                "{} sectors with {overhead} before the clusters",
                self.sectors
            );
            return Err(damaged(
                "FAT size",
                22,
                "tables and clusters inside the volume",
                &found,
            ));
        }
        // fatgen103 section 3.5, with the boundary every system since uses.
        self.bits = match self.clusters() {
            _ if is_32 => 32,
            0..=4084 => 12,
            _ => 16,
        };
        let held =
            u64::from(self.fat_sectors) * u64::from(self.sector_size) * 8 / u64::from(self.bits);
        if held < u64::from(self.clusters()) + 2 {
            let expected = format!("room for {} clusters", self.clusters());
            return Err(damaged(
                "FAT length",
                22,
                &expected,
                &format!("room for {held}"),
            ));
        }
        Ok(())
    }

    /// Bytes a cluster.
    pub fn cluster_size(&self) -> u64 {
        u64::from(self.cluster_sectors) * u64::from(self.sector_size)
    }

    /// Bytes of the file system.
    pub fn size(&self) -> u64 {
        u64::from(self.sectors) * u64::from(self.sector_size)
    }

    /// First byte of a table, counted from 0.
    pub fn fat_start(&self, number: u32) -> u64 {
        (u64::from(self.reserved) + u64::from(number) * u64::from(self.fat_sectors))
            * u64::from(self.sector_size)
    }

    /// First byte of the fixed root directory.
    pub fn root_start(&self) -> u64 {
        self.fat_start(self.fats)
    }

    /// Bytes of the fixed root directory, in whole sectors.
    pub fn root_size(&self) -> u64 {
        (u64::from(self.root_entries) * 32).next_multiple_of(u64::from(self.sector_size))
    }

    /// First byte of cluster 2.
    pub fn data_start(&self) -> u64 {
        self.root_start() + self.root_size()
    }

    /// Number of clusters; the first is number 2.
    pub fn clusters(&self) -> u32 {
        let data = self.size().saturating_sub(self.data_start());
        u32::try_from(data / self.cluster_size()).unwrap_or(0)
    }

    /// First byte of a cluster; `None` when there is no such cluster.
    pub fn cluster_start(&self, cluster: u32) -> Option<u64> {
        let index = cluster
            .checked_sub(2)
            .filter(|&index| index < self.clusters())?;
        Some(self.data_start() + u64::from(index) * self.cluster_size())
    }

    /// What of it goes into an image.
    pub(super) fn facts(&self, label: [u8; 11], used: u64) -> FatFacts {
        FatFacts {
            bits: self.bits,
            serial: self.serial,
            label,
            cluster_size: u32::try_from(self.cluster_size()).unwrap_or(u32::MAX),
            size: self.size(),
            used,
            hidden_sectors: self.hidden,
            oem_name: self.oem_name,
            boot_code: self.boot_code.clone(),
        }
    }

    /// The whole reserved area: boot sector, FSInfo and their backup.
    pub(super) fn encode(&self, used_clusters: u32) -> Vec<u8> {
        let sector = usize::try_from(self.sector_size).unwrap_or(512);
        let mut area = vec![0; usize::try_from(self.fat_start(0)).unwrap_or(0)];
        let boot = self.encode_sector();
        put(&mut area, 0, &boot);
        if self.bits == 32 {
            let info = self.encode_info(used_clusters);
            let backup = usize::from(BACKUP_AT) * sector;
            put(&mut area, usize::from(FSINFO_AT) * sector, &info);
            put(&mut area, backup, &boot);
            put(&mut area, backup + usize::from(FSINFO_AT) * sector, &info);
        }
        area
    }

    fn encode_sector(&self) -> [u8; 512] {
        let mut sector = [0; 512];
        let is_32 = self.bits == 32;
        let (extended, code) = if is_32 {
            (EXTENDED_32, CODE_32)
        } else {
            (EXTENDED_16, CODE_16)
        };
        let short = |number: u32| u16::try_from(number).unwrap_or(0).to_le_bytes();
        // A jump over the fields, to the code.
        put(
            &mut sector,
            0,
            &[0xeb, if is_32 { 0x58 } else { 0x3c }, 0x90],
        );
        put(&mut sector, OEM, &self.oem_name);
        put(&mut sector, SECTOR_SIZE, &short(self.sector_size));
        put(
            &mut sector,
            CLUSTER_SECTORS,
            &self.cluster_sectors.to_le_bytes()[..1],
        );
        put(&mut sector, RESERVED, &short(self.reserved));
        put(&mut sector, FATS, &self.fats.to_le_bytes()[..1]);
        put(&mut sector, ROOT_ENTRIES, &short(self.root_entries));
        put(&mut sector, MEDIA, &[FIXED_DISK]);
        // The geometry every tool has written since disks have none.
        put(&mut sector, TRACK_SECTORS, &63_u16.to_le_bytes());
        put(&mut sector, HEADS, &255_u16.to_le_bytes());
        put(&mut sector, HIDDEN, &self.hidden.to_le_bytes());
        if is_32 || self.sectors > u32::from(u16::MAX) {
            put(&mut sector, SECTORS_32, &self.sectors.to_le_bytes());
        } else {
            put(&mut sector, SECTORS_16, &short(self.sectors));
        }
        if is_32 {
            put(&mut sector, FAT_SECTORS_32, &self.fat_sectors.to_le_bytes());
            put(&mut sector, ROOT_CLUSTER, &self.root_cluster.to_le_bytes());
            put(&mut sector, FSINFO, &FSINFO_AT.to_le_bytes());
            put(&mut sector, BACKUP, &BACKUP_AT.to_le_bytes());
        } else {
            put(&mut sector, FAT_SECTORS_16, &short(self.fat_sectors));
        }
        put(&mut sector, extended, &[0x80, u8::from(self.dirty), 0x29]);
        put(&mut sector, extended + 3, &self.serial.to_le_bytes());
        put(&mut sector, extended + 7, &self.label);
        put(
            &mut sector,
            extended + 18,
            format!("FAT{:<5}", self.bits).as_bytes(),
        );
        let code_room = MARK - code;
        put(
            &mut sector,
            code,
            self.boot_code.get(..code_room).unwrap_or(&self.boot_code),
        );
        put(&mut sector, MARK, &[0x55, 0xaa]);
        sector
    }

    fn encode_info(&self, used_clusters: u32) -> [u8; 512] {
        let mut sector = [0; 512];
        let free = self.clusters().saturating_sub(used_clusters);
        let next = if free == 0 {
            u32::MAX
        } else {
            used_clusters + 2
        };
        put(&mut sector, 0, b"RRaA");
        put(&mut sector, 484, b"rrAa");
        put(&mut sector, 488, &free.to_le_bytes());
        put(&mut sector, 492, &next.to_le_bytes());
        put(&mut sector, MARK, &[0x55, 0xaa]);
        sector
    }
}

fn damaged(what: &'static str, offset: u64, expected: &str, found: &str) -> VolumeError {
    VolumeError::Damaged {
        what,
        offset,
        expected: expected.to_owned(),
        found: found.to_owned(),
    }
}

fn put(area: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = area.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..at + 2)
        .and_then(|raw| raw.try_into().ok())
        .map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|raw| raw.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

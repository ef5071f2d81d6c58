//! A FAT volume read as entries.

use image_format::entry::{Entry, Kind, Times};
use image_format::layout::Volume;

use super::super::{Data, Found, Reader, Run, VolumeError};
use super::boot::BootSector;
use super::chain::{Extent, Table, Taken};
use super::name;
use super::slot::{DIRECTORY, LABEL, LongName, SLOT, Short, Slot};
use crate::disk::Disk;
use crate::volume::bytes::read_bytes;

/// fatgen103, section 6.3: a directory holds at most 65536 slots.
const LARGEST_DIRECTORY: u64 = 65536 * SLOT as u64;
/// Longer than any system can open; bounds what nested directories cost.
const LONGEST_PATH: usize = 16 * 1024;
pub(super) const DIRECTORY_MODE: u32 = 0o755;
pub(super) const FILE_MODE: u32 = 0o644;

/// Reads FAT12, FAT16 and FAT32.
pub struct FatReader<'disk> {
    disk: &'disk dyn Disk,
    boot: BootSector,
    table: Table,
    label: [u8; 11],
    used: u64,
    warnings: Vec<String>,
}

/// A directory to be read: its path and where its slots are.
struct Folder {
    path: Vec<u8>,
    extents: Vec<(u64, u64)>,
}

/// A slot in use, with the long name that belongs to it.
type NamedSlot = (Short, Option<Vec<u16>>);

impl<'disk> FatReader<'disk> {
    /// Reads boot sector, allocation table and the root directory's label.
    ///
    /// # Errors
    /// When the medium fails or a structure is damaged.
    pub fn open(disk: &'disk dyn Disk) -> Result<Self, VolumeError> {
        let boot = BootSector::decode(&read_bytes(disk, "FAT boot sector", 0, 512)?)?;
        if boot.size() > disk.size() {
            return Err(VolumeError::Damaged {
                what: "FAT size",
                offset: 32,
                expected: format!("up to the volume's {} bytes", disk.size()),
                found: boot.size().to_string(),
            });
        }
        let table = Table::read(disk, &boot)?;
        let mut warnings = Vec::new();
        if boot.dirty || !table.is_clean() {
            warnings.push(String::from(
                "the FAT volume was not unmounted; run fsck.fat on the reference machine",
            ));
        }
        let used = boot.data_start() + u64::from(table.used()) * boot.cluster_size();
        let label = boot.label;
        let mut reader = Self {
            disk,
            boot,
            table,
            label,
            used,
            warnings,
        };
        let root = reader.root(&mut Taken::new(reader.boot.clusters()))?;
        let slots = reader.slots(&root)?;
        if let Some((label, _)) = slots.iter().find(|(short, _)| is_label(short)) {
            reader.label = label.name;
        }
        Ok(reader)
    }

    /// What is wrong with the volume without keeping it from being read.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn root(&self, taken: &mut Taken) -> Result<Folder, VolumeError> {
        let extents = match self.boot.bits {
            32 => self.directory_chain(self.boot.root_cluster, taken)?,
            _ => vec![(
                self.boot.root_start(),
                u64::from(self.boot.root_entries) * SLOT as u64,
            )],
        };
        Ok(Folder {
            path: Vec::new(),
            extents,
        })
    }

    fn directory_chain(
        &self,
        first: u32,
        taken: &mut Taken,
    ) -> Result<Vec<(u64, u64)>, VolumeError> {
        let limit = LARGEST_DIRECTORY.div_ceil(self.boot.cluster_size());
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        self.places(&self.table.chain(first, limit, false, taken)?)
    }

    /// Extents in bytes.
    fn places(&self, extents: &[Extent]) -> Result<Vec<(u64, u64)>, VolumeError> {
        let size = self.boot.cluster_size();
        let place = |extent: &Extent| {
            let start = self.boot.cluster_start(extent.first)?;
            Some((start, u64::from(extent.count) * size))
        };
        let places: Option<Vec<_>> = extents.iter().map(place).collect();
        places.ok_or_else(|| VolumeError::Damaged {
            what: "cluster chain",
            offset: self.boot.fat_start(0),
            expected: format!("clusters below {}", self.boot.clusters()),
            found: format!("{extents:?}"),
        })
    }

    /// The slots in use with the long names that belong to them.
    fn slots(&self, folder: &Folder) -> Result<Vec<NamedSlot>, VolumeError> {
        let mut slots = Vec::new();
        let mut long = LongName::default();
        for &(start, length) in &folder.extents {
            let bytes = read_bytes(self.disk, "directory", start, length)?;
            for slot in bytes.chunks(SLOT).filter_map(Slot::decode) {
                match slot {
                    Slot::End => return Ok(slots),
                    Slot::Deleted => long = LongName::default(),
                    Slot::Long(part) => long.push(part),
                    Slot::Short(short) => {
                        let name = long.take(&short.name);
                        slots.push((short, name));
                    }
                }
            }
        }
        Ok(slots)
    }

    /// An entry, and the folder it is.
    fn entry(
        &self,
        folder: &Folder,
        short: &Short,
        long: Option<&[u16]>,
        taken: &mut Taken,
    ) -> Result<(Found, Option<Folder>), VolumeError> {
        let last = match long {
            Some(units) => name::to_bytes(units),
            None => name::display_short(&short.name, short.case),
        };
        let mut path = folder.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend(&last);
        let has_place = !last.is_empty()
            && !last.iter().any(|&byte| byte == 0 || byte == b'/')
            && last != b"."
            && last != b"..";
        if !has_place || path.len() > LONGEST_PATH {
            return Err(VolumeError::Damaged {
                what: "name in a directory",
                offset: folder.extents.first().map_or(0, |extent| extent.0),
                expected: format!("a name without a slash, at most {LONGEST_PATH} bytes deep"),
                found: path.escape_ascii().to_string().chars().take(300).collect(),
            });
        }
        let is_directory = short.attributes & DIRECTORY != 0;
        let cluster = if self.boot.bits == 32 {
            short.cluster & 0x0fff_ffff
        } else {
            short.cluster & 0xffff
        };
        let mut entry = Entry::new(
            path.clone(),
            if is_directory {
                Kind::Directory
            } else {
                Kind::File
            },
        );
        entry.mode = if is_directory {
            DIRECTORY_MODE
        } else {
            FILE_MODE
        };
        entry.times = short.times;
        entry.flags = u32::from(short.attributes);
        entry.short_name = Some(short.name);
        if is_directory {
            let folder = Folder {
                path,
                extents: self.directory_chain(cluster, taken)?,
            };
            return Ok((Found::new(entry, Data::None), Some(folder)));
        }
        let data = Data::Runs {
            size: u64::from(short.size),
            runs: self.runs(cluster, short.size, taken)?,
        };
        Ok((Found::new(entry, data), None))
    }

    fn runs(&self, first: u32, size: u32, taken: &mut Taken) -> Result<Vec<Run>, VolumeError> {
        if size == 0 {
            return Ok(Vec::new());
        }
        let count = u64::from(size).div_ceil(self.boot.cluster_size());
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let extents = self.table.chain(first, count, true, taken)?;
        let mut logical = 0;
        let run = |(physical, length)| {
            let run = Run {
                logical,
                physical,
                length,
            };
            logical += length;
            run
        };
        Ok(self.places(&extents)?.into_iter().map(run).collect())
    }
}

impl Reader for FatReader<'_> {
    fn volume(&self) -> Volume {
        Volume::Fat(self.boot.facts(self.label, self.used))
    }

    fn entries(&self) -> Result<Vec<Found>, VolumeError> {
        let mut taken = Taken::new(self.boot.clusters());
        let mut root = Entry::new(Vec::new(), Kind::Directory);
        root.mode = DIRECTORY_MODE;
        root.flags = u32::from(DIRECTORY);
        root.times = Times::default();
        let mut found = vec![Found::new(root, Data::None)];
        let mut folders = vec![self.root(&mut taken)?];
        while let Some(folder) = folders.pop() {
            for (short, long) in self.slots(&folder)? {
                if short.attributes & LABEL != 0 || is_dot(&short) {
                    continue;
                }
                let (entry, inner) = self.entry(&folder, &short, long.as_deref(), &mut taken)?;
                found.push(entry);
                folders.extend(inner);
            }
        }
        found.sort_by(|one, other| one.entry.path.cmp(&other.entry.path));
        match found
            .windows(2)
            .find(|pair| pair[0].entry.path == pair[1].entry.path)
        {
            None => Ok(found),
            Some(pair) => Err(VolumeError::Damaged {
                what: "name in a directory",
                offset: self.boot.data_start(),
                expected: String::from("every name once"),
                found: format!("{} twice", pair[0].entry.display_path()),
            }),
        }
    }
}

fn is_label(short: &Short) -> bool {
    short.attributes & (LABEL | DIRECTORY) == LABEL
}

fn is_dot(short: &Short) -> bool {
    short.attributes & DIRECTORY != 0 && matches!(&short.name, b".          " | b"..         ")
}

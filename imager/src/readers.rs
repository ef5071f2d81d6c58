//! Which reader reads a volume: told by its magic, never by its partition type.

use image_format::layout::Volume;

use crate::disk::Disk;
use crate::volume::empty::EmptyReader;
use crate::volume::fat::{self, FatReader};
use crate::volume::raw::RawReader;
use crate::volume::swap::Swap;
use crate::volume::used::Allocation;
use crate::volume::{Reader, VolumeError, exfat, ext4, ntfs};

/// Asks a volume which of its room is in use.
type AskAllocation = fn(&dyn Disk) -> Result<Allocation, VolumeError>;

/// A magic that stands for something read sector by sector.
struct Stranger {
    offset: u64,
    magic: &'static [u8],
    name: &'static str,
    advice: &'static str,
    /// Where it tells of its free room.
    allocation: Option<AskAllocation>,
}

/// Of a volume without any name we know.
pub(crate) const NOT_UNDERSTOOD: &str = "is not understood";
const AS_SECTORS: &str =
    "it is captured sector by sector and can only be applied to a partition at least as large";
const LOCKED: &str = "it is captured as it lies, encrypted: nothing in it dedups or compresses; unlock it first if that matters";

/// Known by name, read raw. Offsets as in the kernel's and libblkid's headers.
const STRANGERS: [Stranger; 9] = [
    Stranger {
        offset: 3,
        magic: b"-FVE-FS-",
        name: "BitLocker",
        advice: LOCKED,
        allocation: None,
    },
    Stranger {
        offset: 0,
        magic: b"LUKS\xba\xbe",
        name: "LUKS",
        advice: LOCKED,
        allocation: None,
    },
    Stranger {
        offset: 3,
        magic: b"NTFS    ",
        name: "NTFS",
        advice: AS_SECTORS,
        allocation: Some(ntfs::allocation),
    },
    Stranger {
        offset: 3,
        magic: b"EXFAT   ",
        name: "exFAT",
        advice: AS_SECTORS,
        allocation: Some(exfat::allocation),
    },
    Stranger {
        offset: 0,
        magic: b"XFSB",
        name: "XFS",
        advice: AS_SECTORS,
        allocation: None,
    },
    Stranger {
        offset: 0x1_0040,
        magic: b"_BHRfS_M",
        name: "btrfs",
        advice: AS_SECTORS,
        allocation: None,
    },
    Stranger {
        offset: 512,
        magic: b"LABELONE",
        name: "an LVM physical volume",
        advice: AS_SECTORS,
        allocation: None,
    },
    Stranger {
        offset: 1024,
        magic: b"\x10\x20\xf5\xf2",
        name: "F2FS",
        advice: AS_SECTORS,
        allocation: None,
    },
    Stranger {
        offset: 4096,
        magic: b"\xfc\x4e\x2b\xa9",
        name: "a Linux RAID member",
        advice: AS_SECTORS,
        allocation: None,
    },
];

const EXT_MAGIC_AT: u64 = 1080;
const EXT_MAGIC: &[u8] = &[0x53, 0xef];

/// A volume with its reader, and what people should know about it.
pub struct Recognised<'disk> {
    /// Reads it.
    pub reader: Box<dyn Reader + 'disk>,
    /// Sentences about what is lost or dangerous.
    pub warnings: Vec<String>,
}

/// Opens a volume with the reader its magic asks for.
///
/// # Errors
/// When the medium fails, or the volume has a magic we read and is damaged or
/// uses what its reader refuses.
pub fn open<'disk>(volume: &'disk dyn Disk) -> Result<Box<dyn Reader + 'disk>, VolumeError> {
    recognise(volume).map(|found| found.reader)
}

/// As [`open`], with what is to be said about the volume.
///
/// # Errors
/// As [`open`].
pub fn recognise<'disk>(volume: &'disk dyn Disk) -> Result<Recognised<'disk>, VolumeError> {
    let quiet = |reader| {
        Ok(Recognised {
            reader,
            warnings: Vec::new(),
        })
    };
    // Strangers first: an encrypted or foreign volume may look like FAT too.
    for stranger in &STRANGERS {
        if has(volume, stranger.offset, stranger.magic)? {
            return foreign(volume, stranger);
        }
    }
    if has(volume, EXT_MAGIC_AT, EXT_MAGIC)? {
        return quiet(ext4::open(volume)?);
    }
    if let Some(swap) = Swap::read(volume)? {
        let mut warnings = Vec::new();
        if swap.hibernated {
            warnings.push(format!(
                "{} holds a hibernated system; start it and shut it down before a capture",
                volume.describe()
            ));
        }
        return Ok(Recognised {
            reader: Box::new(swap),
            warnings,
        });
    }
    if fat::looks_like(&first_sector(volume)?) {
        let reader = FatReader::open(volume)?;
        let warnings = reader.warnings().to_vec();
        return Ok(Recognised {
            reader: Box::new(reader),
            warnings,
        });
    }
    let raw = RawReader::new(volume);
    if raw.is_empty()? {
        return quiet(Box::new(EmptyReader));
    }
    let warnings = vec![format!(
        "{} {NOT_UNDERSTOOD}: {AS_SECTORS}",
        volume.describe()
    )];
    Ok(Recognised {
        reader: Box::new(raw),
        warnings,
    })
}

/// Whether a file system or manager that we only know by name lies here. What
/// cannot be read may be one.
pub(crate) fn is_foreign(volume: &dyn Disk) -> bool {
    let mut strangers = STRANGERS.iter();
    strangers.any(|stranger| has(volume, stranger.offset, stranger.magic).unwrap_or(true))
}

/// A volume of a known kind that is taken as it lies, without its free room
/// where it tells of that.
fn foreign<'disk>(
    volume: &'disk dyn Disk,
    stranger: &Stranger,
) -> Result<Recognised<'disk>, VolumeError> {
    let (place, name, advice) = (volume.describe(), stranger.name, stranger.advice);
    let mut warnings = vec![format!("{place} holds {name}: {advice}")];
    let allocation = stranger.allocation.map(|ask| ask(volume)).transpose()?;
    let reader = match allocation {
        Some(Allocation::Known(used)) => RawReader::within(volume, used),
        Some(Allocation::Unknown(why)) => {
            warnings.push(format!(
                "{place}: {why}; what it calls free is captured too"
            ));
            RawReader::new(volume)
        }
        None => RawReader::new(volume),
    };
    let reader = Box::new(reader);
    Ok(Recognised { reader, warnings })
}

/// Opens a volume with the reader for `kind`, whatever its magic says: what an
/// apply made is read back as what it was to be.
///
/// # Errors
/// When the medium fails or the volume is not of that kind.
pub fn open_as<'disk>(
    volume: &'disk dyn Disk,
    kind: &Volume,
) -> Result<Box<dyn Reader + 'disk>, VolumeError> {
    match kind {
        Volume::Ext4(_) => ext4::open(volume),
        Volume::Fat(_) => fat::open(volume),
        // A foreign volume may tell of its free room, as it did when captured.
        Volume::Raw => match recognise(volume) {
            Ok(found) if found.reader.volume() == Volume::Raw => Ok(found.reader),
            _ => Ok(Box::new(RawReader::new(volume))),
        },
        // A directory tree is read through its own system, never from a volume.
        Volume::Empty | Volume::Tree => Ok(Box::new(EmptyReader)),
        Volume::Swap { .. } => match Swap::read(volume)? {
            Some(swap) => Ok(Box::new(swap)),
            None => Err(VolumeError::Damaged {
                what: "swap header",
                offset: 0,
                expected: String::from("SWAPSPACE2 at the end of the first page"),
                found: String::from("something else"),
            }),
        },
    }
}

fn has(volume: &dyn Disk, offset: u64, magic: &[u8]) -> Result<bool, VolumeError> {
    if offset + magic.len() as u64 > volume.size() {
        return Ok(false);
    }
    let mut found = vec![0; magic.len()];
    let read = volume.read_at(offset, &mut found);
    read.map_err(|source| VolumeError::Read {
        what: "magic",
        offset,
        source,
    })?;
    Ok(found == magic)
}

fn first_sector(volume: &dyn Disk) -> Result<Vec<u8>, VolumeError> {
    let mut sector = vec![0; usize::try_from(volume.size().min(512)).unwrap_or(512)];
    let read = volume.read_at(0, &mut sector);
    read.map_err(|source| VolumeError::Read {
        what: "first sector",
        offset: 0,
        source,
    })?;
    Ok(sector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn strangers_are_named_and_read_raw() {
        for stranger in &STRANGERS {
            let disk = MemoryDisk::new(1 << 20, 512);
            disk.write_at(stranger.offset, stranger.magic).unwrap();
            let found = recognise(&disk).unwrap();
            assert_eq!(found.reader.volume(), Volume::Raw);
            assert!(found.warnings[0].contains(stranger.name));
        }
    }

    #[test]
    fn zeros_are_empty_and_anything_else_is_raw_with_a_warning() {
        let disk = MemoryDisk::new(1 << 20, 512);
        assert_eq!(open(&disk).unwrap().volume(), Volume::Empty);
        disk.write_at(700_000, b"x").unwrap();
        let found = recognise(&disk).unwrap();
        assert_eq!(
            (found.reader.volume(), found.warnings.len()),
            (Volume::Raw, 1)
        );
        assert_eq!(
            open(&MemoryDisk::new(0, 512)).unwrap().volume(),
            Volume::Empty
        );
    }
}

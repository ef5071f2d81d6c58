//! What a disk holds, read before anything is planned: table, volumes, systems.

mod glance;

use image_format::entry::Kind;
use image_format::image::SystemWords;
use image_format::layout::{DiskLayout, Partition, Scheme, Volume};
use thiserror::Error;

pub use glance::glance;

use crate::disk::{Disk, Window};
use crate::readers;
use crate::table::{self, TableError};
use crate::volume::{Data, Found, VolumeError};

/// Longer os-release files are not read: real ones have a few hundred bytes.
const LONGEST_RELEASE: u64 = 64 * 1024;
/// Where distributions keep it (os-release(5)); the second may point to the first.
const RELEASES: [&[u8]; 2] = [b"usr/lib/os-release", b"etc/os-release"];
/// Programs every system has one of: their header names the architecture.
const PROGRAMS: [&[u8]; 5] = [
    b"usr/lib/systemd/systemd",
    b"usr/bin/dash",
    b"usr/bin/bash",
    b"usr/bin/busybox",
    b"bin/busybox",
];

/// What a disk holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Table and volumes; `None` when the disk is empty.
    pub layout: Option<DiskLayout>,
    /// Sentences about what is damaged, lost or dangerous.
    pub warnings: Vec<String>,
    /// Operating systems, in the order of their partitions.
    pub systems: Vec<SystemWords>,
    /// Volumes whose own reader refuses them: the partition's number and why.
    /// In the layout they are raw; a capture should not take them for that.
    pub refused: Vec<(u32, String)>,
}

/// Why a disk cannot be surveyed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SurveyError {
    /// The partition table.
    #[error("the partition table of {disk} cannot be used")]
    Table {
        /// Which disk.
        disk: String,
        /// Why.
        #[source]
        source: TableError,
    },
    /// The table names a place the disk does not have.
    #[error("partition {number} of {disk} does not lie on the disk")]
    Outside {
        /// Which disk.
        disk: String,
        /// Which partition.
        number: u32,
    },
}

/// Surveys a disk. A volume that its reader refuses is [`Volume::Raw`] in the
/// layout, with the reason in [`Survey::refused`]: on a target that is no fault.
///
/// # Errors
/// When the table cannot be read or understood.
pub fn survey(disk: &dyn Disk) -> Result<Survey, SurveyError> {
    let mut survey = outline(disk)?;
    let partitions = survey
        .layout
        .as_ref()
        .map(|layout| layout.partitions.clone())
        .unwrap_or_default();
    for partition in partitions
        .iter()
        .filter(|partition| matches!(partition.volume, Volume::Ext4(_)))
    {
        let Some(window) = Window::new(disk, partition.start, partition.size) else {
            continue;
        };
        match readers::open(&window).and_then(|reader| reader.entries()) {
            Ok(entries) => survey.systems.extend(system_words(&entries, &window)),
            Err(error) => survey.refused.push((partition.number, in_full(&error))),
        }
    }
    Ok(survey)
}

/// Types of partitions that hold no file system: BIOS boot, Microsoft reserved,
/// PowerPC PReP boot; as stored. That they are kept as they lie is no news.
const RAW_BY_NATURE: [[u8; 16]; 3] = [
    *b"Hah!IdontNeedEFI",
    [
        0x16, 0xe3, 0xc9, 0xe3, 0x5c, 0x0b, 0xb8, 0x4d, 0x81, 0x7d, 0xf9, 0x2d, 0xf0, 0x02, 0x15,
        0xae,
    ],
    [
        0x38, 0x2d, 0x1a, 0x9e, 0x12, 0xc6, 0x16, 0x43, 0xaa, 0x26, 0x8b, 0x49, 0x52, 0x1e, 0x5a,
        0x8b,
    ],
];

/// As [`survey`] without looking into the volumes' files: fast, no systems.
///
/// # Errors
/// As [`survey`].
pub fn outline(disk: &dyn Disk) -> Result<Survey, SurveyError> {
    let (mut warnings, mut refused) = (Vec::new(), Vec::new());
    let table = table::read_noting(disk, &mut warnings);
    let table = table.map_err(|source| SurveyError::Table {
        disk: disk.describe(),
        source,
    })?;
    let mut layout = table.unwrap_or_else(|| without_table(disk));
    for partition in &mut layout.partitions {
        let Some(window) = Window::new(disk, partition.start, partition.size) else {
            return Err(SurveyError::Outside {
                disk: disk.describe(),
                number: partition.number,
            });
        };
        partition.volume = match readers::recognise(&window) {
            Ok(found) => {
                let is_raw = RAW_BY_NATURE.contains(&partition.type_guid);
                let is_news =
                    |warning: &&String| !is_raw || !warning.contains(readers::NOT_UNDERSTOOD);
                warnings.extend(
                    found
                        .warnings
                        .iter()
                        .filter(is_news)
                        .map(|warning| format!("partition {}: {warning}", partition.number)),
                );
                found.reader.volume()
            }
            Err(error) => {
                refused.push((partition.number, in_full(&error)));
                Volume::Raw
            }
        };
    }
    let is_blank = layout.scheme == Scheme::None
        && layout
            .partitions
            .iter()
            .all(|partition| partition.volume == Volume::Empty);
    let layout = (!is_blank).then_some(layout);
    Ok(Survey {
        layout,
        warnings,
        systems: Vec::new(),
        refused,
    })
}

/// What a system among a volume's entries says of itself; `None` when there is
/// no os-release, or it cannot be read.
pub fn system_words(entries: &[Found], volume: &dyn Disk) -> Option<SystemWords> {
    system_words_of(|path, limit| read_file(find(entries, path)?, volume, limit))
}

/// As [`system_words`], where `read` answers with the first bytes of a file.
pub(crate) fn system_words_of(read: impl Fn(&[u8], u64) -> Option<Vec<u8>>) -> Option<SystemWords> {
    let text = RELEASES
        .iter()
        .find_map(|path| read(path, LONGEST_RELEASE))?;
    let mut words = parse_release(&String::from_utf8_lossy(&text));
    let machine = PROGRAMS
        .iter()
        .find_map(|path| architecture(&read(path, 20)?));
    words.architecture = machine.unwrap_or_default().to_owned();
    Some(words)
}

/// The whole disk as one volume.
fn without_table(disk: &dyn Disk) -> DiskLayout {
    let whole = Partition {
        number: 1,
        start: 0,
        size: disk.size(),
        type_guid: [0; 16],
        guid: [0; 16],
        attributes: 0,
        name: Vec::new(),
        volume: Volume::Empty,
    };
    let (sector_size, size) = (disk.sector_size(), disk.size());
    DiskLayout {
        sector_size,
        size,
        scheme: Scheme::None,
        boot_code: Vec::new(),
        partitions: vec![whole],
    }
}

/// An error with all its causes in one line.
fn in_full(error: &VolumeError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause {
        text.push_str(": ");
        text.push_str(&deeper.to_string());
        cause = deeper.source();
    }
    text
}

/// The entry at `path`; entries are in path order.
fn find<'entries>(entries: &'entries [Found], path: &[u8]) -> Option<&'entries Found> {
    let place = entries
        .binary_search_by(|found| found.entry.path.as_slice().cmp(path))
        .ok()?;
    entries.get(place)
}

/// The first `limit` bytes of a file.
fn read_file(found: &Found, volume: &dyn Disk, limit: u64) -> Option<Vec<u8>> {
    if found.entry.kind != Kind::File {
        return None;
    }
    match &found.data {
        Data::None => None,
        Data::Bytes(bytes) => Some(bytes.clone()),
        Data::Runs { size, runs } => {
            let length = (*size).min(limit);
            let mut bytes = vec![0; usize::try_from(length).ok()?];
            for run in runs.iter().take_while(|run| run.logical < length) {
                let end = run.logical.saturating_add(run.length).min(length);
                let place = usize::try_from(run.logical).ok()?..usize::try_from(end).ok()?;
                volume.read_at(run.physical, bytes.get_mut(place)?).ok()?;
            }
            Some(bytes)
        }
    }
}

/// `KEY=value` lines as os-release(5) describes them.
fn parse_release(text: &str) -> SystemWords {
    let (mut words, mut plain) = (SystemWords::default(), String::new());
    for line in text.lines() {
        let Some((key, value)) = line.trim().split_once('=') else {
            continue;
        };
        let place = match key {
            "ID" => &mut words.id,
            "VERSION_ID" => &mut words.version,
            "PRETTY_NAME" => &mut words.name,
            "NAME" => &mut plain,
            _ => continue,
        };
        *place = unquoted(value);
    }
    for other in [plain, words.id.clone()] {
        if words.name.is_empty() {
            words.name = other;
        }
    }
    words
}

/// A shell word without its quotes and backslashes.
fn unquoted(value: &str) -> String {
    let value = value.trim();
    let inner = ['"', '\'']
        .iter()
        .find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value);
    let mut escaped = false;
    let keep = |&letter: &char| {
        escaped = letter == '\\' && !escaped;
        !escaped
    };
    inner.chars().filter(keep).collect()
}

/// `e_machine` of an ELF header (System V ABI, chapter 4) in the words of `uname -m`.
fn architecture(header: &[u8]) -> Option<&'static str> {
    if header.get(..4)? != b"\x7fELF" {
        return None;
    }
    match header.get(18..20)? {
        [0x3e, 0] => Some("x86_64"),
        [0xb7, 0] => Some("aarch64"),
        [0x03, 0] => Some("i686"),
        [0x28, 0] => Some("armv7l"),
        [0xf3, 0] => Some("riscv64"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;
    use image_format::entry::Entry;

    #[test]
    fn os_release_is_read_with_its_quotes() {
        let text = "# comment\nPRETTY_NAME=\"Debian \\\"GNU\\\" 12\"\nID=debian\nVERSION_ID='12'\nOTHER=x\nbroken\n";
        let words = parse_release(text);
        assert_eq!(
            (words.id.as_str(), words.version.as_str()),
            ("debian", "12")
        );
        assert_eq!(words.name, "Debian \"GNU\" 12");
    }

    #[test]
    fn a_system_is_found_by_its_files() {
        let disk = MemoryDisk::new(1 << 20, 512);
        let mut header = b"\x7fELF".to_vec();
        header.resize(64, 0);
        header[18] = 0x3e;
        let file = |path: &str, bytes: &[u8]| {
            Found::new(Entry::new(path, Kind::File), Data::Bytes(bytes.to_vec()))
        };
        let link = Found::new(
            Entry::new(
                "etc/os-release",
                Kind::Symlink(b"../usr/lib/os-release".to_vec()),
            ),
            Data::None,
        );
        let entries = [
            link,
            file("usr/bin/bash", &header),
            file("usr/lib/os-release", b"ID=debian\nVERSION_ID=12\n"),
        ];
        let words = system_words(&entries, &disk).unwrap();
        assert_eq!(
            (words.id.as_str(), words.architecture.as_str()),
            ("debian", "x86_64")
        );
        assert_eq!(system_words(&entries[..2], &disk), None);
    }

    #[test]
    fn a_blank_disk_has_no_layout_and_a_volume_without_table_is_one_partition() {
        let disk = MemoryDisk::new(1 << 20, 512);
        assert_eq!(survey(&disk).unwrap().layout, None);
        disk.write_at(5000, b"something").unwrap();
        let found = survey(&disk).unwrap();
        let layout = found.layout.unwrap();
        assert_eq!((layout.scheme, layout.partitions.len()), (Scheme::None, 1));
        assert_eq!(layout.partitions[0].volume, Volume::Raw);
        assert_eq!((found.warnings.len(), found.refused.len()), (1, 0));
    }

    #[test]
    fn a_damaged_volume_is_raw_and_its_refusal_is_told() {
        let disk = MemoryDisk::new(1 << 20, 512);
        disk.write_at(1080, &[0x53, 0xef]).unwrap();
        let found = survey(&disk).unwrap();
        assert_eq!(found.layout.unwrap().partitions[0].volume, Volume::Raw);
        assert_eq!((found.refused.len(), found.refused[0].0), (1, 1));
    }
}

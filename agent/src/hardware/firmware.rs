//! The firmware's variables as files (efivarfs): four bytes of attributes,
//! then the value. The kernel makes most of them immutable against accidents.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use super::efi::{self, HardDrive, LoadOption};

/// `EFI_GLOBAL_VARIABLE` (UEFI 2.10, section 3.3).
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Whether the firmware verifies what it starts.
pub(crate) const SECURE_BOOT: &str = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Where they lie, from the root.
const FOLDER: &str = "sys/firmware/efi/efivars";
/// Non-volatile, for boot services and the running system.
const ATTRIBUTES: u32 = 7;
const ATTRIBUTES_LENGTH: usize = 4;
/// The name our entry goes by in the firmware's menu.
const DESCRIPTION: &str = "mimeo disk";
/// The loader a disk is started with when the firmware knows nothing of it
/// (UEFI 2.10, section 3.5.1.1).
const LOADER: &str = "\\EFI\\BOOT\\BOOTX64.EFI";

/// The value of variable `name` (with its GUID); `None` when it cannot be had.
pub(crate) fn read(root: &Path, name: &str) -> Option<Vec<u8>> {
    let bytes = fs::read(root.join(FOLDER).join(name)).ok()?;
    bytes.get(ATTRIBUTES_LENGTH..).map(<[u8]>::to_vec)
}

/// Makes the firmware start the loader on `partition` at the next start: an
/// entry of ours, last in the order, and next this once. Answers with the
/// entry's number.
pub(crate) fn boot_from(root: &Path, partition: HardDrive) -> Result<u16> {
    let folder = root.join(FOLDER);
    let option = LoadOption {
        active: true,
        description: DESCRIPTION.to_owned(),
        partition,
        path: LOADER.to_owned(),
    };
    let value = option
        .encode()
        .context("the boot entry cannot be written down")?;
    let number = choose_number(&entries(&folder)?).context("all boot entries are taken")?;
    let name = format!("Boot{number:04X}");
    let present = read(root, &format!("{name}-{GLOBAL}"));
    // The firmware's memory wears out: what is right is not written again.
    if present.and_then(|value| LoadOption::decode(&value)) != Some(option) {
        write(&folder, &name, &value)?;
    }
    let order = read(root, &format!("BootOrder-{GLOBAL}")).unwrap_or_default();
    let mut order = efi::decode_order(&order);
    if !order.contains(&number) {
        order.push(number);
        write(&folder, "BootOrder", &efi::encode_order(&order))?;
    }
    write(&folder, "BootNext", &number.to_le_bytes())?;
    Ok(number)
}

/// Every boot entry there is, with its description.
fn entries(folder: &Path) -> Result<Vec<(u16, String)>> {
    let files = fs::read_dir(folder)
        .with_context(|| format!("{} cannot be read; is efivarfs mounted?", folder.display()))?;
    let mut found = Vec::new();
    for file in files.flatten() {
        let name = file.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_suffix(GLOBAL)) else {
            continue;
        };
        let Some(number) = efi::option_number(name.trim_end_matches('-')) else {
            continue;
        };
        let bytes = fs::read(file.path()).unwrap_or_default();
        let value = bytes.get(ATTRIBUTES_LENGTH..).unwrap_or_default();
        found.push((number, efi::description(value).unwrap_or_default()));
    }
    Ok(found)
}

/// Our own entry if there is one, else the lowest free number.
fn choose_number(entries: &[(u16, String)]) -> Option<u16> {
    let ours = entries
        .iter()
        .find(|(_, description)| description == DESCRIPTION);
    let free = || (0..=u16::MAX).find(|number| entries.iter().all(|(taken, _)| taken != number));
    ours.map(|&(number, _)| number).or_else(free)
}

/// Writes a variable in one write, as efivarfs asks for, and reads it back.
fn write(folder: &Path, name: &str, value: &[u8]) -> Result<()> {
    let path = folder.join(format!("{name}-{GLOBAL}"));
    let bytes = [&ATTRIBUTES.to_le_bytes(), value].concat();
    allow_writing(&path).with_context(|| format!("{name} stays immutable"))?;
    fs::write(&path, &bytes).with_context(|| format!("the firmware does not take {name}"))?;
    if fs::read(&path).with_context(|| format!("{name} is not there after writing it"))? != bytes {
        bail!("the firmware changed {name} while taking it");
    }
    Ok(())
}

fn allow_writing(path: &PathBuf) -> io::Result<()> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    // Other file systems than efivarfs have no such flag, and need none.
    let Ok(flags) = ioctl_getflags(&file) else {
        return Ok(());
    };
    if flags.contains(IFlags::IMMUTABLE) {
        ioctl_setflags(&file, flags.difference(IFlags::IMMUTABLE))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITION: HardDrive = HardDrive {
        number: 1,
        start: 2048,
        size: 4096,
        guid: [9; 16],
    };

    #[test]
    fn the_disk_is_next_and_last_in_the_order_and_its_entry_is_made_once() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(FOLDER);
        fs::create_dir_all(&folder).unwrap();
        let put = |name: &str, value: &[u8]| {
            let bytes = [&7_u32.to_le_bytes(), value].concat();
            fs::write(folder.join(format!("{name}-{GLOBAL}")), bytes).unwrap();
        };
        put("Boot0000", &[0; 10]);
        put("BootOrder", &[0, 0]);
        for _ in 0..2 {
            assert_eq!(boot_from(root.path(), PARTITION).unwrap(), 1);
            let value = |name: &str| read(root.path(), &format!("{name}-{GLOBAL}")).unwrap();
            assert_eq!(value("BootOrder"), [0, 0, 1, 0]);
            assert_eq!(value("BootNext"), [1, 0]);
            assert_eq!(
                LoadOption::decode(&value("Boot0001")).unwrap().partition,
                PARTITION
            );
        }
    }

    #[test]
    fn a_machine_without_variables_says_so() {
        let root = tempfile::tempdir().unwrap();
        let error = boot_from(root.path(), PARTITION).unwrap_err();
        assert!(error.to_string().contains("efivarfs"));
    }

    #[test]
    fn the_lowest_free_number_is_taken() {
        let other = |number| (number, "other".to_owned());
        assert_eq!(choose_number(&[other(0), other(2)]), Some(1));
        assert_eq!(
            choose_number(&[other(0), (7, DESCRIPTION.to_owned())]),
            Some(7)
        );
    }
}

//! What the kernel tells about the machine → [`MachineFacts`].

use std::fs;
use std::path::{Path, PathBuf};

use inventory::smbios::SystemNames;
use inventory::{Firmware, HardwareAddr, MachineFacts};

use super::firmware;

/// Largest SMBIOS table looked at (the 64-bit entry point allows more, no
/// machine has it).
const LARGEST_TABLE: usize = 1 << 20;

/// Everything but the disks, which come with the drivers of the second stage.
pub(crate) fn without_disks(root: &Path) -> MachineFacts {
    let table = fs::read(root.join("sys/firmware/dmi/tables/DMI")).unwrap_or_default();
    let names = SystemNames::from_table(table.get(..LARGEST_TABLE).unwrap_or(&table));
    MachineFacts {
        uuid: names.uuid,
        serial: names.serial,
        vendor: names.vendor,
        product: names.product,
        addresses: adapters(root)
            .into_iter()
            .map(|adapter| adapter.address)
            .collect(),
        firmware: firmware_kind(root),
        memory: memory(&fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default()),
        disks: Vec::new(),
    }
}

/// A machine in a few words: maker, product, serial.
pub(crate) fn words(facts: &MachineFacts) -> String {
    let parts = [&facts.vendor, &facts.product, &facts.serial];
    let known: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    if known.is_empty() {
        "unnamed machine".to_owned()
    } else {
        known.join(" ")
    }
}

/// A network adapter with a device behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Adapter {
    /// Kernel name of today.
    pub(crate) name: String,
    /// Its address.
    pub(crate) address: HardwareAddr,
    /// The kernel's number for it.
    pub(crate) index: u32,
    /// Whether a cable with somebody at its end is in; `None`: it is down.
    pub(crate) carrier: Option<bool>,
}

/// All of them, by name. Loopback, bridges and the like have no device.
pub(crate) fn adapters(root: &Path) -> Vec<Adapter> {
    let mut found: Vec<Adapter> = folders(&root.join("sys/class/net"))
        .into_iter()
        .filter(|folder| folder.join("device").exists())
        .filter_map(|folder| adapter(&folder))
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn adapter(folder: &Path) -> Option<Adapter> {
    let word = |file: &str| fs::read_to_string(folder.join(file)).ok();
    let address: HardwareAddr = word("address")?.trim().parse().ok()?;
    Some(Adapter {
        name: folder.file_name()?.to_str()?.to_owned(),
        address,
        index: word("ifindex")?.trim().parse().ok()?,
        carrier: word("carrier").map(|text| text.trim() == "1"),
    })
    .filter(|adapter| adapter.address.identifies())
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Most memory this process ever had resident, in bytes (proc(5), `VmHWM`);
/// 0 where the kernel does not say.
pub(crate) fn peak_memory() -> u64 {
    kibibytes(
        "VmHWM:",
        &fs::read_to_string("/proc/self/status").unwrap_or_default(),
    )
}

/// Memory that can be had without any being taken from others, in bytes
/// (proc(5), `MemAvailable`); 0 where the kernel does not say.
pub(crate) fn available_memory() -> u64 {
    kibibytes(
        "MemAvailable:",
        &fs::read_to_string("/proc/meminfo").unwrap_or_default(),
    )
}

/// Seconds since the kernel started, as it counts them itself.
pub(crate) fn uptime() -> String {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split_ascii_whitespace()
        .next()
        .unwrap_or("?")
        .to_owned()
}

/// Main memory in bytes, from the text of `/proc/meminfo` (proc(5)).
fn memory(text: &str) -> u64 {
    kibibytes("MemTotal:", text)
}

fn kibibytes(label: &str, text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    let kibibytes = line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0).saturating_mul(1024)
}

fn firmware_kind(root: &Path) -> Firmware {
    if !root.join("sys/firmware/efi").is_dir() {
        return Firmware::Bios;
    }
    match firmware::read(root, firmware::SECURE_BOOT).as_deref() {
        Some([1]) => Firmware::UefiSecureBoot,
        _ => Firmware::Uefi,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, path: &str, content: &[u8]) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[test]
    fn adapters_without_a_device_or_address_are_left_out() {
        let root = tempfile::tempdir().unwrap();
        for (name, address, device) in [
            ("eth1", "52:54:00:00:00:02", true),
            ("eth0", "52:54:00:00:00:01", true),
            ("br0", "52:54:00:00:00:03", false),
            ("dummy", "00:00:00:00:00:00", true),
        ] {
            let at = |file: &str| format!("sys/class/net/{name}/{file}");
            put(
                root.path(),
                &at("address"),
                format!("{address}\n").as_bytes(),
            );
            put(root.path(), &at("ifindex"), b"2\n");
            if device {
                put(root.path(), &at("device/vendor"), b"x");
            }
        }
        put(root.path(), "sys/class/net/eth0/carrier", b"1\n");
        let found = adapters(root.path());
        let names: Vec<_> = found.iter().map(|a| (a.name.as_str(), a.carrier)).collect();
        assert_eq!(names, [("eth0", Some(true)), ("eth1", None)]);
    }

    #[test]
    fn the_firmware_is_told_from_what_the_kernel_shows() {
        let root = tempfile::tempdir().unwrap();
        let kind = || without_disks(root.path()).firmware;
        assert_eq!(kind(), Firmware::Bios);
        let variable = format!("sys/firmware/efi/efivars/{}", firmware::SECURE_BOOT);
        put(root.path(), &variable, &[6, 0, 0, 0, 0]);
        assert_eq!(kind(), Firmware::Uefi);
        put(root.path(), &variable, &[6, 0, 0, 0, 1]);
        assert_eq!(kind(), Firmware::UefiSecureBoot);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(
            memory("MemTotal:         524288 kB\nMemFree: 1 kB\n"),
            512 << 20
        );
        assert_eq!(memory("garbage"), 0);
    }

    #[test]
    fn an_empty_root_gives_a_machine_without_names() {
        let root = tempfile::tempdir().unwrap();
        let facts = without_disks(root.path());
        assert_eq!(facts, MachineFacts::default());
        assert_eq!(words(&facts), "unnamed machine");
    }
}

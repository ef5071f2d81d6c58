//! What any source reports about a machine: one schema.

use serde::{Deserialize, Serialize};

use crate::ids::HardwareAddr;

/// A machine as the boot environment finds it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MachineFacts {
    /// SMBIOS system UUID as text, lower case; absent or junk: `None`.
    pub uuid: Option<String>,
    /// System serial number; junk such as "To be filled by O.E.M." is `None`.
    pub serial: Option<String>,
    /// System manufacturer.
    pub vendor: Option<String>,
    /// System product name.
    pub product: Option<String>,
    /// Addresses of its own network adapters.
    pub addresses: Vec<HardwareAddr>,
    /// How it was started.
    pub firmware: Firmware,
    /// Main memory in bytes.
    pub memory: u64,
    /// Its disks.
    pub disks: Vec<DiskFacts>,
}

/// How a machine was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// Legacy BIOS.
    #[default]
    Bios,
    /// UEFI without Secure Boot.
    Uefi,
    /// UEFI with Secure Boot on.
    UefiSecureBoot,
}

impl std::fmt::Display for Firmware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bios => "BIOS",
            Self::Uefi => "UEFI",
            Self::UefiSecureBoot => "UEFI, Secure Boot",
        })
    }
}

/// One disk, by the names that stay with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DiskFacts {
    /// Kernel name of today, e.g. `/dev/vda`.
    pub device: String,
    /// Model as the disk says it.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// World-wide name or NVMe identifier.
    pub wwid: Option<String>,
    /// Size in bytes.
    pub size: u64,
    /// Logical sector size in bytes.
    pub sector_size: u32,
    /// Operating systems found on it, for people.
    pub holds: Vec<String>,
}

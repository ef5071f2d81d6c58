//! What PID 1 owes the kernel before anything else: the file systems that
//! show it, and an ear for orphans.

use std::fs;
use std::time::Duration;

use rustix::mount::{MountFlags, mount};
use rustix::process::{WaitOptions, wait};

/// Type, place and options, in the order they are needed.
const MOUNTS: [(&str, &str, MountFlags); 4] = [
    ("proc", "/proc", MountFlags::empty()),
    ("sysfs", "/sys", MountFlags::empty()),
    ("devtmpfs", "/dev", MountFlags::empty()),
    ("tmpfs", "/run", MountFlags::NOSUID),
];
const VARIABLES: &str = "/sys/firmware/efi/efivars";
/// How often orphans are looked for: nothing here starts processes, so there
/// are hardly ever any.
const REAP: Duration = Duration::from_secs(5);

/// Mounts what can be mounted; what cannot is told.
pub(super) fn mount_all() -> Vec<String> {
    let mut complaints = Vec::new();
    for (kind, place, flags) in MOUNTS {
        // The folder is there already, or the mount says so better.
        let _ = fs::create_dir_all(place);
        if let Err(error) = mount(kind, place, kind, flags | MountFlags::NOEXEC, None) {
            complaints.push(format!("{place} cannot be mounted: {error}"));
        }
    }
    complaints
}

/// Mounts the firmware's variables; they need a driver first. BIOS machines
/// have none.
pub(super) fn mount_variables() -> Option<String> {
    if !fs::exists("/sys/firmware/efi").unwrap_or(false) {
        return None;
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let result = mount("efivarfs", VARIABLES, "efivarfs", flags, None);
    result
        .err()
        .map(|error| format!("{VARIABLES} cannot be mounted: {error}"))
}

/// Takes in whatever process the kernel hands to PID 1.
pub(super) fn reap_orphans() {
    std::thread::spawn(|| {
        loop {
            while matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {}
            std::thread::sleep(REAP);
        }
    });
}

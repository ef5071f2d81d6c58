//! Which disk is meant: by what is written in it, never "the first one".

use std::path::PathBuf;

/// What names a disk wherever it is plugged in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DiskIdentity {
    /// Model, as the disk says.
    pub model: String,
    /// Serial number; empty when it has none.
    pub serial: String,
    /// World-wide name as the kernel writes it (`naa.`, `eui.`); empty when none.
    pub wwn: String,
    /// Size in bytes.
    pub size: u64,
    /// Names under `/dev/disk/by-id`.
    pub by_id: Vec<String>,
}

impl DiskIdentity {
    /// The best name that stays with the disk: serial number, world-wide name,
    /// or one under `/dev/disk/by-id`; `None` when it has none of them.
    pub fn stable(&self) -> Option<String> {
        let by_id = self.by_id.first().into_iter();
        let names = [&self.serial, &self.wwn].into_iter().chain(by_id);
        names.into_iter().find(|name| !name.is_empty()).cloned()
    }
}

/// A whole disk of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDisk {
    /// The kernel's name, good until the next boot: `sda`.
    pub name: String,
    /// What it is.
    pub identity: DiskIdentity,
    /// Logical sector size in bytes.
    pub sector_size: u32,
    /// Says of itself that it can be taken out (sticks, card readers).
    pub removable: bool,
    /// Cannot be written.
    pub read_only: bool,
    /// Who uses it now, in sentences.
    pub users: Vec<String>,
}

impl ListedDisk {
    /// The device to open.
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/dev").join(&self.name)
    }

    /// For people: name, model, serial number, size.
    pub fn describe(&self) -> String {
        let identity = &self.identity;
        let known = |word: &str, text: &str| {
            if text.is_empty() {
                String::new()
            } else {
                format!(", {word} {text}")
            }
        };
        let model = if identity.model.is_empty() {
            "unnamed disk"
        } else {
            &identity.model
        };
        let serial = known("serial", &identity.serial);
        format!("{} ({model}{serial}, {} bytes)", self.name, identity.size)
    }

    fn is_called(&self, wish: &str) -> bool {
        let wish = wish.strip_prefix("/dev/disk/by-id/").unwrap_or(wish);
        let identity = &self.identity;
        let by_number = |stored: &str| !stored.is_empty() && bare(stored) == bare(wish);
        by_number(&identity.wwn)
            || identity.serial == wish && !wish.is_empty()
            || identity.by_id.iter().any(|name| name == wish)
    }

    /// Every reason why it cannot be the target.
    fn objections(&self, wish: &Wish) -> Vec<String> {
        let is_named = wish.name.is_some();
        let mut reasons = Vec::new();
        if wish.boot_medium.contains(&self.name) {
            reasons.push(String::from("this machine was started from it"));
        }
        if self.removable && !is_named {
            reasons.push(String::from("it is removable; name it if it is meant"));
        }
        if self.read_only {
            reasons.push(String::from("it is read-only"));
        }
        if self.identity.size < wish.least_size {
            reasons.push(format!(
                "it has {} bytes, and {} are needed",
                self.identity.size, wish.least_size
            ));
        }
        reasons.extend(self.users.iter().cloned());
        reasons
    }
}

/// A world-wide name without the ways of writing it.
fn bare(name: &str) -> String {
    let prefixes = ["wwn-", "nvme-", "naa.", "eui.", "uuid.", "0x"];
    let short = prefixes.iter().fold(name, |rest, prefix| {
        rest.strip_prefix(prefix).unwrap_or(rest)
    });
    short.to_ascii_lowercase()
}

/// What is asked of the target disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    /// Serial number, world-wide name or name under `/dev/disk/by-id`.
    pub name: Option<String>,
    /// Bytes it must have.
    pub least_size: u64,
    /// Kernel names of the disks this machine was started from.
    pub boot_medium: Vec<String>,
}

/// Why no disk was chosen: each disk with all its reasons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{summary}{}", self.reasons.iter().map(|(disk, why)| format!("\n  {disk}: {why}")).collect::<String>())]
pub struct Refusal {
    /// What went wrong, and what to do.
    pub summary: String,
    /// Disk, reason.
    pub reasons: Vec<(String, String)>,
}

/// The one disk that is meant: the only one that fits, or the one named.
///
/// # Errors
/// When none or more than one fits, or the name fits none, with every reason.
pub fn choose<'disks>(
    disks: &'disks [ListedDisk],
    wish: &Wish,
) -> Result<&'disks ListedDisk, Refusal> {
    let meant: Vec<&ListedDisk> = match &wish.name {
        Some(name) => disks.iter().filter(|disk| disk.is_called(name)).collect(),
        None => disks.iter().collect(),
    };
    let refuse = |summary: String, reasons| Err(Refusal { summary, reasons });
    if meant.is_empty() {
        let present = disks
            .iter()
            .map(|disk| (disk.describe(), String::from("present")))
            .collect();
        return match &wish.name {
            Some(name) => refuse(not_found(disks, name), present),
            None => refuse(String::from("this machine has no disk"), present),
        };
    }
    let fitting: Vec<&ListedDisk> = meant
        .iter()
        .copied()
        .filter(|disk| disk.objections(wish).is_empty())
        .collect();
    match fitting[..] {
        [only] => Ok(only),
        [] => {
            let each = |disk: &&ListedDisk| {
                disk.objections(wish)
                    .into_iter()
                    .map(|why| (disk.describe(), why))
                    .collect::<Vec<_>>()
            };
            refuse(
                String::from("no disk can be the target"),
                meant.iter().flat_map(each).collect(),
            )
        }
        _ => {
            let each = fitting
                .iter()
                .map(|disk| (disk.describe(), String::from("fits")));
            refuse(
                String::from("more than one disk fits; name the target by its serial number"),
                each.collect(),
            )
        }
    }
}

/// The one disk that is meant to be read: the one named, else the only one that
/// holds a system, else the only one. Reading harms none, so that a disk may be
/// read-only, removable or in use is no objection.
///
/// # Errors
/// When none or more than one is meant, with all of them.
pub fn choose_source<'disks>(
    disks: &'disks [ListedDisk],
    name: Option<&str>,
    holds_system: impl Fn(&ListedDisk) -> bool,
) -> Result<&'disks ListedDisk, Refusal> {
    let meant: Vec<&ListedDisk> = match name {
        Some(name) => disks.iter().filter(|disk| disk.is_called(name)).collect(),
        None => {
            let with_system: Vec<&ListedDisk> =
                disks.iter().filter(|disk| holds_system(disk)).collect();
            match with_system.is_empty() {
                true => disks.iter().collect(),
                false => with_system,
            }
        }
    };
    let present = |disk: &ListedDisk| {
        let word = match holds_system(disk) {
            true => "holds a system",
            false => "present",
        };
        (disk.describe(), String::from(word))
    };
    match (&meant[..], name) {
        (&[only], _) => Ok(only),
        ([], Some(name)) => Err(Refusal {
            summary: not_found(disks, name),
            reasons: disks.iter().map(present).collect(),
        }),
        ([], None) => Err(Refusal {
            summary: String::from("this machine has no disk"),
            reasons: Vec::new(),
        }),
        _ => Err(Refusal {
            summary: String::from(
                "more than one disk may be meant; name the one to capture by its serial number",
            ),
            reasons: meant.iter().map(|disk| present(disk)).collect(),
        }),
    }
}

fn not_found(disks: &[ListedDisk], name: &str) -> String {
    let short = name.strip_prefix("/dev/").unwrap_or(name);
    if disks.iter().any(|disk| disk.name == short) {
        return format!(
            "{short} may be another disk after the next start; name the target by its serial number"
        );
    }
    format!("no disk has the serial number, world-wide name or by-id name {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(name: &str, serial: &str, size: u64) -> ListedDisk {
        let identity = DiskIdentity {
            model: String::from("ACME 1"),
            serial: serial.to_owned(),
            wwn: format!("naa.5000{serial}"),
            size,
            by_id: vec![format!("ata-ACME_1_{serial}")],
        };
        ListedDisk {
            name: name.to_owned(),
            identity,
            sector_size: 512,
            removable: false,
            read_only: false,
            users: Vec::new(),
        }
    }

    #[test]
    fn a_capture_reads_the_disk_named_or_the_only_one_with_a_system_and_asks_between_two() {
        let mut disks = vec![disk("sda", "A1", 100), disk("sdb", "B2", 100)];
        disks[1].read_only = true;
        disks[1].users.push(String::from("sdb1 is mounted at /x"));
        let second = |disk: &ListedDisk| disk.name == "sdb";
        assert_eq!(choose_source(&disks, None, second).unwrap().name, "sdb");
        let first = choose_source(&disks, Some("A1"), second).unwrap();
        assert_eq!(first.name, "sda");
        for holds_system in [true, false] {
            let two = choose_source(&disks, None, |_| holds_system).unwrap_err();
            assert_eq!(two.reasons.len(), 2);
            assert!(two.to_string().contains("serial B2"), "{two}");
        }
        let only = choose_source(&disks[..1], None, |_| false).unwrap();
        assert_eq!(only.name, "sda");
        assert!(choose_source(&[], None, |_| true).is_err());
        let wrong = choose_source(&disks, Some("C3"), second).unwrap_err();
        assert!(wrong.summary.contains("C3") && wrong.reasons.len() == 2);
    }

    fn named(name: &str) -> Wish {
        Wish {
            name: Some(name.to_owned()),
            ..Wish::default()
        }
    }

    #[test]
    fn the_only_disk_that_fits_is_chosen_and_two_are_refused() {
        let mut disks = vec![
            disk("sda", "A1", 100),
            disk("sdb", "B2", 100),
            disk("sdc", "C3", 10),
        ];
        let wish = Wish {
            least_size: 50,
            boot_medium: vec![String::from("sda")],
            ..Wish::default()
        };
        assert_eq!(choose(&disks, &wish).unwrap().name, "sdb");
        let two = choose(
            &disks,
            &Wish {
                least_size: 50,
                ..Wish::default()
            },
        )
        .unwrap_err();
        assert!(two.summary.contains("serial number") && two.reasons.len() == 2);
        disks[1].removable = true;
        disks[1].users.push(String::from("sdb1 is mounted at /x"));
        let none = choose(&disks, &wish).unwrap_err();
        assert_eq!(none.reasons.len(), 4, "{none}");
        assert!(
            none.to_string().contains("10 bytes, and 50 are needed"),
            "{none}"
        );
    }

    #[test]
    fn every_stable_name_finds_its_disk_and_a_kernel_name_does_not() {
        let disks = vec![disk("sda", "A1", 100), disk("sdb", "B2", 100)];
        for name in [
            "B2",
            "naa.5000B2",
            "0x5000b2",
            "wwn-0x5000b2",
            "ata-ACME_1_B2",
            "/dev/disk/by-id/ata-ACME_1_B2",
        ] {
            assert_eq!(choose(&disks, &named(name)).unwrap().name, "sdb", "{name}");
        }
        assert!(
            choose(&disks, &named("/dev/sdb"))
                .unwrap_err()
                .summary
                .contains("another disk")
        );
        assert!(choose(&disks, &named("")).is_err());
        assert!(choose(&[], &Wish::default()).is_err());
    }

    #[test]
    fn a_named_removable_disk_is_accepted_but_not_a_read_only_one() {
        let mut disks = vec![disk("sda", "A1", 100)];
        disks[0].removable = true;
        assert!(choose(&disks, &Wish::default()).is_err());
        assert!(choose(&disks, &named("A1")).is_ok());
        disks[0].read_only = true;
        assert!(choose(&disks, &named("A1")).is_err());
    }
}

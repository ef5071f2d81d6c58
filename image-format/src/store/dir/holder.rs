//! Which process holds a lease, and whether it has certainly ended.
//!
//! Only a process of this very kernel can be asked for: same boot, same space of
//! process numbers. And only for a folder on a disk of this machine: copies of a
//! running virtual machine share all of that, but never a local file system.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::store::Holder;

/// File systems that one kernel alone can have mounted. Of others nothing is said.
const LOCAL: [&str; 10] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs", "overlay", "vfat", "exfat",
];

/// This process, if others may look for it by its number.
pub(super) fn own(root: &Path) -> Option<Holder> {
    let pid = std::process::id();
    // A /proc of another space of numbers names another process.
    let linked = fs::read_link("/proc/self").ok()?;
    let is_ours = linked.to_str()?.parse() == Ok(pid);
    (is_ours && is_local(root)).then_some(())?;
    Some(Holder {
        machine: line("/etc/machine-id").unwrap_or_default(),
        boot: line("/proc/sys/kernel/random/boot_id")?,
        processes: fs::read_link("/proc/self/ns/pid")
            .ok()?
            .to_str()?
            .to_owned(),
        pid,
        started: started(pid).ok()?,
    })
}

/// Whether the process of a lease has ended: `false` whenever that is not certain.
pub(super) fn is_gone(root: &Path, holder: &Holder) -> bool {
    let Some(own) = own(root) else { return false };
    let here = |holder: &Holder| {
        let Holder {
            machine,
            boot,
            processes,
            ..
        } = holder;
        (machine.clone(), boot.clone(), processes.clone())
    };
    // Where /proc hides the processes of others, the first one is hidden too.
    if here(&own) != here(holder) || !Path::new("/proc/1").is_dir() {
        return false;
    }
    match started(holder.pid) {
        Ok(started) => started != holder.started,
        Err(error) => error == ErrorKind::NotFound && !process(holder.pid).exists(),
    }
}

fn process(pid: u32) -> std::path::PathBuf {
    Path::new("/proc").join(pid.to_string())
}

/// When a process began, in ticks since the boot: tells apart two that had one number.
fn started(pid: u32) -> Result<u64, ErrorKind> {
    let text = fs::read_to_string(process(pid).join("stat")).map_err(|error| error.kind())?;
    // The name in parentheses may hold anything, also spaces and parentheses.
    let after = text.rsplit_once(')').map(|(_, after)| after);
    let field = after.and_then(|after| after.split_whitespace().nth(19));
    field
        .and_then(|field| field.parse().ok())
        .ok_or(ErrorKind::InvalidData)
}

fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?.trim().to_owned();
    (!text.is_empty() && text.len() <= 64).then_some(text)
}

/// Whether a folder lies on a file system that is this machine's alone.
#[cfg(target_os = "linux")]
fn is_local(root: &Path) -> bool {
    use std::os::linux::fs::MetadataExt;
    let Ok(facts) = fs::metadata(root) else {
        return false;
    };
    let device = facts.st_dev();
    let major = ((device >> 32) & 0xffff_f000) | ((device >> 8) & 0xfff);
    let minor = ((device >> 12) & 0xffff_ff00) | (device & 0xff);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut kinds = mounts.lines().filter_map(|mount| {
        let (place, kind) = mount.split_once(" - ")?;
        let number = place.split(' ').nth(2)?;
        (number == format!("{major}:{minor}")).then(|| kind.split(' ').next())?
    });
    kinds.next().is_some_and(|kind| LOCAL.contains(&kind))
}

#[cfg(not(target_os = "linux"))]
fn is_local(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_of_this_boot_that_has_ended_is_gone() {
        let root = std::env::temp_dir();
        // On a network file system, or without /proc, nothing is ever said.
        let Some(own) = own(&root) else { return };
        assert!(!is_gone(&root, &own));
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let holder = Holder {
            pid: child.id(),
            started: started(child.id()).unwrap(),
            ..own.clone()
        };
        assert!(!is_gone(&root, &holder));
        let again = Holder {
            started: holder.started - 1,
            ..holder.clone()
        };
        assert!(is_gone(&root, &again), "its number was given anew");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_gone(&root, &holder));
        for other in [
            Holder {
                boot: "x".into(),
                ..holder.clone()
            },
            Holder {
                machine: "x".into(),
                ..holder.clone()
            },
            Holder {
                processes: "x".into(),
                ..holder
            },
        ] {
            assert!(!is_gone(&root, &other), "{other:?}");
        }
    }
}

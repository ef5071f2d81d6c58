//! What was proven, and what runs here now.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use api::receipt::ProvenDisk;
use api::{Receipt, Statement};
use image_format::proof::Proof;
use inventory::{Identity, OsFacts};
use task_sequences::{EventKind, StepOutcome};

use super::disk::Chosen;
use super::scene::Scene;

/// Where systems describe themselves (os-release(5)).
const OS_RELEASE: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];

/// States what was read back, signs it, and has it countersigned. A refusal
/// is a failure of the step.
pub(super) fn receipt(scene: &mut Scene<'_>, chosen: &Chosen, proof: Proof) -> Result<()> {
    let job = scene.job;
    let state = scene.journal.state();
    let done = |step: &&task_sequences::Step| state.outcome(&step.name) == Some(&StepOutcome::Done);
    let steps = scene.journal.sequence().steps().into_iter().filter(done);
    let statement = Statement {
        run: job.assignment.run.clone(),
        machine: job.assignment.machine,
        name: job.assignment.name.clone(),
        identity: Identity::of(&job.facts),
        disk: proven(chosen),
        proof,
        steps: steps.map(|step| step.name.clone()).collect(),
        started: job.started,
        finished: now(),
    };
    let key = job
        .key
        .as_ref()
        .context("the key of this run is not here")?;
    let claim = Receipt::claim(statement, key)?;
    let receipt = job
        .patience
        .call(|| job.client.hand_in(&claim))
        .context("the server does not confirm the receipt")?;
    receipt
        .verify(Some(&job.client.key()))
        .context("the server's confirmation does not hold")?;
    scene.journal.record(EventKind::ReceiptStored)?;
    job.screen
        .say("The server has compared what was read back and signed the receipt.");
    Ok(())
}

fn proven(chosen: &Chosen) -> ProvenDisk {
    ProvenDisk {
        model: chosen.facts.model.clone(),
        serial: chosen.facts.serial.clone(),
        wwid: chosen.facts.wwid.clone(),
        size: chosen.facts.size,
    }
}

/// Seconds since 1970 by this machine's clock.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Tells the server which system runs here and from which disk.
pub(super) fn system(scene: &mut Scene<'_>) -> Result<()> {
    let (system, hostname, disk) = describe(Path::new("/"))?;
    scene
        .job
        .screen
        .say(format!("{hostname} runs {} from {disk}", system.name));
    scene.journal.record(EventKind::SystemReported {
        system,
        hostname,
        disk,
    })
}

fn describe(root: &Path) -> Result<(OsFacts, String, String)> {
    let text = OS_RELEASE
        .iter()
        .find_map(|path| fs::read_to_string(root.join(path)).ok());
    let mut system = OsFacts::from_os_release(&text.context("there is no os-release file")?);
    system.architecture = rustix::system::uname()
        .machine()
        .to_string_lossy()
        .into_owned();
    let hostname = fs::read_to_string(root.join("proc/sys/kernel/hostname"))?
        .trim()
        .to_owned();
    let mounts = fs::read_to_string(root.join("proc/self/mountinfo"))?;
    let disk = root_device(&mounts).map(|number| disk_name(root, &number));
    Ok((
        system,
        hostname,
        disk.unwrap_or_else(|| "unknown".to_owned()),
    ))
}

/// `major:minor` of what is mounted at `/`: the last one counts (proc(5)).
fn root_device(mountinfo: &str) -> Option<String> {
    let lines = mountinfo
        .lines()
        .rev()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    lines
        .filter(|fields| fields.get(4) == Some(&"/"))
        .find_map(|fields| fields.get(2).map(|&number| number.to_owned()))
}

/// The serial number of the disk behind a device number, else its kernel
/// name, else the number itself.
fn disk_name(root: &Path, number: &str) -> String {
    let Ok(device) = fs::canonicalize(root.join("sys/dev/block").join(number)) else {
        return number.to_owned();
    };
    let is_partition = device.join("partition").exists();
    let disk: PathBuf = match device.parent() {
        Some(parent) if is_partition => parent.to_owned(),
        _ => device,
    };
    // virtio keeps it at the disk, NVMe and others at the device behind it.
    let serial = ["serial", "device/serial"].iter().find_map(|file| {
        let text = fs::read_to_string(disk.join(file)).ok()?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    });
    let name = || {
        disk.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    serial.or_else(name).unwrap_or_else(|| number.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &str = "\
1 1 0:2 / / rw - rootfs rootfs rw
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
23 22 0:21 / /sys rw - sysfs sysfs rw
";

    #[test]
    fn the_last_mount_at_the_root_counts() {
        assert_eq!(root_device(MOUNTINFO).as_deref(), Some("254:1"));
        assert_eq!(root_device(""), None);
    }

    #[test]
    fn a_disk_goes_by_its_serial_and_else_by_its_name() {
        let root = tempfile::tempdir().unwrap();
        let disk = root.path().join("sys/devices/virtio/block/vda");
        fs::create_dir_all(disk.join("vda1")).unwrap();
        fs::write(disk.join("vda1/partition"), "1\n").unwrap();
        fs::create_dir_all(root.path().join("sys/dev/block")).unwrap();
        let link = root.path().join("sys/dev/block/254:1");
        std::os::unix::fs::symlink(disk.join("vda1"), link).unwrap();
        assert_eq!(disk_name(root.path(), "254:1"), "vda");
        fs::write(disk.join("serial"), "TARGET-1\n").unwrap();
        assert_eq!(disk_name(root.path(), "254:1"), "TARGET-1");
        assert_eq!(disk_name(root.path(), "9:9"), "9:9");
    }
}

//! The disks of this machine, as the kernel shows them in `/sys/block`.

use super::busy::Kernel;
use super::identity::{DiskIdentity, ListedDisk};

/// All whole disks of this machine in the order of their names; loop devices,
/// memory disks, optical drives and mapped devices are none.
pub fn list() -> Vec<ListedDisk> {
    list_from(&Kernel::default())
}

fn list_from(kernel: &Kernel) -> Vec<ListedDisk> {
    let names = kernel.names(&kernel.path("sys/block"));
    let is_disk = |name: &String| {
        !["loop", "ram", "zram", "sr", "dm-", "md", "fd", "nbd"]
            .iter()
            .any(|kind| name.starts_with(kind))
    };
    names
        .into_iter()
        .filter(is_disk)
        .filter_map(|name| look_at(kernel, name))
        .collect()
}

/// One whole disk by the kernel's name; `None` without a size.
pub(super) fn look_at(kernel: &Kernel, name: String) -> Option<ListedDisk> {
    let folder = kernel.path("sys/block").join(&name);
    let first = |files: &[&str]| {
        files
            .iter()
            .find_map(|file| kernel.line(&folder.join(file)))
            .unwrap_or_default()
    };
    // The kernel counts in 512 bytes here whatever the sector size is.
    let size = first(&["size"])
        .parse::<u64>()
        .ok()?
        .checked_mul(512)
        .filter(|&size| size > 0)?;
    let mut serial = first(&["device/serial", "serial"]);
    if serial.is_empty() {
        let page = std::fs::read(folder.join("device/vpd_pg80")).unwrap_or_default();
        serial = unit_serial(&page);
    }
    let identity = DiskIdentity {
        model: first(&["device/model"]),
        serial,
        wwn: first(&["wwid", "device/wwid"]),
        size,
        by_id: by_id(kernel, &name),
    };
    Some(ListedDisk {
        users: kernel.users(&name),
        sector_size: first(&["queue/logical_block_size"]).parse().unwrap_or(512),
        removable: first(&["removable"]) == "1",
        read_only: first(&["ro"]) == "1",
        identity,
        name,
    })
}

/// The serial number of a SCSI or ATA disk: its vital product data page 80h,
/// four bytes of heading and text (SPC-4, section 7.8.15).
fn unit_serial(page: &[u8]) -> String {
    let text = page.get(4..).unwrap_or_default();
    String::from_utf8_lossy(text)
        .trim_matches(['\0', ' '])
        .to_owned()
}

fn by_id(kernel: &Kernel, name: &str) -> Vec<String> {
    let folder = kernel.path("dev/disk/by-id");
    let points_here = |id: &String| {
        let target = std::fs::read_link(folder.join(id)).unwrap_or_default();
        target.file_name().is_some_and(|last| last == name)
    };
    kernel
        .names(&folder)
        .into_iter()
        .filter(points_here)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_behind_scsi_tells_its_serial_on_a_page_of_its_own() {
        assert_eq!(unit_serial(b"\0\x80\0\x08 DISK-1 "), "DISK-1");
        assert_eq!(unit_serial(b"\0\x80"), "");
        assert_eq!(unit_serial(b""), "");
    }

    #[test]
    fn the_kernel_s_folders_are_listed_without_what_is_no_disk() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("sys/block/nvme0n1/size", "1000\n");
        put("sys/block/nvme0n1/device/model", "ACME Fast   \n");
        put("sys/block/nvme0n1/device/serial", "S1\n");
        put("sys/block/nvme0n1/wwid", "eui.01\n");
        put("sys/block/nvme0n1/queue/logical_block_size", "4096\n");
        put("sys/block/vda/size", "2000\n");
        put("sys/block/vda/serial", "V1");
        put("sys/block/vda/removable", "1\n");
        put("sys/block/loop0/size", "5\n");
        put("sys/block/sdz/size", "0\n");
        let ids = folder.path().join("dev/disk/by-id");
        std::fs::create_dir_all(&ids).unwrap();
        std::os::unix::fs::symlink("../../vda", ids.join("virtio-V1")).unwrap();
        let disks = list_from(&Kernel::under(folder.path()));
        assert_eq!(disks.len(), 2);
        assert_eq!(
            (disks[0].sector_size, disks[0].identity.size),
            (4096, 512_000)
        );
        assert_eq!(
            disks[0].describe(),
            "nvme0n1 (ACME Fast, serial S1, 512000 bytes)"
        );
        assert_eq!(
            (disks[1].removable, &disks[1].identity.by_id[0][..]),
            (true, "virtio-V1")
        );
        assert_eq!(disks[1].identity.serial, "V1");
    }
}

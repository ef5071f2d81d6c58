//! The gap between an MBR and the first partition, where BIOS boot loaders
//! like to live and no partition keeps them.

use image_format::layout::{DiskLayout, Scheme};

use crate::disk::Disk;

/// No boot loader in the gap is larger; the gap itself may be anything.
const LOOKED_AT: u64 = 1 << 20;

/// Warns when a boot loader in the gap would be missing from the image.
pub(super) fn boot_loader_warning(disk: &dyn Disk, layout: &DiskLayout) -> Option<String> {
    let Scheme::Mbr { .. } = layout.scheme else {
        return None;
    };
    let from = u64::from(layout.sector_size);
    let to = layout
        .partitions
        .iter()
        .map(|partition| partition.start)
        .min()?
        .min(LOOKED_AT);
    let mut gap = vec![0; usize::try_from(to.checked_sub(from)?).ok()?];
    disk.read_at(from, &mut gap).ok()?;
    gap.iter().any(|&byte| byte != 0).then(|| {
        "there is data between the boot sector and the first partition (a BIOS boot \
         loader?), which an image does not keep; install the boot loader again after an apply"
            .to_owned()
    })
}

//! `mimeo apply` onto disks, partitions and image files: planned, agreed to,
//! carried out, read back. `mimeo verify` of the same.

mod agree;
mod image;
mod looked;
mod planned;
mod progress;
mod receipt;
mod verify;

use std::time::Instant;

use anyhow::{Context, Result, bail};
use image_format::proof::Proof;
use image_format::with_bases;
use imager::apply::{ApplyOptions, apply_with, was_interrupted};
use imager::disk::{BlockDevice, Disk, TargetDisk, TargetKind};
use imager::plan::Plan;

use crate::args::ApplyArgs;
use crate::output;
use image::Image;
use looked::{Looked, SECTOR, identity, look, open};
use planned::{check_kind, check_room, planned, show_plan, unchanged};
pub(crate) use verify::verify;

/// What an apply that was interrupted is called on the disk.
const RUN: &str = "mimeo apply";

/// Puts an image onto a disk, a partition or into a file.
pub(crate) fn apply(args: &ApplyArgs, json: bool) -> Result<()> {
    let image = Image::load(&args.share, &args.image, args.partition)?;
    let looked = look(args)?;
    check_kind(args, &image, &looked)?;
    let plan = planned(args, &image, &looked)?;
    check_room(args, &plan, &looked)?;
    let own = goes_on(args, &looked, &plan)?;
    let lost = match own {
        true => Vec::new(),
        false => looked.lost(&plan),
    };
    if args.size.is_some() && looked.found.is_some() && !lost.is_empty() {
        bail!(
            "{} exists, and no interrupted apply of this image lies there; \
             --size is for a new file",
            args.target.display()
        );
    }
    let identity = identity(args, looked.found.as_ref());
    show_plan(args, &plan, &looked, &identity, json)?;
    if args.dry_run {
        return Ok(());
    }
    if !lost.is_empty() {
        agree::agree(&identity, &lost, args.yes_destroy.as_deref())?;
    }
    let disk = open(args, looked.found.as_ref())?;
    unchanged(args, &image, &looked, disk.as_ref(), &plan)?;
    if own && !was_interrupted(&plan, disk.as_ref()) {
        bail!(
            "{} changed while the plan was shown; begin again",
            args.target.display()
        );
    }
    let begun = Instant::now();
    let proof = carry_out(args, &image, &plan, disk.as_ref(), json)?;
    drop(disk);
    reread(looked.found.as_ref());
    let receipt = receipt::Receipt::new(&image.record, args.partition, identity, &plan, proof);
    if let Some(path) = &args.receipt {
        receipt.write(path)?;
    }
    output::show(json, &receipt, || {
        format!(
            "{} is {} version {}, image {}: read back and found equal, in {:.1} s",
            args.target.display(),
            image.record.name,
            image.record.sequence,
            image.record.image.short(),
            begun.elapsed().as_secs_f64()
        )
    })
}

/// Whether the target holds nothing but what this very plan wrote before it was
/// interrupted: then there is nothing to agree to lose.
fn goes_on(args: &ApplyArgs, looked: &Looked, plan: &Plan) -> Result<bool> {
    let Some(found) = &looked.found else {
        return Ok(false);
    };
    let disk = found
        .open(args.sector_size.unwrap_or(SECTOR))
        .with_context(|| format!("looking at {}", args.target.display()))?;
    Ok(was_interrupted(plan, disk.as_ref()))
}

fn carry_out(
    args: &ApplyArgs,
    image: &Image,
    plan: &Plan,
    disk: &dyn Disk,
    json: bool,
) -> Result<Proof> {
    let jobs = image.share.jobs(&image.manifest)?;
    let jobs = with_bases(image.share.index(), jobs)?;
    let options = ApplyOptions {
        look_everywhere: args.reuse,
    };
    let shown = progress::Shown::new(json, args.reuse);
    let watch = &mut |event| shown.event(event);
    let proof = apply_with(plan, disk, &jobs, image.share.store(), RUN, options, watch);
    shown.finish();
    proof.with_context(|| {
        format!(
            "applying to {}: it boots nothing now; apply again goes on from what is there",
            args.target.display()
        )
    })
}

/// Has the kernel see the new partitions. A device without partitions by
/// nature, as most loop devices, has none to be seen.
fn reread(found: Option<&TargetDisk>) {
    let Some(found) = found.filter(|found| found.kind == TargetKind::Disk) else {
        return;
    };
    let reread = BlockDevice::open(&found.path).map(|device| device.reread_table());
    if let Ok(Err(error)) = reread
        && error.kind() != std::io::ErrorKind::InvalidInput
    {
        eprintln!(
            "note: the kernel did not read the new partition table ({error}); partprobe does"
        );
    }
}

//! `mimeo verify` of disks, partitions and image files.

use anyhow::{Context, Result, bail};
use imager::disk::TargetDisk;
use imager::verify::{Difference, bytes_to_verify, verify_image};

use super::image::Image;
use super::looked::SECTOR;
use super::progress;
use crate::args::VerifyArgs;
use crate::exit::DoesNotHold;
use crate::output::{self, bytes};

/// Compares a target with an image.
pub(crate) fn verify(args: &VerifyArgs, json: bool) -> Result<()> {
    let image = Image::load(&args.share, &args.image, args.partition)?;
    let looking = || format!("opening {}", args.target.display());
    let Some(found) = TargetDisk::find(&args.target).with_context(looking)? else {
        bail!("{} does not exist", args.target.display());
    };
    let disk = found
        .open(args.sector_size.unwrap_or(SECTOR))
        .with_context(looking)?;
    let shown = progress::Counted::new(json, bytes_to_verify(&image.manifest));
    let result = verify_image(disk.as_ref(), &image.manifest, &|count| shown.add(count));
    shown.finish();
    let all = result.as_ref().err().map_or(&[][..], Vec::as_slice);
    let count: u64 = all.iter().map(Difference::count).sum();
    let named: Vec<String> = match &result {
        Ok(_) => Vec::new(),
        Err(differences) => differences.iter().map(ToString::to_string).collect(),
    };
    let read = result.unwrap_or_default();
    let value = serde_json::json!({
        "image": image.record.image,
        "target": found.identity,
        "equal": named.is_empty(),
        "volumes": read.volumes,
        "differences": named,
    });
    output::show(json, &value, || match named.len() {
        0 => {
            let entries: u64 = read.volumes.iter().map(|volume| volume.entries).sum();
            let length = read.volumes.iter().map(|volume| volume.bytes).sum();
            format!(
                "{} holds image {}: {entries} entries with {} compared, no difference",
                args.target.display(),
                image.record.image.short(),
                bytes(length)
            )
        }
        _ => named.join("\n"),
    })?;
    match count {
        0 => Ok(()),
        count => Err(DoesNotHold(format!(
            "{} differs from image {}: {count} {}",
            args.target.display(),
            image.record.image.short(),
            if count == 1 {
                "difference"
            } else {
                "differences"
            }
        ))
        .into()),
    }
}

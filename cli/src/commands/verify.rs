//! `mimeo verify`: a directory compared with an image.

use anyhow::{Context, Result};
use imager::tree::Losses;
use imager::tree::verify::{Question, TreeDifference, verify};

use super::apply::volume::Chosen;
use super::apply::{ProgressShown, is_directory, keep, make};
use super::apply_disk;
use crate::args::VerifyArgs;
use crate::exit::{DoesNotHold, wrong};
use crate::output::{self, bytes};

/// Compares whatever the target is.
pub(crate) fn run(args: &VerifyArgs, json: bool) -> Result<()> {
    match is_directory(&args.target)? {
        true => directory(args, json),
        false if args.keep || args.allow_loss || args.receipt.is_some() => {
            wrong("--keep, --allow-loss and --receipt are for directories")
        }
        false => apply_disk::verify(args, json),
    }
}

fn directory(args: &VerifyArgs, json: bool) -> Result<()> {
    if args.sector_size.is_some() {
        let target = args.target.display();
        return wrong(format!(
            "--sector-size is for disks; {target} is a directory"
        ));
    }
    let chosen = Chosen::open(&args.share, &args.image, args.partition)?;
    let question = Question {
        extras: !args.keep,
        allow_loss: args.allow_loss,
        past_cache: true,
    };
    let shown = ProgressShown::new(json);
    let watch = |count| shown.compared(count);
    let result = chosen.origin(|origin| verify(&args.target, origin, &question, &watch));
    shown.finish();
    let result = result.with_context(|| format!("comparing {}", args.target.display()))?;
    if let (Some(path), Ok(proven)) = (&args.receipt, &result) {
        keep(path, &make(&args.target, proven, &Losses::default()))?;
    }
    let none = Vec::new();
    let differences: &Vec<TreeDifference> = result.as_ref().err().unwrap_or(&none);
    let value = serde_json::json!({
        "image": chosen.record.image,
        "target": args.target,
        "equal": differences.is_empty(),
        "volume": result.as_ref().ok().map(|proven| &proven.volume),
        "differences": differences,
    });
    output::show(json, &value, || match &result {
        Ok(proven) => format!(
            "{} holds image {}: {} entries and {} compared in {:.1} s",
            args.target.display(),
            chosen.record.image.short(),
            proven.volume.entries,
            bytes(proven.volume.bytes),
            shown.seconds(),
        ),
        Err(differences) => {
            let lines = differences.iter().map(|one| format!("{one}\n"));
            lines.collect()
        }
    })?;
    match differences.iter().map(TreeDifference::count).sum::<u64>() {
        0 => Ok(()),
        count => {
            let (target, image) = (args.target.display(), chosen.record.image.short());
            let noun = if count == 1 {
                "difference"
            } else {
                "differences"
            };
            Err(DoesNotHold(format!(
                "{target} differs from image {image}: {count} {noun}"
            ))
            .into())
        }
    }
}

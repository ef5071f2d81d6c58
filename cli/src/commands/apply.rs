//! `mimeo apply`: an image goes onto a disk or into a directory.

mod progress;
mod receipt;
pub(crate) mod volume;

use std::path::Path;

use anyhow::{Context, Result, bail};
use image_format::layout::Scheme;
use imager::tree::apply::{Blocks, Outcome, apply};
use imager::tree::plan::{Others, Plan, Wishes, plan};

use super::apply_disk;
use crate::apart;
use crate::args::ApplyArgs;
use crate::exit::wrong;
use crate::interrupt;
use crate::output::{self, bytes};
use progress::Shown;
pub(crate) use progress::Shown as ProgressShown;
pub(crate) use receipt::{keep, make};
use volume::Chosen;

/// Applies to whatever the target is.
pub(crate) fn run(args: &ApplyArgs, json: bool) -> Result<()> {
    let advice = "apply to another place";
    apart::outside(&args.target, &args.share, advice)?;
    if !args.dry_run {
        interrupt::end_with(
            "interrupted: what was begun on the target is not whole; begin again to go on",
        )?;
    }
    match is_directory(&args.target)? || (!args.target.exists() && args.size.is_none()) {
        true => into_directory(args, json),
        false => {
            for_directories_only(args)?;
            apply_disk::apply(args, json)
        }
    }
}

/// Options that speak of directories are not passed over in silence.
fn for_directories_only(args: &ApplyArgs) -> Result<()> {
    let given = [
        ("--clean", args.clean),
        ("--keep", args.keep),
        ("--allow-loss", args.allow_loss),
        ("--no-verify", args.no_verify),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((option, _)) => wrong(format!(
            "{option} is for directories; a disk is always read back, and all of it is the image's"
        )),
        None => Ok(()),
    }
}

/// Whether a target is a directory; an error for what can be neither that nor a disk.
pub(crate) fn is_directory(target: &Path) -> Result<bool> {
    use std::os::unix::fs::FileTypeExt;
    let Ok(found) = std::fs::metadata(target) else {
        return Ok(false);
    };
    let kind = found.file_type();
    match kind.is_dir() || kind.is_file() || kind.is_block_device() {
        true => Ok(kind.is_dir()),
        false => bail!(
            "{} is no directory, disk or disk image file",
            target.display()
        ),
    }
}

fn into_directory(args: &ApplyArgs, json: bool) -> Result<()> {
    for_disks_only(args)?;
    let planning = || format!("applying to {}", args.target.display());
    let chosen = Chosen::open(&args.share, &args.image, args.partition)?;
    refuse_new_directory_of_a_disk(args, &chosen)?;
    let others = match (args.clean, args.keep) {
        (true, _) => Others::Remove,
        (_, true) => Others::Keep,
        _ => Others::Refuse,
    };
    let wishes = Wishes {
        others,
        reuse: args.reuse,
        allow_loss: args.allow_loss,
    };
    let plan = chosen
        .origin(|origin| plan(origin, &args.target, &wishes))
        .with_context(planning)?;
    if plan.wishes.others == Others::Remove && apart::lies_in(&args.share, &args.target) {
        bail!(
            "the share {} lies in {}, and everything there would be removed: move one of them, \
             or give --keep",
            args.share.display(),
            args.target.display()
        );
    }
    if args.dry_run {
        return output::show(json, &plan_value(&plan), || plan_words(&plan));
    }
    let share = &chosen.share;
    let find = |id: &_| share.index().find(id);
    let base = |at: &_| share.chunk(at).ok();
    let blocks = Blocks {
        source: share.store(),
        find: &find,
        base: &base,
    };
    let shown = Shown::new(json);
    let done = chosen.origin(|origin| {
        let watch = |progress| shown.progress(progress);
        apply(&plan, origin, &blocks, !args.no_verify, &watch)
    });
    shown.finish();
    let outcome = done.with_context(planning)?;
    let receipt = outcome
        .proven
        .as_ref()
        .map(|proven| make(&args.target, proven, &outcome.losses));
    if let (Some(path), Some(receipt)) = (&args.receipt, &receipt) {
        keep(path, receipt)?;
    }
    let value = serde_json::json!({
        "image": plan.image,
        "target": args.target,
        "resumed": plan.resume,
        "entries": plan.extent.entries,
        "bytes": plan.extent.bytes,
        "written": outcome.written,
        "kept": outcome.kept,
        "removed": outcome.removed,
        "seconds": outcome.applied.as_secs_f64(),
        "left_out": receipt::left_out(&outcome.losses),
        "receipt": receipt,
    });
    output::show(json, &value, || words(&plan, &outcome, &shown))
}

/// A disk's image for a target that is not there yet: a directory of one of its
/// volumes or a file of all of it, and nobody said which.
fn refuse_new_directory_of_a_disk(args: &ApplyArgs, chosen: &Chosen) -> Result<()> {
    if args.partition.is_some() || args.target.exists() {
        return Ok(());
    }
    let scheme = chosen.share.root(&chosen.record.image)?.disk.scheme;
    match scheme {
        Scheme::Tree | Scheme::None => Ok(()),
        Scheme::Gpt { .. } | Scheme::Mbr { .. } => bail!(
            "{} is the image of a disk and {} does not exist: --size SIZE makes a disk image \
             file, --partition N a directory of one volume",
            args.image,
            args.target.display()
        ),
    }
}

/// Options that speak of disks are not passed over in silence.
fn for_disks_only(args: &ApplyArgs) -> Result<()> {
    let given = [
        ("--yes-destroy", args.yes_destroy.is_some()),
        ("--size", args.size.is_some()),
        ("--sector-size", args.sector_size.is_some()),
        ("--grow", args.grow.is_some()),
        ("--format", args.format.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((option, _)) => wrong(format!(
            "{option} is for disks; {} is a directory",
            args.target.display()
        )),
        None => Ok(()),
    }
}

fn plan_value(plan: &Plan) -> serde_json::Value {
    serde_json::json!({
        "image": plan.image,
        "partition": plan.partition,
        "target": plan.target,
        "make": plan.make,
        "resume": plan.resume,
        "others": format!("{:?}", plan.wishes.others).to_lowercase(),
        "reuse": plan.wishes.reuse,
        "entries": plan.extent.entries,
        "files": plan.extent.files,
        "folders": plan.extent.folders,
        "bytes": plan.extent.bytes,
        "data": plan.extent.data,
        "needed": plan.room.needed,
        "available": plan.room.available,
        "found": plan.found,
        "found_first": plan.found_first,
        "left_out": receipt::left_out(&plan.losses),
    })
}

fn plan_words(plan: &Plan) -> String {
    let extent = &plan.extent;
    let others = match plan.wishes.others {
        Others::Refuse => "nothing else is there",
        Others::Remove => "everything else in it is removed",
        Others::Keep => "everything else in it stays",
    };
    let mut text = format!(
        "image    {}\ntarget   {}{}: {others}\nentries  {} ({} files, {} folders)\ncontents {}, {} to write\nroom     {} needed, {} there\n",
        plan.image,
        plan.target.display(),
        if plan.make { ", to be made" } else { "" },
        extent.entries,
        extent.files,
        extent.folders,
        bytes(extent.bytes),
        bytes(extent.data),
        bytes(plan.room.needed),
        bytes(plan.room.available),
    );
    if plan.wishes.others == Others::Remove && plan.found > 0 {
        text += &removed_words(plan);
    }
    if plan.resume {
        text += "an interrupted apply of this image goes on; what is right there is kept\n";
    } else if plan.wishes.reuse {
        text += "what lies there and is right is kept\n";
    }
    if !plan.losses.by_kind.is_empty() {
        text += &format!("left out {}\n", plan.losses);
    }
    text
}

/// What is removed, by name as far as that is short. With reuse only the apply
/// finds out which of it is of the image.
fn removed_words(plan: &Plan) -> String {
    let mut names = plan.found_first.join(", ");
    let more = plan.found.saturating_sub(plan.found_first.len() as u64);
    if more > 0 {
        names += &format!(" and {more} more");
    }
    match plan.wishes.reuse {
        true => format!(
            "removes  what is not of the image, in and among {} things there: {names}\n",
            plan.found
        ),
        false => format!("removes  {} things with all in them: {names}\n", plan.found),
    }
}

fn words(plan: &Plan, outcome: &Outcome, shown: &Shown) -> String {
    let mut text = format!(
        "{} holds image {}: {} entries, {} of contents, {} written, in {:.1} s\n",
        plan.target.display(),
        plan.image.short(),
        plan.extent.entries,
        bytes(plan.extent.bytes),
        bytes(outcome.written),
        outcome.applied.as_secs_f64(),
    );
    if plan.wishes.reuse {
        text += &format!("{} files were right already\n", outcome.kept);
    }
    if outcome.removed > 0 {
        text += &format!("{} other things were removed\n", outcome.removed);
    }
    if !outcome.losses.by_kind.is_empty() {
        text += &format!("left out: {}\n", outcome.losses);
    }
    text += &match &outcome.proven {
        Some(proven) => format!(
            "read back and equal in {:.1} s in all; root {}\n",
            shown.seconds(),
            blake3::Hash::from_bytes(proven.volume.root).to_hex()
        ),
        None => "not read back: nothing is proven\n".to_owned(),
    };
    text
}

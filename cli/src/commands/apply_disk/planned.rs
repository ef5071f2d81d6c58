//! What an apply will do, made from what was looked at, shown, and made again
//! to see that nothing changed.

use std::path::Path;

use anyhow::{Context, Result, bail};
use image_format::entry::Timestamp;
use image_format::layout::Scheme;
use imager::disk::{Disk, TargetDisk, TargetKind};
use imager::plan::{Plan, Wishes, plan};

use super::image::Image;
use super::looked::{Looked, facts, surveyed};
use crate::args::ApplyArgs;
use crate::output::{self, bytes};

/// A whole disk's image does not go into a partition, nor a directory's onto a
/// disk before somebody said as what.
pub(super) fn check_kind(args: &ApplyArgs, image: &Image, looked: &Looked) -> Result<()> {
    match (image.of_tree, args.format) {
        (true, None) => bail!(
            "{} is the image of a directory: apply it to a directory, \
             or make a volume of it with --format ext4",
            args.image
        ),
        (false, Some(_)) => bail!(
            "{} has its volumes: --format is for directories",
            args.image
        ),
        _ => {}
    }
    let has_table = image.manifest.disk.scheme != Scheme::None;
    match &looked.found {
        Some(found) if found.kind == TargetKind::Partition && has_table => bail!(
            "{} is a partition and {} is the image of a whole disk; \
             name one of its partitions with --partition",
            args.target.display(),
            args.image
        ),
        _ => Ok(()),
    }
}

/// The plan, or every reason against it.
pub(super) fn planned(args: &ApplyArgs, image: &Image, looked: &Looked) -> Result<Plan> {
    let wishes = Wishes {
        overlay: Vec::new(),
        overlay_time: Timestamp::default(),
        grow: args.grow,
        // The question is asked with the plan in sight.
        refuse_if_holds_system: false,
        confirmed: true,
    };
    let made = plan(image.record.image, &image.manifest, &looked.facts, &wishes);
    made.map_err(|refusals| {
        let reasons: Vec<String> = refusals.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the image does not go there: {}", reasons.join("; "))
    })
}

/// Refuses a new disk image file that does not fit where it shall lie.
pub(super) fn check_room(args: &ApplyArgs, plan: &Plan, looked: &Looked) -> Result<()> {
    if looked.found.is_some() {
        return Ok(());
    }
    let folder = match args.target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let needed = plan.bytes_to_write();
    let found = rustix::fs::statvfs(folder);
    let found = found.with_context(|| format!("looking at {}", folder.display()))?;
    let room = found.f_bavail.saturating_mul(found.f_frsize);
    if room < needed {
        bail!(
            "{} takes {}, and where it shall lie {} are free; make room there",
            args.target.display(),
            bytes(needed),
            bytes(room)
        );
    }
    Ok(())
}

/// Tells what will be done and what is lost.
pub(super) fn show_plan(
    args: &ApplyArgs,
    plan: &Plan,
    looked: &Looked,
    identity: &str,
    json: bool,
) -> Result<()> {
    let lost = looked.lost(plan);
    let words = looked.found.as_ref().map(|found| found.words.clone());
    let words = words.unwrap_or_else(|| format!("new file {}", args.target.display()));
    if json && !args.dry_run {
        return Ok(());
    }
    let value = serde_json::json!({
        "image": plan.image,
        "target": words,
        "id": identity,
        "destroys": lost,
        "disk": plan.layout,
        "fetch": plan.bytes_to_fetch(),
        "notes": plan.notes,
    });
    output::show(json, &value, || {
        let mut text = format!("target {words}\nid     {identity}\n{plan}");
        for warning in &looked.survey.warnings {
            text += &format!("  found: {warning}\n");
        }
        if let Some(why) = &looked.unreadable {
            text += &format!("  destroyed too: what cannot be understood ({why})\n");
        }
        text
    })
}

/// Now that nobody else can write it: still the same target, holding what was
/// agreed to lose, and the same plan.
pub(super) fn unchanged(
    args: &ApplyArgs,
    image: &Image,
    before: &Looked,
    disk: &dyn Disk,
    plan: &Plan,
) -> Result<()> {
    let Some(found) = &before.found else {
        return Ok(());
    };
    let again = TargetDisk::find(&args.target)?;
    let same = again.as_ref().map(|again| (&again.identity, again.kind));
    let (survey, unreadable) = surveyed(disk);
    let mut facts = facts(found, disk, &survey);
    facts.name.clone_from(&before.facts.name);
    let now = Looked {
        found: None,
        survey,
        unreadable,
        facts,
    };
    let plan_now = planned(args, image, &now)?;
    let holds = (now.lost(&plan_now), plan_now.id) == (before.lost(plan), plan.id);
    if same != Some((&found.identity, found.kind)) || !holds {
        bail!(
            "{} changed while the plan was shown; begin again",
            args.target.display()
        );
    }
    Ok(())
}

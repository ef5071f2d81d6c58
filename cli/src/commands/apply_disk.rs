//! `mimeo apply` onto disks, partitions and image files: planned, agreed to,
//! carried out, read back. `mimeo verify` of the same.

mod agree;
mod progress;
mod receipt;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use image_format::entry::Timestamp;
use image_format::layout::Scheme;
use image_format::proof::Proof;
use image_format::{ImageRecord, Manifest, Share, Store, with_bases};
use imager::apply::{ApplyOptions, apply_with, was_interrupted};
use imager::disk::{BlockDevice, Disk, FileDisk, MemoryDisk, TargetDisk, TargetKind};
use imager::plan::{Plan, Target, Wishes, plan, single, tree_as_ext4};
use imager::survey::{Survey, glance};
use imager::verify::{Difference, bytes_to_verify, verify_image};

use crate::args::{ApplyArgs, VerifyArgs};
use crate::exit::DoesNotHold;
use crate::location;
use crate::output::{self, bytes};

/// What an apply that was interrupted is called on the disk.
const RUN: &str = "mimeo apply";
/// Sectors of an image file when nobody says otherwise.
const SECTOR: u32 = 512;

/// An image as it shall go onto the target.
struct Image {
    share: Share<Box<dyn Store>>,
    record: ImageRecord,
    manifest: Manifest,
    /// It is of a directory, and its volume is to be made.
    of_tree: bool,
}

impl Image {
    fn load(share: &Path, name: &str, partition: Option<u32>) -> Result<Self> {
        let share = location::open(share)?;
        let record = share.find(name)?;
        let manifest = share.manifest(&record.image)?;
        let of_tree = manifest.disk.scheme == Scheme::Tree;
        let manifest = match of_tree {
            true => tree_as_ext4(&record.image, &manifest),
            false => manifest,
        };
        let manifest = match partition {
            Some(number) => single(&manifest, number)?,
            None => manifest,
        };
        Ok(Self {
            share,
            record,
            manifest,
            of_tree,
        })
    }
}

/// A target that was looked at: what it is, what it holds.
struct Looked {
    /// `None`: a file that is not there yet.
    found: Option<TargetDisk>,
    survey: Survey,
    /// Why what it holds could not be understood; it is lost all the same.
    unreadable: Option<String>,
    facts: Target,
}

impl Looked {
    /// What would be lost, in words.
    fn lost(&self, plan: &Plan) -> Vec<String> {
        let mut lost = plan.destroys.clone();
        lost.extend(self.unreadable.clone());
        if lost.is_empty() && self.survey.layout.is_some() {
            lost.push(String::from("contents nobody understands"));
        }
        lost
    }
}

/// Puts an image onto a disk, a partition or into a file.
pub(crate) fn apply(args: &ApplyArgs, json: bool) -> Result<()> {
    let image = Image::load(&args.share, &args.image, args.partition)?;
    let looked = look(args)?;
    check_kind(args, &image, &looked)?;
    let plan = planned(args, &image, &looked)?;
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

fn look(args: &ApplyArgs) -> Result<Looked> {
    let looking = || format!("looking at {}", args.target.display());
    let found = TargetDisk::find(&args.target).with_context(looking)?;
    let sector_size = args.sector_size.unwrap_or(SECTOR);
    let Some(there) = found else {
        let Some(size) = args.size else {
            bail!(
                "{} does not exist; --size makes a disk image file",
                args.target.display()
            );
        };
        let facts = Target {
            name: args.target.display().to_string(),
            ..Target::blank(&MemoryDisk::new(size, sector_size))
        };
        let (survey, unreadable) = (blank(), None);
        return Ok(Looked {
            found: None,
            survey,
            unreadable,
            facts,
        });
    };
    if args.sector_size.is_some() && there.kind != TargetKind::File {
        bail!("--sector-size is for image files: a device has its own");
    }
    let disk = there.open(sector_size).with_context(looking)?;
    let is_as_asked = there.kind == TargetKind::File && args.size == Some(disk.size());
    if args.size.is_some() && !is_as_asked {
        bail!("{} exists; --size is for a new file", args.target.display());
    }
    let (survey, unreadable) = surveyed(disk.as_ref());
    let facts = facts(&there, disk.as_ref(), &survey);
    Ok(Looked {
        found: Some(there),
        survey,
        unreadable,
        facts,
    })
}

fn blank() -> Survey {
    Survey {
        layout: None,
        warnings: Vec::new(),
        systems: Vec::new(),
        refused: Vec::new(),
    }
}

fn surveyed(disk: &dyn Disk) -> (Survey, Option<String>) {
    match glance(disk) {
        Ok(survey) => (survey, None),
        Err(error) => (blank(), Some(format!("{:#}", anyhow::Error::from(error)))),
    }
}

fn facts(found: &TargetDisk, disk: &dyn Disk, survey: &Survey) -> Target {
    Target {
        boot_medium: found.boot_medium,
        busy: found.users.clone(),
        read_only: found.read_only,
        ..Target::of(disk, survey)
    }
}

/// A whole disk's image does not go into a partition, nor a directory's onto a
/// disk before somebody said as what.
fn check_kind(args: &ApplyArgs, image: &Image, looked: &Looked) -> Result<()> {
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

fn planned(args: &ApplyArgs, image: &Image, looked: &Looked) -> Result<Plan> {
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

/// What stays with the target: a new file has only its path.
fn identity(args: &ApplyArgs, found: Option<&TargetDisk>) -> String {
    let absolute = || std::path::absolute(&args.target).unwrap_or_else(|_| args.target.clone());
    found.map_or_else(
        || absolute().display().to_string(),
        |found| found.identity.clone(),
    )
}

fn show_plan(
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

fn open(args: &ApplyArgs, found: Option<&TargetDisk>) -> Result<Box<dyn Disk>> {
    let opening = || format!("opening {}", args.target.display());
    let sector_size = args.sector_size.unwrap_or(SECTOR);
    match (found, args.size) {
        (Some(found), _) => found.open_writable(sector_size).with_context(opening),
        (None, Some(size)) => {
            let disk = FileDisk::create(&args.target, size, sector_size);
            Ok(Box::new(disk.with_context(opening)?))
        }
        (None, None) => bail!("{} does not exist", args.target.display()),
    }
}

/// Now that nobody else can write it: still the same target, holding what was
/// agreed to lose, and the same plan.
fn unchanged(
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

//! The image onto the disk: plan, agreement, apply, receipt.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use api::client::HttpSource;
use api::messages::run::Work;
use image_format::entry::Timestamp;
use image_format::image::{ImageRecord, Manifest};
use image_format::{BlockJob, ImageId};
use imager::apply::{ApplyEvent, Phase, apply as carry_out};
use imager::plan::{Plan, Target, Wishes, plan as make_plan};

use super::disk::Chosen;
use super::scene::Scene;
use super::teller::Teller;
use super::{bootable, disk, identity, report};
use crate::hardware::facts;
use crate::job::Job;
use crate::run_file::RunFile;
use crate::wizard;

/// What is applied.
struct Ordered<'j> {
    image: &'j ImageId,
    record: &'j ImageRecord,
    /// Whether another system on the disk may be overwritten unasked.
    replace: bool,
}

impl<'j> Ordered<'j> {
    fn of(job: &'j Job) -> Result<Self> {
        match &job.assignment.work {
            Work::Apply {
                image,
                record,
                replace,
            } => Ok(Self {
                image,
                record,
                replace: *replace,
            }),
            Work::Capture { .. } => bail!("this run captures the disk: nothing is written to it"),
        }
    }
}

/// Applies the assigned image and hands in the receipt.
pub(super) fn apply(scene: &mut Scene<'_>) -> Result<()> {
    let job = scene.job;
    let ordered = Ordered::of(job)?;
    let (image, name) = (ordered.image, &ordered.record.name);
    job.screen.say(format!(
        "Image {name} ({}) for {}",
        image.short(),
        job.assignment.name
    ));
    let manifest = job.patience.call(|| job.client.manifest(image))?;
    bootable::check(&manifest, job.facts.firmware)?;
    let jobs = job.patience.call(|| job.client.segment(image))?.jobs();
    let source = HttpSource::new(job.client.clone(), job.patience.clone());
    let hosts = identity::hosts_of(&manifest, &jobs, &source)?;
    let chosen = disk::choose(job, &manifest)?;
    let plan = plan(job, &ordered, &chosen, &manifest, &hosts)?;
    agree(scene, &ordered, &chosen, &plan)?;
    let proof = write(scene, &plan, &chosen, &jobs, &source)?;
    report::receipt(scene, &chosen, proof)
}

/// Every decision, made before anything is written, or every reason why not.
fn plan(
    job: &Job,
    ordered: &Ordered<'_>,
    chosen: &Chosen,
    manifest: &Manifest,
    hosts: &str,
) -> Result<Plan> {
    let run = RunFile {
        server: job.client.server().to_owned(),
        key: job.client.key(),
        token: job.token.clone(),
        run: job.assignment.run.clone(),
        name: job.assignment.name.clone(),
    };
    let seconds = i64::try_from(ordered.record.captured).unwrap_or_default();
    let wishes = Wishes {
        overlay: identity::overlay(&run, hosts)?,
        // Not the clock's: the same plan made again must be the same.
        overlay_time: Timestamp {
            seconds,
            nanoseconds: 0,
        },
        grow: None,
        // The question is asked below, with what the disk holds in sight.
        refuse_if_holds_system: false,
        confirmed: true,
    };
    let target = Target::of(&chosen.device, &chosen.survey);
    match make_plan(*ordered.image, manifest, &target, &wishes) {
        Ok(plan) => {
            job.screen.gap();
            job.screen.say(plan.to_string());
            Ok(plan)
        }
        Err(refusals) => {
            let reasons: Vec<String> = refusals.iter().map(ToString::to_string).collect();
            bail!(
                "the image does not go onto this disk: {}",
                reasons.join("; ")
            )
        }
    }
}

/// A disk that holds something is overwritten only when the server or somebody
/// here said so; without an answer it waits for ever.
fn agree(scene: &mut Scene<'_>, ordered: &Ordered<'_>, chosen: &Chosen, plan: &Plan) -> Result<()> {
    let job = scene.job;
    let lost: Vec<String> = plan
        .destroys
        .iter()
        .cloned()
        .chain(chosen.unreadable.clone())
        .collect();
    if !lost.is_empty() && !ordered.replace && !chosen.half_written {
        let disk = chosen.words();
        scene.report(format!(
            "{disk} is not empty: waiting for a word at the machine"
        ))?;
        wizard::confirm_erase(&job.screen, &disk, &lost)?;
        return scene.report(format!("agreed at the machine: {disk} is overwritten"));
    }
    if job.chosen_here && !chosen.half_written {
        return wizard::confirm_plan(&job.screen);
    }
    Ok(())
}

fn write(
    scene: &mut Scene<'_>,
    plan: &Plan,
    chosen: &Chosen,
    jobs: &[BlockJob],
    source: &HttpSource,
) -> Result<image_format::proof::Proof> {
    let run = scene.job.assignment.run.clone();
    let started = Instant::now();
    let mut teller = Teller::default();
    let mut watch = |event: ApplyEvent| tell(&mut teller, scene, event);
    let proof = carry_out(plan, &chosen.device, jobs, source, &run, &mut watch)
        .with_context(|| format!("{} was not written", chosen.words()))?;
    // Nothing here uses the kernel's view of the partitions.
    let _ = chosen.device.reread_table();
    let seconds = started.elapsed().as_secs();
    let memory = facts::peak_memory() >> 20;
    scene.note(format!(
        "written and read back in {seconds} s, agent's peak memory {memory} MiB"
    ))?;
    Ok(proof)
}

/// Turns the events of an apply into lines and events of the run.
fn tell(teller: &mut Teller, scene: &mut Scene<'_>, event: ApplyEvent) {
    match event {
        ApplyEvent::Started { phase, total } => {
            teller.begin();
            teller.tell(scene, words(phase), 0, total);
        }
        ApplyEvent::Progress { phase, done, total } => {
            teller.tell(scene, words(phase), done, total);
        }
        ApplyEvent::Resumed { .. } => scene.remark("an interrupted apply is taken up again"),
        ApplyEvent::Kept { bytes } => {
            scene.remark(&format!("{} MiB lie at their place already", bytes >> 20));
        }
        ApplyEvent::Refetched { place } => {
            scene.remark(&format!("{place} came damaged and is fetched again"));
        }
    }
}

fn words(phase: Phase) -> &'static str {
    match phase {
        Phase::Destroy => "destroy",
        Phase::Metadata => "metadata",
        Phase::Reuse => "reuse",
        Phase::Blocks => "blocks",
        Phase::Verify => "verify",
        Phase::Seal => "seal",
    }
}

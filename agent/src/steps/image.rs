//! The image onto the disk: plan, agreement, apply, receipt.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use api::client::HttpSource;
use image_format::BlockJob;
use image_format::entry::Timestamp;
use image_format::image::Manifest;
use imager::apply::{ApplyEvent, Phase, apply as carry_out};
use imager::plan::{Plan, Target, Wishes, plan as make_plan};
use task_sequences::EventKind;

use super::disk::Chosen;
use super::scene::Scene;
use super::{bootable, disk, identity, report};
use crate::hardware::facts;
use crate::run_file::RunFile;
use crate::wizard;

/// Shortest time between two lines or events of progress.
const BETWEEN_PROGRESS: Duration = Duration::from_secs(5);

/// Applies the assigned image and hands in the receipt.
pub(super) fn apply(scene: &mut Scene<'_>) -> Result<()> {
    let job = scene.job;
    let image = &job.assignment.image;
    let name = &job.assignment.record.name;
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
    let plan = plan(scene, &chosen, &manifest, &hosts)?;
    agree(scene, &chosen, &plan)?;
    let proof = write(scene, &plan, &chosen, &jobs, &source)?;
    report::receipt(scene, &chosen, proof)
}

/// Every decision, made before anything is written, or every reason why not.
fn plan(scene: &mut Scene<'_>, chosen: &Chosen, manifest: &Manifest, hosts: &str) -> Result<Plan> {
    let job = scene.job;
    let run = RunFile {
        server: job.client.server().to_owned(),
        key: job.client.key(),
        token: job.token.clone(),
        run: job.assignment.run.clone(),
        name: job.assignment.name.clone(),
    };
    let seconds = i64::try_from(job.assignment.record.captured).unwrap_or_default();
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
    match make_plan(job.assignment.image, manifest, &target, &wishes) {
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
fn agree(scene: &mut Scene<'_>, chosen: &Chosen, plan: &Plan) -> Result<()> {
    let job = scene.job;
    let lost: Vec<String> = plan
        .destroys
        .iter()
        .cloned()
        .chain(chosen.unreadable.clone())
        .collect();
    if !lost.is_empty() && !job.assignment.replace && !chosen.half_written {
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
    let mut watch = |event: ApplyEvent| teller.tell(scene, event);
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

/// Turns the events of an apply into lines and events of the run, not too many.
#[derive(Default)]
struct Teller {
    last: Option<Instant>,
}

impl Teller {
    fn tell(&mut self, scene: &mut Scene<'_>, event: ApplyEvent) {
        let (phase, done, total) = match event {
            ApplyEvent::Started { phase, total } => {
                self.last = None;
                (phase, 0, total)
            }
            ApplyEvent::Progress { phase, done, total } => (phase, done, total),
            ApplyEvent::Resumed { .. } => {
                return remark(scene, "an interrupted apply is taken up again");
            }
            ApplyEvent::Kept { bytes } => {
                let text = format!("{} MiB lie at their place already", bytes >> 20);
                return remark(scene, &text);
            }
            ApplyEvent::Refetched { place } => {
                return remark(scene, &format!("{place} came damaged and is fetched again"));
            }
        };
        let is_early = self
            .last
            .is_some_and(|last| last.elapsed() < BETWEEN_PROGRESS);
        if is_early && (done < total || total == 0) {
            return;
        }
        self.last = Some(Instant::now());
        let stage = words(phase);
        let screen = &scene.job.screen;
        match percent(done, total) {
            Some(percent) => {
                screen.say(format!("{stage:<9} {percent:>3} %  of {} MiB", total >> 20))
            }
            None => screen.say(stage),
        }
        let step = scene.step.to_owned();
        scene.journal.mention(EventKind::Progress {
            step,
            stage: stage.to_owned(),
            done,
            total,
        });
    }
}

/// Something seldom: to the screen, and to the server when there is time.
fn remark(scene: &mut Scene<'_>, text: &str) {
    scene.job.screen.say(text);
    let step = scene.step.to_owned();
    scene.journal.mention(EventKind::Note {
        step,
        text: text.to_owned(),
    });
}

/// Whole percents; `None` when nobody can tell.
fn percent(done: u64, total: u64) -> Option<u64> {
    done.min(total).saturating_mul(100).checked_div(total)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_need_a_total_and_never_exceed_it() {
        assert_eq!(percent(1, 0), None);
        assert_eq!(percent(50, 200), Some(25));
        assert_eq!(percent(300, 200), Some(100));
    }
}

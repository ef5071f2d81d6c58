//! `mimeo run`: which deployments there are and what happened in them.

use anyhow::Result;
use api::messages::operator::{ArrivedEvent, RunDetail, RunSummary};
use task_sequences::EventKind;

use super::connect;
use crate::args::RunCommand;
use crate::output;

/// Runs `mimeo run ...`.
pub(crate) fn run(command: RunCommand, json: bool) -> Result<()> {
    match command {
        RunCommand::List { server } => {
            let list = connect(&server)?.runs()?;
            output::show(json, &list, || {
                let rows: Vec<_> = list.runs.iter().map(row).collect();
                output::table(
                    &["run", "machine", "image", "state", "started", "receipt"],
                    &rows,
                )
            })
        }
        RunCommand::Show { run, server } => {
            let detail = connect(&server)?.run(&run)?;
            output::show(json, &detail, || story(&detail))
        }
        RunCommand::Receipt { run, server } => {
            let receipt = connect(&server)?.run_receipt(&run)?;
            output::line(&serde_json::to_string_pretty(&receipt)?)
        }
    }
}

fn row(run: &RunSummary) -> Vec<String> {
    vec![
        run.run.clone(),
        run.name.clone(),
        image(run),
        run.state.clone(),
        output::moment(run.started),
        receipt(run).to_owned(),
    ]
}

/// What it is about: the image it applies or captures.
fn image(run: &RunSummary) -> String {
    match run.captures {
        true => format!("captures {}", run.image),
        false => run.image.clone(),
    }
}

/// A capture has no receipt: its proof is the image.
fn receipt(run: &RunSummary) -> &'static str {
    match (run.captures, run.receipt) {
        (true, _) => "-",
        (false, true) => "yes",
        (false, false) => "no",
    }
}

/// A run as a story, one line an event.
fn story(detail: &RunDetail) -> String {
    let run = &detail.summary;
    let mut text = format!(
        "run {} of {}: {}, {}\n",
        run.run,
        run.name,
        image(run),
        run.state
    );
    let begun = detail
        .events
        .first()
        .map_or(run.started, |first| first.arrived);
    for arrived in &detail.events {
        text += &format!(
            "{:>6} s  {}\n",
            arrived.arrived.saturating_sub(begun),
            words(arrived)
        );
    }
    text
}

fn words(arrived: &ArrivedEvent) -> String {
    match &arrived.event.kind {
        EventKind::Attached { place } => format!("agent on the line: {place}"),
        EventKind::StepStarted { step } => format!("{step}: begins"),
        EventKind::Progress {
            step,
            stage,
            done,
            total,
        } => {
            format!(
                "{step}: {stage} {} of {}",
                output::bytes(*done),
                output::bytes(*total)
            )
        }
        EventKind::Note { step, text } => format!("{step}: {text}"),
        EventKind::StepFinished { step } => format!("{step}: done"),
        EventKind::StepFailed { step, reason } => format!("{step}: FAILED: {reason}"),
        EventKind::ImageCaptured {
            image,
            name,
            sequence,
        } => {
            let short: String = image.chars().take(12).collect();
            format!("captured: {name} version {sequence} is image {short}")
        }
        EventKind::ReceiptStored => "receipt confirmed and stored".to_owned(),
        EventKind::SystemReported {
            system,
            hostname,
            disk,
        } => {
            format!("{hostname} runs {} from {disk}", system.name)
        }
        EventKind::Stopped { reason } => format!("stopped: {reason}"),
    }
}

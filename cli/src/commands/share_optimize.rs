//! `mimeo share optimize`: the same images in fewer bytes.

use std::ops::ControlFlow;

use anyhow::{Context, Result};
use image_format::upkeep::optimize::{OptimizeOptions, OptimizeProgress, OptimizeReport, optimize};

use crate::args::OptimizeArgs;
use crate::location;
use crate::output::{self, ProgressLine, bytes};

/// Recompresses a share. It may be stopped at any time and begun again.
pub(crate) fn run(args: &OptimizeArgs, json: bool) -> Result<()> {
    let store = location::folder(&args.dir)?;
    let options = OptimizeOptions {
        profile: args.profile.into(),
        threads: args.threads,
        ..OptimizeOptions::default()
    };
    let mut line = ProgressLine::new(json);
    let tell = &mut |at: &OptimizeProgress| {
        line.update(|| {
            format!(
                "{} of {} chunks, {} became {}",
                at.done,
                at.chunks,
                bytes(at.read),
                bytes(at.stored)
            )
        });
        ControlFlow::Continue(())
    };
    let report = optimize(&store, options, tell);
    line.finish();
    let report = report.with_context(|| format!("optimizing {}", args.dir.display()))?;
    let at = report.progress;
    let value = serde_json::json!({
        "finished": report.finished,
        "chunks": at.chunks,
        "done": at.done,
        "read": at.read,
        "stored": at.stored,
        "based": at.based,
        "packs": at.packs,
    });
    output::show(json, &value, || words(&report))
}

fn words(report: &OptimizeReport) -> String {
    let at = report.progress;
    if at.chunks == 0 {
        return "nothing can be made smaller".to_owned();
    }
    format!(
        "{} of {} chunks written again: {} in {}, {} of them as differences to other versions; \
         `mimeo share gc` removes what they replace",
        at.done,
        at.chunks,
        bytes(at.read),
        bytes(at.stored),
        at.based
    )
}

//! `cargo xtask soak`: what takes hours. Every decoder on ever new inputs, and
//! machines that lose power at moments spread over all they do.

mod cuts;
mod fuzzing;
mod options;

use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use crate::base;
use crate::programs::Programs;
use crate::table::table;
pub use options::Options;

/// Runs what was asked for, and answers the report, in Markdown, with whether
/// all went well.
///
/// # Errors
/// The lab itself failed; what the tested programs do wrong is in the report.
pub fn run(
    options: &Options,
    programs: &Programs,
    folder: &Path,
    say: &mut dyn FnMut(&str),
) -> Result<(String, bool)> {
    let begun = Instant::now();
    let targets = fuzzing::run(options.fuzzing, options.seed, say);
    let mut text = String::from("## Decoders\n\n");
    let inputs: u64 = targets.iter().map(|target| target.inputs).sum();
    text += &format!(
        "{} targets, {inputs} inputs made from their corpora, first seed {}.\n\n",
        targets.len(),
        options.seed
    );
    for wrong in targets.iter().filter_map(|target| target.wrong.as_ref()) {
        text += &format!("    {}\n\n", wrong.replace('\n', "\n    "));
    }
    let mut well = targets.iter().all(|target| target.wrong.is_none());
    if options.cuts > 0 {
        let base = base::prepare(programs, &folder.join("base"), say)?;
        let cuts = cuts::run(&base, &folder.join("rooms"), options.cuts, say)?;
        well &= cuts.iter().all(|cut| cut.wrong.is_none());
        text += "## Power cuts\n\n";
        text += &fenced(&cuts);
    }
    text += &format!("\nTook {} minutes.\n", begun.elapsed().as_secs() / 60);
    Ok((text, well))
}

fn fenced(cuts: &[cuts::Cut]) -> String {
    let heading = ["work", "firmware", "cut after", "while it showed", "then"];
    let row = |cut: &cuts::Cut| {
        vec![
            cut.work.to_owned(),
            cut.firmware.to_owned(),
            format!("{} s", cut.after.as_secs()),
            cut.shown.chars().take(48).collect(),
            cut.wrong.clone().unwrap_or_else(|| "proven".to_owned()),
        ]
    };
    let rows: Vec<_> = cuts.iter().map(row).collect();
    format!("```text\n{}\n```\n", table(&heading, &rows))
}

//! `mimeo share check`: is every image whole?

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use image_format::file::is_single_file;
use image_format::upkeep::check::{CheckOptions, CheckReport, Finding, check_with};

use crate::args::CheckArgs;
use crate::exit::DoesNotHold;
use crate::location;
use crate::output::{self, bytes};

/// Checks a share or a single file.
pub(crate) fn run(args: &CheckArgs, json: bool) -> Result<()> {
    if is_single_file(&args.dir) {
        return super::transfer::check(args, json);
    }
    let dir = args.dir.display();
    let store = location::folder(&args.dir)?;
    let options = CheckOptions {
        read_data: args.read_data,
    };
    let report =
        check_with(&store, &options).with_context(|| format!("checking the share {dir}"))?;
    let value = serde_json::json!({
        "refs": report.refs,
        "images": report.images,
        "packs": report.packs,
        "blocks": report.blocks,
        "stored": report.stored,
        "read": report.read,
        "unreached_packs": report.unreached_packs,
        "findings": report.findings,
        "nameless": report.nameless,
    });
    output::show(json, &value, || {
        let text = format!(
            "{} images, {} packs with {} blocks, {}; {}\n",
            report.images,
            report.packs,
            report.blocks,
            bytes(report.stored),
            match args.read_data {
                true => format!("{} read and compared", bytes(report.read)),
                false => "blocks were not read, see --read-data".to_owned(),
            }
        );
        text + &findings(&report)
    })?;
    match report.findings.len() {
        0 => Ok(()),
        count => Err(DoesNotHold(format!("{count} findings in {dir}")).into()),
    }
}

/// What is wrong, what to do about it, and what could go unnoticed.
pub(super) fn findings(report: &CheckReport) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text += &format!("{finding}\n");
    }
    let steps: BTreeSet<&str> = report
        .findings
        .iter()
        .filter_map(Finding::next_step)
        .collect();
    for step in steps {
        text += &format!("{step}\n");
    }
    for image in &report.nameless {
        text += &format!(
            "note: no name leads to image {image}; it was deleted, or its ref was lost: \
             `mimeo image tag {} NAME` names it again\n",
            image.short()
        );
    }
    text
}

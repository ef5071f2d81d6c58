//! `mimeo share repair`: damaged data is taken out of use.

use anyhow::{Context, Result};
use image_format::upkeep::check::CheckReport;
use image_format::upkeep::repair::{RepairOptions, RepairReport, repair};

use super::share_check;
use crate::args::RepairArgs;
use crate::exit::DoesNotHold;
use crate::location;
use crate::output;

/// Repairs, and names the images that lack something until they are captured again.
pub(crate) fn run(args: &RepairArgs, json: bool) -> Result<()> {
    let dir = args.dir.display();
    let store = location::folder(&args.dir)?;
    let options = RepairOptions {
        dry_run: args.dry_run,
    };
    let (report, left) =
        repair(&store, &options).with_context(|| format!("repairing the share {dir}"))?;
    let value = serde_json::json!({
        "dry_run": args.dry_run,
        "report": report,
        "findings": left.findings,
        "nameless": left.nameless,
    });
    output::show(json, &value, || words(&report, &left, args.dry_run))?;
    match left.findings.len() {
        0 => Ok(()),
        count => Err(DoesNotHold(format!("{count} findings in {dir}")).into()),
    }
}

fn words(report: &RepairReport, left: &CheckReport, dry_run: bool) -> String {
    let mut text = String::new();
    if report.reindexed {
        let done = if dry_run { "would be" } else { "was" };
        text += &format!("the index {done} made again from the packs\n");
    }
    let packs = report.damaged.len();
    text += &match (packs, dry_run) {
        (0, _) => "no pack in use is damaged\n".to_owned(),
        (_, true) => format!("{packs} damaged packs would be taken out of use\n"),
        (_, false) => format!(
            "{packs} damaged packs are in the trash; {} blocks of them are kept in {} new packs, \
             {} are lost\n",
            report.kept, report.written, report.lost
        ),
    };
    for at in &report.refs {
        text += &match dry_run {
            true => format!("the damaged ref of {} would be set aside\n", at.typed()),
            false => format!(
                "the damaged ref of {} is set aside as {}; the version counts as deleted\n",
                at.typed(),
                at.file_aside(),
            ),
        };
    }
    text + &share_check::findings(left)
}

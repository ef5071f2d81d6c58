//! `mimeo share`: make a share, check a share.

use std::path::Path;

use anyhow::{Context, Result};
use image_format::DirStore;
use image_format::upkeep::check::check;

use crate::args::ShareCommand;
use crate::exit::DoesNotHold;
use crate::output;

/// Runs `mimeo share ...`.
pub(crate) fn run(command: ShareCommand, json: bool) -> Result<()> {
    match command {
        ShareCommand::Init { dir } => {
            DirStore::init(&dir).with_context(|| format!("making a share in {}", dir.display()))?;
            output::show(json, &serde_json::json!({ "share": dir }), || {
                format!("{} is an empty share (format version 0)", dir.display())
            })
        }
        ShareCommand::Check { dir } => check_share(&dir, json),
    }
}

fn check_share(dir: &Path, json: bool) -> Result<()> {
    let checking = || format!("checking the share {}", dir.display());
    let store = DirStore::open(dir).with_context(checking)?;
    let report = check(&store).with_context(checking)?;
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    let value = serde_json::json!({
        "images": report.images,
        "blocks": report.blocks,
        "stored": report.stored,
        "unreached_packs": report.unreached_packs,
        "findings": findings,
    });
    output::show(json, &value, || {
        let mut text = format!(
            "{} images, {} blocks, {} read and compared\n",
            report.images,
            report.blocks,
            output::bytes(report.stored)
        );
        for finding in &findings {
            text += &format!("{finding}\n");
        }
        text
    })?;
    match findings.len() {
        0 => Ok(()),
        count => Err(DoesNotHold(format!("{count} findings in {}", dir.display())).into()),
    }
}

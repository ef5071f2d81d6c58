//! `mimeo share check` of a single file.

use anyhow::{Context, Result};
use image_format::MimFile;
use image_format::file::{Damage, scan};
use image_format::upkeep::check::{CheckOptions, check_with};

use crate::args::CheckArgs;
use crate::exit::DoesNotHold;
use crate::output;

/// Reads every section; then, if the file can be opened, asks whether every
/// image in it is whole.
pub(crate) fn check(args: &CheckArgs, json: bool) -> Result<()> {
    let path = &args.dir;
    let checking = || format!("checking {}", path.display());
    let scanned = scan(path).with_context(checking)?;
    let mut findings: Vec<String> = scanned.damage.iter().map(words).collect();
    let mut images = 0;
    match MimFile::open(path) {
        Ok(opened) => {
            findings.extend(opened.warning());
            let options = CheckOptions {
                read_data: args.read_data,
            };
            let report = check_with(&opened, &options).with_context(checking)?;
            images = report.images;
            findings.extend(report.findings.iter().map(ToString::to_string));
        }
        Err(error) => findings.push(format!("{:#}", anyhow::Error::from(error))),
    }
    let value = serde_json::json!({
        "sections": scanned.whole,
        "generations": scanned.footers,
        "images": images,
        "findings": findings,
    });
    output::show(json, &value, || {
        let mut text = format!("{images} images, {} sections whole\n", scanned.whole);
        for finding in &findings {
            text += &format!("{finding}\n");
        }
        text
    })?;
    match findings.len() {
        0 => Ok(()),
        count => Err(DoesNotHold(format!("{count} findings in {}", path.display())).into()),
    }
}

fn words(damage: &Damage) -> String {
    format!(
        "{} bytes from byte {} on: {}",
        damage.length, damage.at, damage.what
    )
}

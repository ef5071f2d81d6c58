//! `mimeo image extract`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Result};
use imager::look::extract::extract;

use super::tree;
use crate::args::ExtractArgs;
use crate::output::{self, bytes};

/// Copies files and folders out of an image.
pub(super) fn run(args: &ExtractArgs, json: bool) -> Result<()> {
    let (share, _, tree) = tree(&args.image, args.partition)?;
    let raw = |path: &OsString| path.as_bytes().to_vec();
    let paths: Vec<Vec<u8>> = args.paths.iter().map(raw).collect();
    let done = extract(&share, &tree, &paths, &args.out, args.force)
        .with_context(|| format!("extracting to {}", args.out.display()))?;
    let lost: Vec<String> = done.shortfall.lines().collect();
    for line in &lost {
        eprintln!("warning: {line}");
    }
    let value = serde_json::json!({
        "out": args.out,
        "entries": done.entries,
        "bytes": done.bytes,
        "warnings": lost,
    });
    output::show(json, &value, || {
        format!(
            "{} entries with {} written to {}",
            done.entries,
            bytes(done.bytes),
            args.out.display()
        )
    })
}

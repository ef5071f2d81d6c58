//! A directory becomes an image.

use anyhow::{Context, Result};
use image_format::{Share, Store};
use imager::tree::capture::{Root, TreeOptions, TreeOutcome, capture, is_system_root};
use imager::tree::exclude::Excludes;
use serde_json::{Map, Value, json};

use super::progress::Progress;
use crate::args::{CaptureArgs, TreeArgs};
use crate::interrupt;
use crate::location;
use crate::output::{self, bytes};

/// Of each reason so many names are shown to people.
const SHOWN: usize = 10;
/// Programs get all names, as long as they fit into memory.
const LISTED: usize = 1_000_000;

pub(super) fn run(args: &CaptureArgs, store: &dyn Store, json: bool) -> Result<()> {
    let root = Root::open(&args.source)?;
    let share = Share::open_asking(store)?;
    location::warn_of_refs(share.unreadable(), &args.share);
    let tree = &args.tree;
    let parent = match &tree.parent {
        Some(asked) => Some(share.find(asked).context("looking for the parent")?),
        None => None,
    };
    let options = TreeOptions {
        name: args.name.clone(),
        captured: super::now(),
        parent,
        excludes: excludes(tree, &root)?,
        omit: vec![args.share.clone()],
        all_times: tree.all_times,
        paranoid: tree.paranoid,
        strict: tree.strict,
        skip_unreadable: tree.skip_unreadable,
        named: if json { LISTED } else { SHOWN },
        threads: args.threads,
        ingest: super::ingest(args),
    };
    let mut progress = Progress::new(json);
    let outcome = capture(&root, &share, &options, &mut |at| {
        progress.tree(&at);
        interrupt::go_on()
    });
    let seconds = progress.finish();
    let outcome = outcome?;
    for warning in &outcome.warnings {
        eprintln!("warning: {warning}");
    }
    if !json {
        name(&outcome);
    }
    output::show(json, &record(&outcome, seconds)?, || {
        words(&outcome, seconds)
    })
}

/// Defaults first: the last pattern that matches decides, so anybody's `!` counts.
fn excludes(tree: &TreeArgs, root: &Root) -> Result<Excludes> {
    let mut patterns: Vec<String> = Vec::new();
    if !tree.no_default_excludes {
        patterns.extend(Excludes::defaults(is_system_root(root)).map(str::to_owned));
    }
    for file in &tree.exclude_from {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("reading the patterns in {}", file.display()))?;
        patterns.extend(text.lines().map(str::to_owned));
    }
    patterns.extend(tree.exclude.iter().cloned());
    Ok(Excludes::new(patterns.iter().map(String::as_str))?)
}

/// What was left out or did not hold still, on standard error.
fn name(outcome: &TreeOutcome) {
    for (reason, noted) in &outcome.notes {
        let mark = if reason.is_warning() { "warning: " } else { "" };
        eprintln!("{mark}{} {}:", noted.count, reason.sentence());
        for path in &noted.paths {
            eprintln!("  {path}");
        }
        if noted.count > noted.paths.len() as u64 {
            eprintln!("  and {} more", noted.count - noted.paths.len() as u64);
        }
    }
}

/// The image's record with what people may want to know of this capture.
fn record(outcome: &TreeOutcome, seconds: f64) -> Result<Value> {
    let mut record = serde_json::to_value(&outcome.record)?;
    let progress = &outcome.progress;
    let notes: Map<String, Value> = outcome
        .notes
        .iter()
        .map(|(reason, noted)| {
            let noted = json!({ "count": noted.count, "paths": noted.paths });
            (reason.word().to_owned(), noted)
        })
        .collect();
    if let Value::Object(fields) = &mut record {
        let capture = json!({
            "seconds": seconds,
            "read": progress.read,
            "new": progress.new,
            "stored": progress.stored,
            "unchanged": progress.unchanged,
            "notes": notes,
        });
        fields.insert("capture".to_owned(), capture);
    }
    Ok(record)
}

fn words(outcome: &TreeOutcome, seconds: f64) -> String {
    let (record, progress) = (&outcome.record, &outcome.progress);
    format!(
        "{} version {} is image {}: {} entries ({} unchanged), {} of contents; {} read, {} new, {} stored, in {seconds:.1} s",
        record.name,
        record.sequence,
        record.image.short(),
        record.entries,
        progress.unchanged,
        bytes(record.logical_size),
        bytes(progress.read),
        bytes(progress.new),
        bytes(progress.stored),
    )
}

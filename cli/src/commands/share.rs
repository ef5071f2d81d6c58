//! `mimeo share`: make a share, keep it healthy and small.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use image_format::DirStore;
use image_format::upkeep::gc::{Amount, GcOptions, GcReport, gc};
use image_format::upkeep::reindex::reindex;
use image_format::upkeep::stats::{ImageStats, stats};

use super::{share_access, share_check, share_optimize, share_repair};
use crate::args::{GcArgs, ShareCommand};
use crate::exit::DoesNotHold;
use crate::location;
use crate::output::{self, bytes};

/// Runs `mimeo share ...`.
pub(crate) fn run(command: ShareCommand, json: bool) -> Result<()> {
    match command {
        ShareCommand::Init { dir } => {
            location::on_this_machine(&dir)?;
            DirStore::init(&dir).with_context(|| format!("making a share in {}", dir.display()))?;
            output::show(json, &serde_json::json!({ "share": dir }), || {
                format!("{} is an empty share (format version 1)", dir.display())
            })
        }
        ShareCommand::Check(args) => share_check::run(&args, json),
        ShareCommand::Repair(args) => share_repair::run(&args, json),
        ShareCommand::Gc(args) => collect(&args, json),
        ShareCommand::Optimize(args) => share_optimize::run(&args, json),
        ShareCommand::Login(args) => share_access::login(&args, json),
        ShareCommand::Token(command) => share_access::token(command, json),
        ShareCommand::Stats { dir } => show_stats(&dir, json),
        ShareCommand::Reindex { dir } => make_index(&dir, json),
    }
}

fn collect(args: &GcArgs, json: bool) -> Result<()> {
    let store = location::folder(&args.dir)?;
    let options = GcOptions {
        dry_run: args.dry_run,
        grace: Duration::from_secs(args.grace.saturating_mul(60 * 60)),
        ..GcOptions::default()
    };
    let report =
        gc(&store, &options).with_context(|| format!("collecting in {}", args.dir.display()))?;
    let value = serde_json::json!({
        "dry_run": args.dry_run,
        "report": report,
        "frees": report.freed(),
    });
    output::show(json, &value, || gc_words(&report, args))
}

fn gc_words(report: &GcReport, args: &GcArgs) -> String {
    let would = if args.dry_run { "would be " } else { "" };
    let mut text = format!(
        "{} images, {}\n",
        report.images,
        amount(&report.packs, "packs")
    );
    let mut line = |found: &Amount, what: &str| {
        if found.count > 0 {
            text += &format!("{}\n", amount(found, what));
        }
    };
    line(
        &report.restored,
        "files that images need move back from the trash",
    );
    line(
        &report.dead,
        &format!("packs no image needs {would}removed"),
    );
    line(
        &report.rewritten,
        &format!("packs of which little is needed {would}rewritten"),
    );
    line(&report.written, &format!("packs {would}written for them"));
    line(
        &report.manifests,
        &format!("manifests without a name {would}removed"),
    );
    for image in &report.nameless {
        text += &format!(
            "  image {image}: `mimeo image tag {} NAME` keeps it\n",
            image.short()
        );
    }
    let mut line = |found: &Amount, what: &str| {
        if found.count > 0 {
            text += &format!("{}\n", amount(found, what));
        }
    };
    line(
        &report.spared,
        "packs left alone: a capture may be writing them",
    );
    line(
        &report.damaged,
        "packs are damaged and left alone: see `mimeo share check`",
    );
    line(
        &report.destroyed,
        &format!("files from the trash {would}destroyed"),
    );
    line(&report.waiting, "files wait in the trash");
    if report.merged > 0 {
        text += &format!("{} index segments merged\n", report.merged);
    }
    for lease in &report.leases {
        text += &format!("at work: {lease}\n");
    }
    if report.waiting.count > 0 || report.freed() > 0 {
        text += &format!(
            "what is removed is destroyed by the first run after {} hours\n",
            args.grace
        );
    }
    text
}

fn amount(amount: &Amount, what: &str) -> String {
    format!("{} {what}, {}", amount.count, bytes(amount.bytes))
}

fn show_stats(dir: &Path, json: bool) -> Result<()> {
    let counting = || format!("counting in {}", dir.display());
    let share = location::open(dir)?;
    let found = stats(&share).with_context(counting)?;
    output::show(json, &found, || {
        let text = format!(
            "images       {} with {} names\ncontents     {}\nunique       {} (1 : {:.2})\nstored       {} (1 : {:.2})\npacks        {}\ngarbage      {} of which {} in the trash\n\n",
            found.images,
            found.refs,
            bytes(found.logical),
            bytes(found.unique),
            found.dedup,
            bytes(found.stored),
            found.compression,
            bytes(found.packs),
            bytes(found.garbage),
            bytes(found.trash),
        );
        let row = |image: &ImageStats| {
            vec![
                image.name.clone(),
                image.sequence.to_string(),
                image.image.short(),
                bytes(image.logical),
                bytes(image.unique),
                bytes(image.marginal),
                bytes(image.marginal_stored),
            ]
        };
        let heading = [
            "name",
            "version",
            "image",
            "contents",
            "unique",
            "adds",
            "adds stored",
        ];
        text + &output::table(&heading, &found.each.iter().map(row).collect::<Vec<_>>())
    })
}

fn make_index(dir: &Path, json: bool) -> Result<()> {
    let store = location::folder(dir)?;
    let report = reindex(&store).with_context(|| format!("indexing {}", dir.display()))?;
    let damaged: Vec<String> = report
        .damaged
        .iter()
        .map(|(pack, why)| format!("pack {pack}: {why}"))
        .collect();
    let value = serde_json::json!({
        "packs": report.packs,
        "chunks": report.chunks,
        "written": report.written,
        "removed": report.removed,
        "damaged": damaged,
    });
    output::show(json, &value, || {
        let mut text = format!(
            "{} packs with {} chunks; {} index segments replace {}\n",
            report.packs, report.chunks, report.written, report.removed
        );
        damaged.iter().for_each(|line| text += &format!("{line}\n"));
        text
    })?;
    match damaged.len() {
        0 => Ok(()),
        count => Err(DoesNotHold(format!("{count} damaged packs in {}", dir.display())).into()),
    }
}

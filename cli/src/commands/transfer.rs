//! `mimeo image export` and `mimeo image import`: images in a single file.

mod check;

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use image_format::file::{self, ExportReport, FileId, ImportReport, Imported, Target};
use image_format::store::RefName;
use image_format::{ImageRecord, Share};

pub(crate) use check::check;

use crate::args::{ExportArgs, ImportArgs};
use crate::exit::wrong;
use crate::location;
use crate::output::{self, ProgressLine, bytes};

/// Runs `mimeo image export`.
pub(crate) fn export(args: &ExportArgs, json: bool) -> Result<()> {
    let share = location::open(&args.share)?;
    let records: Vec<ImageRecord> = args
        .images
        .iter()
        .map(|image| share.find(image))
        .collect::<Result<_, _>>()?;
    let to_pipe = args.output == Path::new("-");
    let mut stdout = io::stdout().lock();
    let target = match (to_pipe, args.split) {
        (true, Some(_)) => return wrong("parts cannot go to standard output: name a file"),
        (true, None) if args.append => return wrong("nothing can be appended to standard output"),
        (true, None) if stdout.is_terminal() => {
            bail!("standard output is a terminal: send it into a program or name a file")
        }
        (true, None) => Target::Pipe(&mut stdout),
        (false, Some(size)) => Target::Split {
            base: &args.output,
            size,
        },
        (false, None) if args.append && args.output.exists() => Target::Append(&args.output),
        (false, None) if args.output.exists() => {
            bail!(
                "{} exists; --append adds images to it",
                args.output.display()
            )
        }
        (false, None) => Target::File(&args.output),
    };
    let mut line = ProgressLine::new(json);
    let report = file::export(&share, &records, target, FileId::fresh(), &mut |at| {
        line.update(|| format!("{} of {} written", bytes(at.done), bytes(at.total)));
    });
    line.finish();
    let report = report.with_context(|| format!("exporting to {}", args.output.display()))?;
    drop(stdout);
    tell_export(&report, &args.output, to_pipe, json)
}

fn tell_export(report: &ExportReport, output: &Path, to_pipe: bool, json: bool) -> Result<()> {
    warn(report.warning.as_deref(), json);
    let value = serde_json::json!({
        "file": report.file.to_string(),
        "images": names(&report.images),
        "already": names(&report.already),
        "blocks": report.blocks,
        "length": report.length,
        "parts": report.parts,
        "warning": report.warning,
    });
    let people = || {
        let mut text = String::new();
        for at in &report.already {
            text += &format!("{at} was in the file already\n");
        }
        for at in &report.images {
            text += &format!("{at} exported\n");
        }
        text + &format!(
            "{}: {} in {}, {} blocks written",
            output.display(),
            bytes(report.length),
            match report.parts {
                1 => "one file".to_owned(),
                parts => format!("{parts} parts"),
            },
            report.blocks
        )
    };
    if to_pipe {
        // Standard output carries the file.
        let text = if json { value.to_string() } else { people() };
        return Ok(writeln!(io::stderr(), "{text}")?);
    }
    output::show(json, &value, people)
}

fn names(refs: &[RefName]) -> Vec<serde_json::Value> {
    refs.iter()
        .map(|at| serde_json::json!({ "name": at.name, "sequence": at.sequence }))
        .collect()
}

fn warn(warning: Option<&str>, json: bool) {
    if let Some(warning) = warning.filter(|_| !json) {
        eprintln!("warning: {warning}");
    }
}

/// Runs `mimeo image import`.
pub(crate) fn import(args: &ImportArgs, json: bool) -> Result<()> {
    let opening = || format!("opening the share {}", args.share.display());
    let is_pipe = args.file == Path::new("-");
    // What a pipe brings is known when it is there.
    let names = match is_pipe {
        true => BTreeSet::new(),
        false => names_in(&args.file)?,
    };
    let store = location::store_to_capture(&args.share, names)?;
    // What is wrong with the share is better found before an hour of copying.
    let share = Share::open(&store).with_context(opening)?;
    location::warn_of_refs(share.unreadable(), &args.share);
    drop(share);
    let mut line = ProgressLine::new(json);
    let mut came = 0;
    let mut progress = |at: file::ImportProgress| {
        came = at.new;
        line.update(|| {
            let of = at
                .total
                .map_or_else(String::new, |total| format!(" of {}", bytes(total)));
            format!("{}{of} read, {} new", bytes(at.done), bytes(at.new))
        });
    };
    let report = if is_pipe {
        file::import_stream(&mut io::stdin().lock(), &store, &mut progress)
    } else {
        file::import_file(&args.file, &store, &mut progress)
    };
    line.finish();
    let importing = || match came {
        0 => format!("importing {}", args.file.display()),
        _ => format!(
            "importing {}; what came in is used again by the next try",
            args.file.display()
        ),
    };
    tell_import(&report.with_context(importing)?, json)
}

/// The names of the images in a file.
fn names_in(path: &Path) -> Result<BTreeSet<String>> {
    if !file::is_single_file(path) {
        bail!("there is no file {}", path.display());
    }
    let opening = || format!("opening {}", path.display());
    let (store, _) = file::open_any(path).with_context(opening)?;
    let refs = store.list_refs().with_context(opening)?;
    Ok(refs.into_iter().map(|at| at.name).collect())
}

fn tell_import(report: &ImportReport, json: bool) -> Result<()> {
    warn(report.warning.as_deref(), json);
    let image = |image: &Imported| {
        serde_json::json!({
            "record": image.record,
            "sequence_in_file": image.from.sequence,
            "already": image.already,
        })
    };
    let value = serde_json::json!({
        "file": report.file.to_string(),
        "images": report.images.iter().map(image).collect::<Vec<_>>(),
        "blocks": report.blocks,
        "stored": report.stored,
        "passed_over": report.passed_over,
        "warning": report.warning,
    });
    output::show(json, &value, || {
        let mut text: String = report.images.iter().map(imported).collect();
        text += &format!(
            "{} blocks of {} were new, {} were here already",
            report.blocks,
            bytes(report.stored),
            report.passed_over
        );
        text
    })
}

fn imported(image: &Imported) -> String {
    let at = RefName {
        name: image.record.name.clone(),
        sequence: image.record.sequence,
    };
    match (image.already, at == image.from) {
        (true, true) => format!("{at} was here already\n"),
        (true, false) => format!("{} was here already as {at}\n", image.from),
        (false, true) => format!("{at} imported\n"),
        (false, false) => format!("{} imported as {at}\n", image.from),
    }
}

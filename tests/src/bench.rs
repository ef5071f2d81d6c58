//! `cargo xtask bench image`: every claim about the image engine, measured
//! beside the program it names, on the same input in one run.
//!
//! A claim is a ratio: our figure through the peer's. Times are taken in turns
//! (ours, the peer's, ours, ...) and the ratio is the median of the rounds', so
//! that a machine that is busy for a while is busy for both. It takes hours,
//! tens of gigabytes and a quiet machine: it is no test and runs when asked.

pub mod claim;
pub mod corpus;
pub mod measure;
pub mod options;
pub mod peers;
pub mod report;
pub mod row;
pub mod rows;
pub mod runner;
pub mod synthetic;
pub mod workplace;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::bench::corpus::Corpora;
use crate::bench::options::Options;
use crate::bench::row::Row;
use crate::bench::workplace::Workplace;
use crate::setup;

/// Measures the rows that are asked for with the program `mimeo` and prints
/// them; `folder` keeps the trees and holds the results while they are needed.
/// False when a claim is not met or could not be measured.
///
/// # Errors
/// When trees cannot be made or the machine lacks what is needed. A tool that
/// fails is no error: its row says so.
pub fn image(options: &Options, mimeo: &Path, folder: &Path) -> Result<bool> {
    ensure!(setup::is_root(), "mounts and packages need root");
    let rows = chosen(options)?;
    if options.corpus.is_some() {
        println!("rows that need a system and its updates are left out: one tree is given");
    }
    peers::install();
    let peers = peers::present();
    println!("{}", peers::report(&peers));
    println!("{}", measure::machine());
    let corpora = Corpora::prepare(folder, options.corpus.as_deref(), &rows)?;
    println!("{}", corpora.report());
    let place = Workplace::claim(&folder.join("work"), mimeo, &corpora)?;
    let mut measured = Vec::new();
    for row in rows {
        println!("row {}: {}", row.id, row.work);
        let results = runner::run(row, &place, &peers, options)?;
        println!("{}", report::record(row, &results));
        measured.push((row, results));
    }
    if options.peers_only {
        return Ok(true);
    }
    println!("{}", report::claims(&measured));
    let mut judged = measured
        .iter()
        .flat_map(|(row, results)| claim::judge_all(row, results));
    Ok(judged.all(|judged| judged.verdict.is_met()))
}

/// The rows of [`rows::ROWS`] the options ask for.
fn chosen(options: &Options) -> Result<Vec<&'static Row>> {
    let rows: Vec<&Row> = rows::ROWS
        .iter()
        .filter(|row| options.wants(row.id))
        .filter(|row| options.corpus.is_none() || !row.needs_updates())
        .collect();
    let known: Vec<&str> = rows::ROWS.iter().map(|row| row.id).collect();
    ensure!(
        !rows.is_empty(),
        "no such row, or it cannot use another tree; there are {}",
        known.join(", ")
    );
    Ok(rows)
}

/// The folder of `bench` under the folder of build results.
///
/// # Errors
/// When it cannot be made.
pub fn folder(target: &Path) -> Result<PathBuf> {
    let folder = target.join("lab/bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    folder
        .canonicalize()
        .with_context(|| format!("finding {}", folder.display()))
}

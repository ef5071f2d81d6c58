//! The proof of a directory, to be kept.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use imager::tree::Losses;
use imager::tree::verify::{Proven, Receipt};

/// A receipt of now.
pub(crate) fn make(target: &Path, proven: &Proven, losses: &Losses) -> Receipt {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Receipt {
        receipt: "mimeo directory receipt",
        version: 0,
        time: now.map_or(0, |now| now.as_secs()),
        target: target.display().to_string(),
        proven: proven.clone(),
        left_out: left_out(losses),
        signature: None,
    }
}

/// Losses as words.
pub(crate) fn left_out(losses: &Losses) -> Vec<(String, u64, Vec<String>)> {
    let words = |(loss, lost): (&imager::tree::Loss, &imager::tree::Lost)| {
        (loss.words().to_owned(), lost.count, lost.first.clone())
    };
    losses.by_kind.iter().map(words).collect()
}

/// Writes a receipt to a file.
pub(crate) fn keep(path: &Path, receipt: &Receipt) -> Result<()> {
    let text = serde_json::to_string_pretty(receipt)? + "\n";
    std::fs::write(path, text).with_context(|| format!("writing the receipt {}", path.display()))
}

//! What an apply proved, as a file: for whoever wants to know later what was
//! read back, and from which image.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use image_format::ImageRecord;
use image_format::proof::Proof;
use imager::plan::Plan;
use serde::Serialize;

/// The words beside a proof. Nobody signed it: it is worth as much as the file.
#[derive(Debug, Serialize)]
pub(super) struct Receipt {
    receipt: &'static str,
    version: u32,
    /// Seconds since 1970.
    time: u64,
    name: String,
    sequence: u64,
    /// The partition of the image, when it was one alone.
    partition: Option<u32>,
    target: String,
    size: u64,
    sector_size: u32,
    proof: Proof,
    /// Room for one; this version leaves it empty.
    signature: Option<String>,
}

impl Receipt {
    pub(super) fn new(
        record: &ImageRecord,
        partition: Option<u32>,
        target: String,
        plan: &Plan,
        proof: Proof,
    ) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            receipt: "mimeo disk receipt",
            version: 0,
            time: since.map_or(0, |since| since.as_secs()),
            name: record.name.clone(),
            sequence: record.sequence,
            partition,
            target,
            size: plan.layout.size,
            sector_size: plan.layout.sector_size,
            proof,
            signature: None,
        }
    }

    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    }
}

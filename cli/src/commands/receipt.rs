//! `mimeo receipt verify`: what a receipt proves, with no server at hand.

use std::path::Path;

use anyhow::{Context, Result};
use api::{PublicKey, Receipt};

use image_format::ids::ImageId;
use serde::{Deserialize, Serialize};

use crate::args::ReceiptCommand;
use crate::exit::DoesNotHold;
use crate::output;

/// Runs `mimeo receipt ...`.
pub(crate) fn run(command: ReceiptCommand, json: bool) -> Result<()> {
    match command {
        ReceiptCommand::Verify { file, key, config } => {
            let key = match (key, config) {
                (Some(key), _) => Some(key),
                (None, Some(config)) => Some(server::public_key(&server::Config::load(&config)?)?),
                (None, None) => None,
            };
            verify(&file, key, json)
        }
    }
}

fn verify(file: &Path, key: Option<PublicKey>, json: bool) -> Result<()> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    if let Some(local) = Local::read(&text) {
        return unsigned(file, &local, key.is_some(), json);
    }
    let receipt: Receipt = serde_json::from_str(&text)
        .map_err(|error| DoesNotHold(format!("{} is no receipt: {error}", file.display())))?;
    let confirmed = receipt
        .verify(key.as_ref())
        .map_err(|error| DoesNotHold(format!("{} proves nothing: {error}", file.display())))?;
    output::show(json, &receipt.statement, || {
        let statement = &receipt.statement;
        let disk = statement
            .disk
            .serial
            .as_deref()
            .unwrap_or("without a serial number");
        let trust = match key {
            Some(_) => "the expected server".to_owned(),
            None => format!(
                "the server {} (compare this key, or give --key)",
                confirmed.key
            ),
        };
        format!(
            "the receipt holds: {} has image {} on disk {disk}, read back in full,\nconfirmed {} by {trust}",
            statement.name,
            statement.proof.image.short(),
            output::moment(confirmed.time),
        )
    })
}

/// What `mimeo apply --receipt` writes on this machine, as far as it is shown.
#[derive(Debug, Deserialize, Serialize)]
struct Local {
    receipt: String,
    version: u32,
    time: u64,
    /// Of a disk.
    name: Option<String>,
    sequence: Option<u64>,
    proof: Option<image_format::proof::Proof>,
    /// Of a directory.
    image: Option<ImageId>,
    target: String,
}

impl Local {
    /// `None` for what is no receipt of a local apply.
    fn read(text: &str) -> Option<Self> {
        let local: Self = serde_json::from_str(text).ok()?;
        let known = matches!(
            (local.receipt.as_str(), local.version),
            ("mimeo disk receipt" | "mimeo directory receipt", 0)
        );
        (known && local.proven().is_some()).then_some(local)
    }

    fn proven(&self) -> Option<ImageId> {
        match &self.proof {
            Some(proof) => Some(proof.image),
            None => self.image,
        }
    }
}

/// It says what one machine found; no signature keeps it from being changed.
fn unsigned(file: &Path, local: &Local, wants_key: bool, json: bool) -> Result<()> {
    let file = file.display();
    if wants_key {
        let why = "it is the receipt of a local apply, which nobody signed";
        return Err(DoesNotHold(format!("{file} proves nothing to others: {why}")).into());
    }
    let value = serde_json::json!({ "signed": false, "receipt": local });
    output::show(json, &value, || {
        let image = local
            .proven()
            .map(|image| image.short())
            .unwrap_or_default();
        let name = match (&local.name, local.sequence) {
            (Some(name), Some(sequence)) => format!(" ({name} version {sequence})"),
            _ => String::new(),
        };
        format!(
            "NOT SIGNED: {file} says that {} held image {image}{name}, read back in full\n\
             when it was written, {}. Nobody signed it: anyone who could write the file could\n\
             have changed it. `mimeo verify` compares the target again.",
            local.target,
            output::moment(local.time),
        )
    })
}

//! `mimeo receipt verify`: what a receipt proves, with no server at hand.

use std::path::Path;

use anyhow::{Context, Result};
use api::{PublicKey, Receipt};

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

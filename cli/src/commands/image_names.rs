//! `mimeo image tag` and `mimeo image delete`: names of images come and go.

use std::time::Duration;

use anyhow::{Context, Result};
use image_format::refs::signature::Signer;
use image_format::upkeep::gc::{GcOptions, GcReport, gc};
use image_format::upkeep::names;
use image_format::{RefName, Share, Store};
use serde_json::Value;

use crate::args::{DeleteArgs, TagArgs};
use crate::location;
use crate::output::{self, bytes};
use crate::signing::KeyFile;

/// Gives an image one more name.
pub(crate) fn tag(args: &TagArgs, json: bool) -> Result<()> {
    let store = location::store(&args.share)?;
    let key = args.sign.as_deref().map(KeyFile::load).transpose()?;
    let signer = key.as_ref().map(|key| key as &dyn Signer);
    let record = names::tag(&store, &args.image, &args.name, signer)
        .with_context(|| format!("naming {} also {}", args.image, args.name))?;
    output::show(json, &record, || {
        format!(
            "{} version {} is image {}",
            record.name,
            record.sequence,
            record.image.short()
        )
    })
}

/// Takes a name from an image, and tells what can be collected by now.
pub(crate) fn delete(args: &DeleteArgs, json: bool) -> Result<()> {
    let deleting = || format!("deleting {}", args.image);
    let store = location::store(&args.share)?;
    let share = Share::open(&store).with_context(deleting)?;
    let chosen = names::chosen(&share, &args.image, args.all).with_context(deleting)?;
    let others = share.unreadable().iter();
    location::warn_of_refs(
        others.filter(|lost| !chosen.contains(&lost.at)),
        &args.share,
    );
    names::delete(&store, &chosen).with_context(deleting)?;
    let deleted: Vec<Value> = chosen.iter().map(|at| told(&share, at)).collect();
    // It is deleted, whatever can be told of the rest of the share. Of a
    // server's, that is told there.
    let would = match location::on_this_machine(&args.share) {
        Ok(()) => Some(would_free(&store)),
        Err(_) => None,
    };
    let value = match &would {
        Some(Ok(would)) => serde_json::json!({
            "deleted": deleted, "gc": would, "gc_frees": would.freed()
        }),
        Some(Err(error)) => serde_json::json!({ "deleted": deleted, "gc_error": error }),
        None => serde_json::json!({ "deleted": deleted }),
    };
    output::show(json, &value, || {
        let names = chosen
            .iter()
            .map(|at| format!("{} version {} is deleted\n", at.name, at.sequence));
        let text: String = names.collect();
        match &would {
            None => text,
            Some(Ok(would)) => {
                format!("{text}`mimeo share gc` would free {}", bytes(would.freed()))
            }
            Some(Err(error)) => {
                format!("{text}what `mimeo share gc` would free cannot be told: {error}")
            }
        }
    })
}

fn would_free(store: &dyn Store) -> Result<GcReport, String> {
    let options = GcOptions {
        dry_run: true,
        grace: Duration::MAX,
        ..GcOptions::default()
    };
    gc(store, &options).map_err(|error| format!("{:#}", anyhow::Error::from(error)))
}

/// What programs are told of a deleted version: its record, where its ref can be used.
fn told<S: Store>(share: &Share<S>, at: &RefName) -> Value {
    let mut versions = share.history(&at.name).iter();
    match versions.find(|record| record.sequence == at.sequence) {
        Some(record) => serde_json::json!(record),
        None => serde_json::json!({ "name": at.name, "sequence": at.sequence }),
    }
}

//! `mimeo image list`.

use anyhow::Result;
use image_format::ImageRecord;

use crate::args::ListArgs;
use crate::location::open;
use crate::output::{self, bytes, moment};

/// Lists the newest image of every name, or all.
pub(super) fn run(args: &ListArgs, json: bool) -> Result<()> {
    let share = open(&args.share.dir)?;
    let images: Vec<ImageRecord> = match args.all {
        true => share.records().cloned().collect(),
        false => share.images(),
    };
    output::show(json, &images, || {
        let row = |record: &ImageRecord| {
            vec![
                record.name.clone(),
                record.sequence.to_string(),
                record.image.short(),
                moment(record.captured),
                system(record),
                record.entries.to_string(),
                bytes(record.logical_size),
            ]
        };
        let heading = [
            "name", "version", "image", "captured", "system", "entries", "contents",
        ];
        output::table(&heading, &images.iter().map(row).collect::<Vec<_>>())
    })
}

/// The operating system's own name, if it has one.
pub(super) fn system(record: &ImageRecord) -> String {
    record
        .system
        .as_ref()
        .map_or_else(|| "-".to_owned(), |system| system.name.clone())
}

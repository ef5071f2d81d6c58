//! Writes the golden files of the version this crate writes, into a folder
//! that must not exist: `cargo run --release -p image-format --example golden
//! -- image-format/tests/golden/v1`.

#[path = "../tests/golden/mod.rs"]
#[allow(dead_code)]
mod golden;

use std::error::Error;
use std::fs;
use std::path::Path;

use image_format::file::{FileId, Target, export};
use image_format::{DirStore, Share};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name the folder to write")?;
    let folder = Path::new(&folder);
    fs::create_dir(folder)?;
    let share = folder.join("share");
    fs::create_dir(&share)?;
    let store = DirStore::init(&share)?;
    golden::store(&store, 1)?;
    golden::store(&store, 2)?;
    let share = Share::open(&store)?;
    let (first, second) = share.history(golden::NAME).split_at(1);
    let path = folder.join("images.mim");
    let quiet = &mut |_| ();
    export(&share, first, Target::File(&path), FileId([1; 16]), quiet)?;
    export(
        &share,
        second,
        Target::Append(&path),
        FileId([1; 16]),
        quiet,
    )?;
    Ok(())
}

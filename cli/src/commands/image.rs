//! `mimeo image`: what images there are and what is in them.

mod cat;
mod diff;
mod extract;
mod list;
mod ls;
mod mount;
mod show;

use std::path::Path;

use anyhow::{Context, Result};
use image_format::{DirStore, ImageRecord, Share};
use imager::look::Tree;

use crate::args::{ImageArg, ImageCommand, PartitionArg};

/// Runs `mimeo image ...`.
pub(crate) fn run(command: ImageCommand, json: bool) -> Result<()> {
    match command {
        ImageCommand::List(args) => list::run(&args, json),
        ImageCommand::Show(args) => show::run(&args, json),
        ImageCommand::Ls(args) => ls::run(&args, json),
        ImageCommand::Cat(args) => cat::run(&args),
        ImageCommand::Extract(args) => extract::run(&args, json),
        ImageCommand::Diff(args) => diff::run(&args, json),
        ImageCommand::Mount(args) => mount::run(&args, json),
    }
}

/// A share, to be read.
fn open(share: &Path) -> Result<Share<DirStore>> {
    let opening = || format!("opening the share {}", share.display());
    Share::open(DirStore::open(share).with_context(opening)?).with_context(opening)
}

/// The share, the image and one of its trees.
fn tree(image: &ImageArg, partition: PartitionArg) -> Result<(Share<DirStore>, ImageRecord, Tree)> {
    let share = open(&image.share.dir)?;
    let record = share.find(&image.image)?;
    let tree = Tree::choose(&share, record.image, partition.number)
        .with_context(|| format!("opening image {}", record.name))?;
    Ok((share, record, tree))
}

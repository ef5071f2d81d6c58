//! `mimeo image`: what images there are and what is in them.

mod cat;
mod diff;
mod extract;
mod list;
mod ls;
mod mount;
mod show;

use anyhow::{Context, Result};
use image_format::{ImageRecord, Share, Store};
use imager::look::Tree;

use super::{image_names, transfer};
use crate::args::{ImageArg, ImageCommand, PartitionArg};
use crate::location;

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
        ImageCommand::Export(args) => transfer::export(&args, json),
        ImageCommand::Import(args) => transfer::import(&args, json),
        ImageCommand::Tag(args) => image_names::tag(&args, json),
        ImageCommand::Delete(args) => image_names::delete(&args, json),
    }
}

/// An open share, an image of it and one of its trees.
type Chosen = (Share<Box<dyn Store>>, ImageRecord, Tree);

/// The share, the image and one of its trees.
fn tree(image: &ImageArg, partition: PartitionArg) -> Result<Chosen> {
    let share = location::open(&image.share.dir)?;
    let record = share.find(&image.image)?;
    let tree = Tree::choose(&share, record.image, partition.number)
        .with_context(|| format!("opening image {}", record.name))?;
    Ok((share, record, tree))
}

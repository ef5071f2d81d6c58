//! `mimeo image cat`.

use std::os::unix::ffi::OsStrExt;

use anyhow::Result;
use imager::look::contents::Contents;
use imager::look::{Last, LookError};

use super::tree;
use crate::args::CatArgs;

/// Prints a file's bytes, whatever they are; holes as zeros.
pub(super) fn run(args: &CatArgs) -> Result<()> {
    let (share, _, tree) = tree(&args.image, args.partition)?;
    let entry = tree.find(&share, args.path.as_bytes(), Last::Follow)?;
    let contents = Contents::new(tree.content(&share, &entry)?);
    let mut out = std::io::stdout().lock();
    match contents.write_to(&share, &mut out) {
        // Unwrapped, so that a closed pipe is known as one.
        Err(LookError::Output(error)) => Err(error.into()),
        other => Ok(other?),
    }
}

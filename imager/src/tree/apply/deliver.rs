//! Chunks go from their block to all their places.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;

use super::blocks;
use super::laid::Laid;
use super::run::{Phase, Run, cores};
use super::writer::Writer;
use crate::tree::error::TreeError;
use crate::tree::place::Rows;
use crate::tree::place::writeback::Early;

/// More threads than processors: some wait for the medium.
const EXTRA_THREADS: usize = 2;

/// Fetches all blocks and writes what is in them.
pub(super) fn deliver(run: &Run<'_>, laid: &mut Laid) -> Result<(), TreeError> {
    run.phase(Phase::Blocks);
    laid.rows.settle();
    let laid = &*laid;
    std::thread::scope(|scope| {
        let root = Arc::clone(run.descriptors.root());
        let failed = |error: Errno| {
            let source = error.into();
            run.fail(TreeError::Sync { source });
        };
        let writer = Writer::new(run, laid, Early::start(scope, root, failed));
        all_blocks(run, &laid.rows, &writer);
        run.result()?;
        writer.all_finished()
    })?;
    // The last of these syncs may have failed after all was written.
    run.result()
}

/// Many threads, each with the next block that nobody has.
fn all_blocks(run: &Run<'_>, rows: &Rows, writer: &Writer<'_, '_>) {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut last = None;
        while !run.stopped() {
            let Some(block) = rows.blocks.get(next.fetch_add(1, Ordering::Relaxed)) else {
                return;
            };
            let deposits = rows.of(block);
            let done = blocks::fetch(run, &block.place, deposits).and_then(|open| {
                deposits
                    .iter()
                    .try_for_each(|one| writer.deposit(one, blocks::bytes(&open, one), &mut last))
            });
            if let Err(error) = done {
                run.fail(error);
            }
        }
    };
    let threads = (cores() + EXTRA_THREADS).min(rows.blocks.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
}

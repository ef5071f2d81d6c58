//! How far an apply or a comparison is, on a terminal.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use imager::apply::{ApplyEvent, Phase};

use crate::output::{ProgressLine, bytes};

/// The line of an apply.
pub(super) struct Shown {
    line: RefCell<ProgressLine>,
    json: bool,
    /// Whether something was there to be kept: what a new file holds at its
    /// place is zeros.
    reuse: Cell<bool>,
}

impl Shown {
    pub(super) fn new(json: bool, reuse: bool) -> Self {
        Self {
            line: RefCell::new(ProgressLine::new(json)),
            json,
            reuse: Cell::new(reuse),
        }
    }

    pub(super) fn event(&self, event: ApplyEvent) {
        let mut line = self.line.borrow_mut();
        match event {
            ApplyEvent::Progress { phase, done, total } => line.update(|| match total {
                0 => format!("{}: {}", word(phase), bytes(done)),
                _ => format!("{}: {} of {}", word(phase), bytes(done), bytes(total)),
            }),
            ApplyEvent::Started { phase, .. } => line.update(|| word(phase).to_owned()),
            ApplyEvent::Resumed { .. } => {
                self.reuse.set(true);
                self.say(
                    &mut line,
                    "an apply was interrupted here; what it wrote rightly is kept",
                );
            }
            ApplyEvent::Kept { bytes: 0 } => {}
            ApplyEvent::Kept { .. } if !self.reuse.get() => {}
            ApplyEvent::Kept { bytes: kept } => {
                let text = format!("{} lie at their place already", bytes(kept));
                self.say(&mut line, &text);
            }
            ApplyEvent::Refetched { place } => {
                let text = format!("block {} came damaged and is read again", place.block);
                self.say(&mut line, &text);
            }
        }
    }

    fn say(&self, line: &mut ProgressLine, text: &str) {
        line.finish();
        if !self.json {
            eprintln!("{text}");
        }
    }

    pub(super) fn finish(&self) {
        self.line.borrow_mut().finish();
    }
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Destroy => "destroying what boots",
        Phase::Metadata => "writing file systems",
        Phase::Reuse => "looking for what is there",
        Phase::Blocks => "writing contents",
        Phase::Verify => "reading back",
        Phase::Seal => "making it boot",
    }
}

/// Bytes counted by several threads.
pub(super) struct Counted {
    line: Mutex<ProgressLine>,
    done: AtomicU64,
    total: u64,
    begun: Instant,
}

impl Counted {
    pub(super) fn new(json: bool, total: u64) -> Self {
        Self {
            line: Mutex::new(ProgressLine::new(json)),
            done: AtomicU64::new(0),
            total,
            begun: Instant::now(),
        }
    }

    pub(super) fn add(&self, count: u64) {
        let done = self.done.fetch_add(count, Ordering::Relaxed) + count;
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.update(|| {
            let rate = done / self.begun.elapsed().as_secs().max(1);
            let (done, total, rate) = (bytes(done), bytes(self.total), bytes(rate));
            format!("{done} of {total} compared, {rate}/s")
        });
    }

    pub(super) fn finish(&self) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.finish();
    }
}

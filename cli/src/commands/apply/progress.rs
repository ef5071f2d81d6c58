//! How far it is, told by many threads.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use imager::tree::apply::{Phase, Progress};

use crate::output::{ProgressLine, bytes};

/// A line that shows progress.
pub(crate) struct Shown {
    line: Mutex<(ProgressLine, u64)>,
    begun: Instant,
}

impl Shown {
    /// Shown only where a person looks.
    pub(crate) fn new(json: bool) -> Self {
        Self {
            line: Mutex::new((ProgressLine::new(json), 0)),
            begun: Instant::now(),
        }
    }

    /// How far an apply is.
    pub(crate) fn progress(&self, progress: Progress) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.0.update(|| {
            let doing = match progress.phase {
                Phase::Names => "names",
                Phase::Blocks => "contents",
                Phase::Finish => "finishing",
                Phase::Verify => "reading back",
            };
            format!(
                "{doing}: {} of {}",
                bytes(progress.bytes),
                bytes(progress.total)
            )
        });
    }

    /// Bytes were compared.
    pub(crate) fn compared(&self, count: u64) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.1 = line.1.saturating_add(count);
        let done = line.1;
        line.0.update(|| format!("comparing: {}", bytes(done)));
    }

    /// Clears the line.
    pub(crate) fn finish(&self) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.0.finish();
    }

    /// Seconds since it began.
    pub(crate) fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }
}

//! How far a capture is: a line for people, events for programs.

use std::time::{Duration, Instant};

use imager::capture::CaptureProgress;
use imager::tree::capture::TreeProgress;
use serde_json::{Value, json};

use crate::output::{ProgressLine, bytes};

/// Events come no faster.
const BETWEEN: Duration = Duration::from_millis(500);

/// Progress of a capture that began when this was made.
pub(super) struct Progress {
    line: ProgressLine,
    json: bool,
    begun: Instant,
    told: Option<Instant>,
}

impl Progress {
    pub(super) fn new(json: bool) -> Self {
        Self {
            line: ProgressLine::new(json),
            json,
            begun: Instant::now(),
            told: None,
        }
    }

    /// Clears the line; answers with the seconds it took.
    pub(super) fn finish(&mut self) -> f64 {
        self.line.finish();
        self.begun.elapsed().as_secs_f64()
    }

    /// Of a disk.
    pub(super) fn disk(&mut self, at: &CaptureProgress) {
        let (rate, left) = self.rate(at.bytes, Some(at.total_bytes));
        self.tell(
            || {
                format!(
                    "{} of {}, {} of {} files, {}/s, {} left",
                    bytes(at.bytes),
                    bytes(at.total_bytes),
                    at.files,
                    at.total_files,
                    bytes(rate),
                    seconds(left)
                )
            },
            || {
                json!({
                    "event": "progress", "bytes": at.bytes, "total_bytes": at.total_bytes,
                    "files": at.files, "total_files": at.total_files,
                    "rate": rate, "seconds_left": left,
                })
            },
        );
    }

    /// Of a directory.
    pub(super) fn tree(&mut self, at: &TreeProgress) {
        let (rate, left) = self.rate(at.bytes, at.total_bytes);
        self.tell(
            || {
                let total = at.total_bytes.map_or_else(String::new, |total| {
                    format!(" of about {}", bytes(total.max(at.bytes)))
                });
                format!(
                    "{}{total}, {} entries ({} unchanged), {}/s, {} new in {}, {} left",
                    bytes(at.bytes),
                    at.entries,
                    at.unchanged,
                    bytes(rate),
                    bytes(at.new),
                    bytes(at.stored),
                    seconds(left)
                )
            },
            || {
                json!({
                    "event": "progress", "entries": at.entries, "unchanged": at.unchanged,
                    "bytes": at.bytes, "total_bytes": at.total_bytes, "read": at.read,
                    "new": at.new, "stored": at.stored, "rate": rate, "seconds_left": left,
                })
            },
        );
    }

    /// Bytes a second, and seconds left if the total is known.
    fn rate(&self, done: u64, total: Option<u64>) -> (u64, Option<u64>) {
        let milliseconds = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let rate = done.saturating_mul(1000) / milliseconds.max(1);
        let left = total.and_then(|total| total.saturating_sub(done).checked_div(rate));
        (rate, left)
    }

    fn tell(&mut self, people: impl FnOnce() -> String, programs: impl FnOnce() -> Value) {
        if !self.json {
            return self.line.update(people);
        }
        if self.told.is_none_or(|told| told.elapsed() >= BETWEEN) {
            self.told = Some(Instant::now());
            eprintln!("{}", programs());
        }
    }
}

fn seconds(left: Option<u64>) -> String {
    left.map_or_else(|| "? s".to_owned(), |left| format!("{left} s"))
}

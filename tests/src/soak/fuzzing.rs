//! Every decoder, each for its share of the time, on inputs nobody ran before.

use std::time::{Duration, Instant};

use crate::fuzz::TARGETS;
use crate::fuzz::drive::{Drive, watch};

/// What came of one target.
#[derive(Debug)]
pub(super) struct Tried {
    /// How many inputs were run.
    pub(super) inputs: u64,
    /// The first that broke it, with all that is needed to run it again.
    pub(super) wrong: Option<String>,
}

/// Runs all targets for `time` together, from input number `seed` on.
pub(super) fn run(time: Duration, seed: u64, say: &mut dyn FnMut(&str)) -> Vec<Tried> {
    std::thread::spawn(|| watch());
    let share = time / u32::try_from(TARGETS.len()).unwrap_or(u32::MAX);
    let mut tried = Vec::new();
    for &target in TARGETS {
        let drive = Drive::new(target);
        let begun = Instant::now();
        let mut wrong = drive.corpus().err();
        let mut inputs = 0;
        while wrong.is_none() && begun.elapsed() < share {
            wrong = drive.seed(seed.wrapping_add(inputs)).err();
            inputs += 1;
        }
        let ended = if wrong.is_some() { ", BROKEN" } else { "" };
        say(&format!("{}: {inputs} inputs{ended}", target.0));
        tried.push(Tried { inputs, wrong });
    }
    tried
}

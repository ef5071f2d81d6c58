//! How far a long step is, in lines and events, not too many of them.

use std::time::{Duration, Instant};

use task_sequences::EventKind;

use super::scene::Scene;

/// Shortest time between two lines or events of progress.
const BETWEEN_PROGRESS: Duration = Duration::from_secs(5);

/// Tells the progress of one stage after another.
#[derive(Default)]
pub(super) struct Teller {
    last: Option<(Instant, u64)>,
}

impl Teller {
    /// A stage begins: its first line comes at once.
    pub(super) fn begin(&mut self) {
        self.last = None;
    }

    /// At the machine, and to the server when there is time: `done` of `total`
    /// bytes, unless something was told a moment ago.
    pub(super) fn tell(&mut self, scene: &mut Scene<'_>, stage: &str, done: u64, total: u64) {
        if !self.is_news(done, total) {
            return;
        }
        self.last = Some((Instant::now(), done));
        let screen = &scene.job.screen;
        match percent(done, total) {
            Some(percent) => {
                screen.say(format!("{stage:<9} {percent:>3} %  of {} MiB", total >> 20))
            }
            None => screen.say(stage),
        }
        let step = scene.step.to_owned();
        scene.journal.mention(EventKind::Progress {
            step,
            stage: stage.to_owned(),
            done,
            total,
        });
    }

    /// The end is always told, and once.
    fn is_news(&self, done: u64, total: u64) -> bool {
        let Some((last, told)) = self.last else {
            return true;
        };
        let is_end = done >= total && total > 0;
        done != told && (is_end || last.elapsed() >= BETWEEN_PROGRESS)
    }
}

/// Whole percents; `None` when nobody can tell.
fn percent(done: u64, total: u64) -> Option<u64> {
    done.min(total).saturating_mul(100).checked_div(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_need_a_total_and_never_exceed_it() {
        assert_eq!(percent(1, 0), None);
        assert_eq!(percent(50, 200), Some(25));
        assert_eq!(percent(300, 200), Some(100));
    }

    #[test]
    fn the_end_is_told_once_and_little_before_it() {
        let mut teller = Teller::default();
        assert!(teller.is_news(0, 10));
        teller.last = Some((Instant::now(), 0));
        assert!(!teller.is_news(5, 10) && teller.is_news(10, 10));
        teller.last = Some((Instant::now(), 10));
        assert!(!teller.is_news(10, 10));
    }
}

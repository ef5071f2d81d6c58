//! Next step → do → event, until this phase has nothing left.

use anyhow::Result;
use task_sequences::{EventKind, Next, Phase};

use crate::job::Job;
use crate::journal::Journal;
use crate::steps;

/// How a phase ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing is left to do here or elsewhere.
    Finished,
    /// What is left runs in this phase.
    Elsewhere(Phase),
    /// The run has failed or was stopped, and why.
    Ended(String),
}

/// Works through what this phase has to do. An error means that the run can
/// neither go on nor be reported as failed.
pub(crate) fn work(job: &Job, journal: &mut Journal, phase: Phase, place: &str) -> Result<Outcome> {
    let sequence = journal.sequence().clone();
    if !matches!(journal.state().next(&sequence, phase), Next::Ended(_)) {
        journal.record(EventKind::Attached {
            place: place.to_owned(),
        })?;
    }
    loop {
        let step = match journal.state().next(&sequence, phase) {
            Next::Do(step) => step,
            Next::Leave(phase) => return Ok(Outcome::Elsewhere(phase)),
            Next::Finished => return Ok(Outcome::Finished),
            Next::Ended(reason) => return Ok(Outcome::Ended(reason)),
        };
        journal.record(EventKind::StepStarted {
            step: step.name.clone(),
        })?;
        let end = match steps::perform(step, job, journal) {
            Ok(()) => EventKind::StepFinished {
                step: step.name.clone(),
            },
            Err(error) => {
                let reason = format!("{error:#}").replace('\n', " ");
                EventKind::StepFailed {
                    step: step.name.clone(),
                    reason,
                }
            }
        };
        journal.record(end)?;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use api::PublicKey;
    use api::client::Client;
    use api::messages::run::{CaptureOrder, CaptureWish, Work};
    use image_format::Profile;
    use inventory::MachineFacts;
    use task_sequences::Sequence;

    use super::*;
    use crate::journal::tests::{FakeClock, Shelf, assignment, journal};
    use crate::screen::tests::scripted;

    fn job() -> Job {
        Job {
            assignment: assignment(),
            client: Client::new("127.0.0.1:9", PublicKey::new([1; 32])).unwrap(),
            token: "t".to_owned(),
            key: None,
            facts: MachineFacts::default(),
            chosen_here: false,
            started: 0,
            disk: OnceLock::new(),
            screen: scripted(&[]).0,
            patience: FakeClock::patience(),
        }
    }

    fn done(shelf: &Shelf, steps: &[&str]) {
        let mut journal = journal(shelf);
        for step in steps {
            journal
                .record(EventKind::StepStarted {
                    step: (*step).to_owned(),
                })
                .unwrap();
            journal
                .record(EventKind::StepFinished {
                    step: (*step).to_owned(),
                })
                .unwrap();
        }
    }

    #[test]
    fn a_phase_is_left_when_what_remains_runs_elsewhere() {
        let shelf = Shelf::default();
        done(&shelf, &["apply-image", "boot-entry"]);
        let mut journal = journal(&shelf);
        let outcome = work(&job(), &mut journal, Phase::BootEnvironment, "here").unwrap();
        assert_eq!(outcome, Outcome::Elsewhere(Phase::Installed));
        let events = shelf.events.lock().unwrap();
        assert_eq!(events.last().unwrap().kind.step(), Some("restart"));
    }

    /// The machine restarted between the server's word and the step's end.
    #[test]
    fn a_capture_the_server_has_is_not_taken_again() {
        let wish = CaptureWish {
            name: "office".to_owned(),
            profile: Profile::Fast,
            paranoid: false,
        };
        let mut job = job();
        job.assignment.work = Work::Capture {
            capture: CaptureOrder {
                wish,
                parent: None,
                after: 0,
                began: 0,
            },
        };
        let shelf = Shelf::default();
        let archive = Box::new(shelf.clone());
        let sequence = Sequence::capture_only();
        let mut journal = Journal::open(archive, sequence, FakeClock::patience()).unwrap();
        for kind in [
            EventKind::StepStarted {
                step: "capture-image".to_owned(),
            },
            EventKind::ImageCaptured {
                image: "ab".to_owned(),
                name: "office".to_owned(),
                sequence: 1,
            },
        ] {
            journal.record(kind).unwrap();
        }
        let outcome = work(&job, &mut journal, Phase::BootEnvironment, "here").unwrap();
        assert_eq!(outcome, Outcome::Finished);
        assert!(journal.state().succeeded());
    }

    #[test]
    fn a_run_that_has_failed_is_left_alone() {
        let shelf = Shelf::default();
        let mut journal = journal(&shelf);
        let step = "apply-image".to_owned();
        journal
            .record(EventKind::StepStarted { step: step.clone() })
            .unwrap();
        journal
            .record(EventKind::StepFailed {
                step,
                reason: "disk gone".to_owned(),
            })
            .unwrap();
        let before = shelf.events.lock().unwrap().len();
        let outcome = work(&job(), &mut journal, Phase::BootEnvironment, "here").unwrap();
        assert_eq!(outcome, Outcome::Ended("apply-image: disk gone".to_owned()));
        assert_eq!(shelf.events.lock().unwrap().len(), before);
    }
}

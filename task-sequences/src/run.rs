//! The state of a run is what its events add up to.

use inventory::OsFacts;

use crate::event::{Event, EventError, EventKind};
use crate::sequence::{Action, Phase, Sequence, Step};

/// How a step stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StepOutcome {
    /// Not begun.
    #[default]
    Pending,
    /// Begun; after a restart it runs again.
    Running,
    /// Ended well.
    Done,
    /// Failed, and why.
    Failed(String),
}

/// What an agent does now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<'sequence> {
    /// Do this step.
    Do(&'sequence Step),
    /// What is left runs elsewhere: leave this phase.
    Leave(Phase),
    /// Every step is done.
    Finished,
    /// The run has failed or was stopped: do nothing more.
    Ended(String),
}

/// What makes a run more than the word of its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// The countersigned receipt of an apply.
    Receipt,
    /// The image of a capture, found in the share.
    Image,
}

/// A run so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunState {
    steps: Vec<(String, Phase, StepOutcome)>,
    next_number: u64,
    /// What must still come before the run can be a success.
    unproven: Vec<Proof>,
    stopped: Option<String>,
    system: Option<OsFacts>,
}

impl RunState {
    /// A run of `sequence` in which nothing has happened.
    pub fn new(sequence: &Sequence) -> Self {
        let fresh = |step: &&Step| (step.name.clone(), step.phase, StepOutcome::Pending);
        Self {
            steps: sequence.steps().iter().map(fresh).collect(),
            next_number: 0,
            unproven: proofs(sequence),
            stopped: None,
            system: None,
        }
    }

    /// Adds up `events`.
    ///
    /// # Errors
    /// The first event that cannot have happened.
    pub fn replay<'e>(
        sequence: &Sequence,
        events: impl IntoIterator<Item = &'e Event>,
    ) -> Result<Self, EventError> {
        let mut state = Self::new(sequence);
        for event in events {
            state.record(sequence, event)?;
        }
        Ok(state)
    }

    /// Adds one event, or refuses it and stays as it was.
    ///
    /// # Errors
    /// Why it cannot have happened now.
    pub fn record(&mut self, sequence: &Sequence, event: &Event) -> Result<(), EventError> {
        if event.number != self.next_number {
            return Err(EventError::Number {
                expected: self.next_number,
                found: event.number,
            });
        }
        if self.end().is_some() {
            return Err(EventError::AfterEnd {
                number: event.number,
            });
        }
        if let Some(name) = event.kind.step() {
            self.record_step(sequence, name, event)?;
        }
        match &event.kind {
            EventKind::ReceiptStored => self.unproven.retain(|proof| *proof != Proof::Receipt),
            EventKind::ImageCaptured { .. } => {
                self.unproven.retain(|proof| *proof != Proof::Image);
            }
            EventKind::SystemReported { system, .. } => self.system = Some(system.clone()),
            EventKind::Stopped { reason } => self.stopped = Some(reason.clone()),
            _ => {}
        }
        self.next_number += 1;
        Ok(())
    }

    fn record_step(
        &mut self,
        sequence: &Sequence,
        name: &str,
        event: &Event,
    ) -> Result<(), EventError> {
        let unknown = || EventError::UnknownStep {
            number: event.number,
            step: name.to_owned(),
            sequence: sequence.name.clone(),
        };
        let step = self
            .steps
            .iter_mut()
            .find(|step| step.0 == name)
            .ok_or_else(unknown)?;
        let outcome = match &event.kind {
            EventKind::StepStarted { .. } => StepOutcome::Running,
            EventKind::StepFinished { .. } => StepOutcome::Done,
            EventKind::StepFailed { reason, .. } => StepOutcome::Failed(reason.clone()),
            _ => return Ok(()),
        };
        if outcome != StepOutcome::Running && step.2 != StepOutcome::Running {
            return Err(EventError::NotStarted {
                number: event.number,
                step: name.to_owned(),
            });
        }
        step.2 = outcome;
        Ok(())
    }

    /// What to do now for an agent in `phase`.
    pub fn next<'s>(&self, sequence: &'s Sequence, phase: Phase) -> Next<'s> {
        if let Some(reason) = self.end() {
            return Next::Ended(reason);
        }
        let open = |step: &&Step| self.outcome(&step.name) != Some(&StepOutcome::Done);
        match sequence.steps().into_iter().find(open) {
            None => Next::Finished,
            Some(step) if step.phase == phase => Next::Do(step),
            Some(step) => Next::Leave(step.phase),
        }
    }

    /// How the step of this name stands; `None`: there is no such step.
    pub fn outcome(&self, name: &str) -> Option<&StepOutcome> {
        self.steps
            .iter()
            .find(|step| step.0 == name)
            .map(|step| &step.2)
    }

    /// The number the next event must have.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Why the run ended before its time, if it did.
    pub fn end(&self) -> Option<String> {
        let failed = self
            .steps
            .iter()
            .find_map(|(name, _, outcome)| match outcome {
                StepOutcome::Failed(reason) => Some(format!("{name}: {reason}")),
                _ => None,
            });
        failed.or_else(|| self.stopped.clone())
    }

    /// Whether the server has what proves the run: the receipt of an apply, the
    /// image of a capture.
    pub fn proven(&self) -> bool {
        self.unproven.is_empty()
    }

    /// Whether the run succeeded: every step done *and* proven. A run without
    /// its proof is not a success, whatever its steps said.
    pub fn succeeded(&self) -> bool {
        self.proven() && self.end().is_none() && self.all_done()
    }

    /// Whether nothing but the installed system's own steps is left, so that
    /// the machine's next network boot belongs to its disk.
    pub fn disk_takes_over(&self) -> bool {
        self.proven()
            && self.end().is_none()
            && self.steps.iter().all(|(_, phase, outcome)| {
                *phase == Phase::Installed || *outcome == StepOutcome::Done
            })
    }

    /// The system that reported itself, if one did.
    pub fn system(&self) -> Option<&OsFacts> {
        self.system.as_ref()
    }

    fn all_done(&self) -> bool {
        self.steps
            .iter()
            .all(|(_, _, outcome)| *outcome == StepOutcome::Done)
    }
}

/// A run that applies nothing and captures nothing has no way to be proven
/// but a receipt.
fn proofs(sequence: &Sequence) -> Vec<Proof> {
    let steps = sequence.steps();
    let does = |action: Action| steps.iter().any(|step| step.action == action);
    let mut proofs = Vec::new();
    if does(Action::CaptureImage) {
        proofs.push(Proof::Image);
    }
    if does(Action::ApplyImage) || proofs.is_empty() {
        proofs.push(Proof::Receipt);
    }
    proofs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(kinds: Vec<EventKind>) -> Vec<Event> {
        (0..)
            .zip(kinds)
            .map(|(number, kind)| Event {
                number,
                time: 1,
                kind,
            })
            .collect()
    }

    fn started(step: &str) -> EventKind {
        EventKind::StepStarted {
            step: step.to_owned(),
        }
    }

    fn finished(step: &str) -> EventKind {
        EventKind::StepFinished {
            step: step.to_owned(),
        }
    }

    #[test]
    fn a_restart_in_the_middle_of_a_step_does_the_step_again() {
        let sequence = Sequence::image_only();
        let state = RunState::replay(&sequence, &events(vec![started("apply-image")])).unwrap();
        match state.next(&sequence, Phase::BootEnvironment) {
            Next::Do(step) => assert_eq!(step.name, "apply-image"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_run_without_a_receipt_is_no_success() {
        let sequence = Sequence::image_only();
        let names = ["apply-image", "boot-entry", "restart", "report-system"];
        let mut kinds: Vec<_> = names
            .iter()
            .flat_map(|n| [started(n), finished(n)])
            .collect();
        assert!(
            !RunState::replay(&sequence, &events(kinds.clone()))
                .unwrap()
                .succeeded()
        );
        kinds.insert(2, EventKind::ReceiptStored);
        let state = RunState::replay(&sequence, &events(kinds)).unwrap();
        assert!(state.succeeded());
        assert_eq!(state.next(&sequence, Phase::Installed), Next::Finished);
    }

    #[test]
    fn a_capture_is_a_success_once_its_image_is_there_and_no_receipt_replaces_it() {
        let sequence = Sequence::capture_only();
        let mut kinds: Vec<_> = ["capture-image", "restart"]
            .iter()
            .flat_map(|n| [started(n), finished(n)])
            .collect();
        kinds.insert(1, EventKind::ReceiptStored);
        let claimed = RunState::replay(&sequence, &events(kinds.clone())).unwrap();
        assert!(!claimed.succeeded() && !claimed.disk_takes_over());
        kinds[1] = EventKind::ImageCaptured {
            image: "ab".to_owned(),
            name: "office".to_owned(),
            sequence: 1,
        };
        let state = RunState::replay(&sequence, &events(kinds.clone())).unwrap();
        assert!(state.succeeded() && state.disk_takes_over());
        let apply = Sequence::image_only();
        let early = events(vec![kinds[1].clone()]);
        assert!(!RunState::replay(&apply, &early).unwrap().proven());
    }

    #[test]
    fn a_capture_does_nothing_that_writes() {
        let sequence = Sequence::capture_only();
        let writes = |action: &Action| matches!(action, Action::ApplyImage | Action::BootEntry);
        assert!(!sequence.steps().iter().any(|step| writes(&step.action)));
    }

    #[test]
    fn a_failed_step_ends_the_run() {
        let sequence = Sequence::image_only();
        let failed = EventKind::StepFailed {
            step: "apply-image".into(),
            reason: "disk gone".into(),
        };
        let mut list = events(vec![started("apply-image"), failed]);
        let state = RunState::replay(&sequence, &list).unwrap();
        assert_eq!(
            state.next(&sequence, Phase::BootEnvironment),
            Next::Ended("apply-image: disk gone".into())
        );
        list.push(Event {
            number: 2,
            time: 1,
            kind: started("restart"),
        });
        assert_eq!(
            RunState::replay(&sequence, &list),
            Err(EventError::AfterEnd { number: 2 })
        );
    }

    #[test]
    fn impossible_events_are_refused() {
        let sequence = Sequence::image_only();
        let gap = [Event {
            number: 1,
            time: 1,
            kind: started("restart"),
        }];
        assert!(matches!(
            RunState::replay(&sequence, &gap),
            Err(EventError::Number { .. })
        ));
        let stranger = events(vec![started("format-moon")]);
        assert!(matches!(
            RunState::replay(&sequence, &stranger),
            Err(EventError::UnknownStep { .. })
        ));
        let early = events(vec![finished("restart")]);
        assert!(matches!(
            RunState::replay(&sequence, &early),
            Err(EventError::NotStarted { .. })
        ));
    }

    #[test]
    fn the_disk_takes_over_once_only_installed_steps_are_left() {
        let sequence = Sequence::image_only();
        let mut kinds = vec![started("apply-image"), EventKind::ReceiptStored];
        kinds.push(finished("apply-image"));
        let early = RunState::replay(&sequence, &events(kinds.clone())).unwrap();
        assert!(!early.disk_takes_over());
        for step in ["boot-entry", "restart"] {
            kinds.extend([started(step), finished(step)]);
        }
        let state = RunState::replay(&sequence, &events(kinds)).unwrap();
        assert!(state.disk_takes_over() && !state.succeeded());
        assert_eq!(
            state.next(&sequence, Phase::BootEnvironment),
            Next::Leave(Phase::Installed)
        );
    }
}

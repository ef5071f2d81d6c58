//! What happened here, kept until the server has it.
//!
//! The run is its events: at the start they are replayed, and every new one is
//! numbered after them. What matters is sent before anything else is done;
//! mere progress may wait, so that an outage does not stop a disk being written.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use api::client::{Client, ClientError, Patience};
use task_sequences::{Event, EventKind, RunState, Sequence};

/// Progress events kept while the server is away; more of them say nothing new.
const MOST_UNSENT: usize = 32;
/// Pause between attempts to send progress to a server that did not answer.
const NEXT_ATTEMPT: Duration = Duration::from_secs(15);

/// Where events are kept for good.
pub(crate) trait Archive {
    /// All of the run's events.
    fn events(&self) -> Result<Vec<Event>, ClientError>;
    /// Adds events; answers with the number that is due next.
    fn add(&self, events: &[Event]) -> Result<u64, ClientError>;
}

impl Archive for Client {
    fn events(&self) -> Result<Vec<Event>, ClientError> {
        Client::events(self)
    }

    fn add(&self, events: &[Event]) -> Result<u64, ClientError> {
        self.add_events(events)
    }
}

/// The run as it stands, and what the server does not have yet.
pub(crate) struct Journal {
    archive: Box<dyn Archive + Send>,
    patience: Patience,
    sequence: Sequence,
    state: RunState,
    unsent: VecDeque<Event>,
    quiet_until: Duration,
}

impl Journal {
    /// Replays what the server has.
    pub(crate) fn open(
        archive: Box<dyn Archive + Send>,
        sequence: Sequence,
        patience: Patience,
    ) -> Result<Self> {
        let events = patience.call(|| archive.events())?;
        let state = RunState::replay(&sequence, &events)
            .context("the server's events of this run contradict each other")?;
        let unsent = VecDeque::new();
        Ok(Self {
            archive,
            patience,
            sequence,
            state,
            unsent,
            quiet_until: Duration::ZERO,
        })
    }

    /// The sequence of the run.
    pub(crate) fn sequence(&self) -> &Sequence {
        &self.sequence
    }

    /// What the events add up to.
    pub(crate) fn state(&self) -> &RunState {
        &self.state
    }

    /// Records what happened and returns once the server has it.
    pub(crate) fn record(&mut self, kind: EventKind) -> Result<()> {
        self.keep(kind)?;
        while !self.unsent.is_empty() {
            let events: Vec<Event> = self.unsent.iter().cloned().collect();
            let next = self.patience.call(|| self.archive.add(&events));
            self.stored_up_to(next.context("the server does not take this run's events")?)?;
        }
        Ok(())
    }

    /// Records progress without waiting for anybody.
    pub(crate) fn mention(&mut self, kind: EventKind) {
        let now = self.patience.clock().now();
        if self.unsent.len() >= MOST_UNSENT || self.keep(kind).is_err() || now < self.quiet_until {
            return;
        }
        let events: Vec<Event> = self.unsent.iter().cloned().collect();
        let sent = self.archive.add(&events);
        // What cannot be sent now is sent, or reported, with the next event
        // that matters.
        if !sent.is_ok_and(|next| self.stored_up_to(next).is_ok()) {
            self.quiet_until = self.patience.clock().now() + NEXT_ATTEMPT;
        }
    }

    fn keep(&mut self, kind: EventKind) -> Result<()> {
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let event = Event {
            number: self.state.next_number(),
            time,
            kind,
        };
        self.state.record(&self.sequence, &event)?;
        self.unsent.push_back(event);
        Ok(())
    }

    fn stored_up_to(&mut self, next: u64) -> Result<()> {
        let before = self.unsent.len();
        if next > self.state.next_number() {
            bail!("the server has events of this run that are not ours; is it done elsewhere too?");
        }
        self.unsent.retain(|event| event.number >= next);
        if self.unsent.len() == before && before > 0 {
            bail!("the server has stored none of the events it was sent");
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use api::client::Clock;
    use api::messages::run::{Assignment, Work};
    use image_format::ids::ImageId;
    use image_format::image::ImageRecord;
    use inventory::MachineId;

    use super::*;

    /// A clock that stands still but for those who sleep.
    #[derive(Default)]
    pub(crate) struct FakeClock(Mutex<Duration>);

    impl FakeClock {
        pub(crate) fn patience() -> Patience {
            Patience::for_ever(Arc::new(|_| {})).with_clock(Arc::new(Self::default()))
        }
    }

    impl Clock for FakeClock {
        fn now(&self) -> Duration {
            *self.0.lock().unwrap()
        }

        fn sleep(&self, pause: Duration) {
            *self.0.lock().unwrap() += pause;
        }
    }

    pub(crate) fn assignment() -> Assignment {
        let image = ImageId::of(b"image");
        Assignment {
            run: "run-1".to_owned(),
            machine: MachineId::new([1; 16]),
            name: "pc-1".to_owned(),
            work: Work::Apply {
                image,
                record: Box::new(ImageRecord {
                    image,
                    name: "office".to_owned(),
                    sequence: 1,
                    captured: 1,
                    parent: None,
                    system: None,
                    logical_size: 1,
                    entries: 1,
                    profile: None,
                    source: None,
                    witnesses: None,
                }),
                replace: false,
            },
            sequence: Sequence::image_only(),
            disk: None,
        }
    }

    #[derive(Clone, Default)]
    pub(crate) struct Shelf {
        pub(crate) events: Arc<Mutex<Vec<Event>>>,
        pub(crate) outages: Arc<Mutex<u32>>,
    }

    impl Archive for Shelf {
        fn events(&self) -> Result<Vec<Event>, ClientError> {
            Ok(self.events.lock().unwrap().clone())
        }

        fn add(&self, events: &[Event]) -> Result<u64, ClientError> {
            let mut outages = self.outages.lock().unwrap();
            if *outages > 0 {
                *outages -= 1;
                let (server, reason) = ("s".to_owned(), "r".to_owned());
                return Err(ClientError::Unreachable { server, reason });
            }
            let mut stored = self.events.lock().unwrap();
            for event in events {
                if event.number == stored.len() as u64 {
                    stored.push(event.clone());
                }
            }
            Ok(stored.len() as u64)
        }
    }

    pub(crate) fn journal(shelf: &Shelf) -> Journal {
        let archive = Box::new(shelf.clone());
        Journal::open(archive, Sequence::image_only(), FakeClock::patience()).unwrap()
    }

    fn started() -> EventKind {
        EventKind::StepStarted {
            step: "apply-image".to_owned(),
        }
    }

    fn progress(done: u64) -> EventKind {
        let (step, stage) = ("apply-image".to_owned(), "blocks".to_owned());
        EventKind::Progress {
            step,
            stage,
            done,
            total: 100,
        }
    }

    #[test]
    fn a_journal_opened_again_goes_on_where_the_last_one_stopped() {
        let shelf = Shelf::default();
        journal(&shelf).record(started()).unwrap();
        let mut again = journal(&shelf);
        assert_eq!(again.state().next_number(), 1);
        again.record(started()).unwrap();
        assert_eq!(shelf.events.lock().unwrap().len(), 2);
    }

    #[test]
    fn what_matters_waits_for_the_server_and_takes_waiting_progress_with_it() {
        let shelf = Shelf::default();
        let mut journal = journal(&shelf);
        journal.record(started()).unwrap();
        *shelf.outages.lock().unwrap() = 1;
        journal.mention(progress(1));
        journal.mention(progress(2));
        assert_eq!(shelf.events.lock().unwrap().len(), 1);
        *shelf.outages.lock().unwrap() = 3;
        journal
            .record(EventKind::StepFinished {
                step: "apply-image".to_owned(),
            })
            .unwrap();
        let numbers: Vec<_> = shelf
            .events
            .lock()
            .unwrap()
            .iter()
            .map(|e| e.number)
            .collect();
        assert_eq!(numbers, [0, 1, 2, 3]);
    }

    #[test]
    fn progress_during_a_long_outage_stays_bounded() {
        let shelf = Shelf::default();
        let mut journal = journal(&shelf);
        journal.record(started()).unwrap();
        *shelf.outages.lock().unwrap() = u32::MAX;
        (0..1000).for_each(|done| journal.mention(progress(done)));
        assert!(journal.unsent.len() <= MOST_UNSENT);
    }

    #[test]
    fn another_agent_at_the_same_run_is_noticed() {
        let shelf = Shelf::default();
        let mut one = journal(&shelf);
        let mut other = journal(&shelf);
        one.record(started()).unwrap();
        one.record(progress(1)).unwrap();
        assert!(other.record(started()).is_err());
    }

    #[test]
    fn impossible_events_are_refused_before_they_are_sent() {
        let shelf = Shelf::default();
        let finished = EventKind::StepFinished {
            step: "restart".to_owned(),
        };
        assert!(journal(&shelf).record(finished).is_err());
        assert!(shelf.events.lock().unwrap().is_empty());
    }
}

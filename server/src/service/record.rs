//! What a run tells: events in, receipt checked and countersigned.

use api::Receipt;
use api::messages::operator::ArrivedEvent;
use api::messages::run::{EventsStored, MoreEvents};
use image_format::store::RefName;
use task_sequences::{Event, EventKind, RunState};
use tracing::{info, warn};

use crate::db::{Progress, RunStanding, StoredRun};
use crate::error::Refusal;
use crate::service::{House, proof};

/// Events a run may tell: a day of progress every five seconds.
const MOST_EVENTS: usize = 20_000;

impl House {
    /// Adds events to a run. The same event again is no news and no error.
    pub(crate) async fn record(
        &self,
        now: u64,
        run: &str,
        more: MoreEvents,
    ) -> Result<EventsStored, Refusal> {
        let _ledger = self.ledger.lock().await;
        let run = self.run_now(run).await?;
        let stored = self.db.events(run.id().to_owned()).await?;
        let mut state = replayed(&run, &stored)?;
        let mut fresh = Vec::new();
        for event in more.events {
            if event.number < state.next_number() {
                let before = stored.iter().map(|arrived| &arrived.event).chain(&fresh);
                check_repeat(run.id(), before, &event)?;
                continue;
            }
            self.check_news(&run, &event).await?;
            state.record(&run.assignment.sequence, &event)?;
            fresh.push(event);
        }
        if stored.len().saturating_add(fresh.len()) > MOST_EVENTS {
            return Err(Refusal::TooManyEvents {
                run: run.id().to_owned(),
                limit: MOST_EVENTS,
            });
        }
        let next = state.next_number();
        if !fresh.is_empty() {
            let arrived = fresh.into_iter().map(|event| ArrivedEvent {
                arrived: now,
                event,
            });
            self.store(&run, arrived.collect(), &state).await?;
        }
        Ok(EventsStored { next })
    }

    /// Compares a receipt with the image and confirms it.
    pub(crate) async fn confirm(
        &self,
        now: u64,
        run: &str,
        receipt: Receipt,
    ) -> Result<Receipt, Refusal> {
        let run = self.run_now(run).await?;
        check_owner(&run, &receipt)?;
        if let Some(stored) = self.db.receipt(run.id().to_owned()).await?
            && stored.statement == receipt.statement
            && stored.run_key == receipt.run_key
        {
            return Ok(stored);
        }
        if run.standing != RunStanding::Open {
            return Err(run_over(&run));
        }
        let claimed = receipt.statement.proof.clone();
        let image = run.assignment.work.image().ok_or_else(no_apply)?;
        let compared = self
            .share
            .with_manifest(image, move |m| proof::compare(m, &claimed))
            .await?;
        let _ledger = self.ledger.lock().await;
        // Comparing took a while: another start of the machine may have the run now.
        let run = self.run_now(run.id()).await?;
        check_owner(&run, &receipt)?;
        if let Err(reason) = compared {
            warn!(
                run = run.id(),
                reason, "the receipt does not agree with the image"
            );
            self.fail(
                &run,
                format!("the receipt does not agree with the image: {reason}"),
            )
            .await?;
            return Err(Refusal::Disagreement { reason });
        }
        let foreign = |error: api::ReceiptError| Refusal::ForeignReceipt {
            reason: error.to_string(),
        };
        let confirmed = receipt.confirm(&self.key, now).map_err(foreign)?;
        self.db.save_receipt(confirmed.clone(), now).await?;
        info!(run = run.id(), machine = %run.assignment.machine, "receipt countersigned");
        Ok(confirmed)
    }

    /// Ends a run from here, as an event of its own, so that whoever replays
    /// it learns why.
    pub(crate) async fn stop(
        &self,
        now: u64,
        run: &StoredRun,
        reason: &str,
    ) -> Result<(), Refusal> {
        let _ledger = self.ledger.lock().await;
        let run = self.run_now(run.id()).await?;
        let stored = self.db.events(run.id().to_owned()).await?;
        let mut state = replayed(&run, &stored)?;
        if run.is_over() || state.end().is_some() {
            return Ok(());
        }
        let kind = EventKind::Stopped {
            reason: reason.to_owned(),
        };
        let event = Event {
            number: state.next_number(),
            time: now,
            kind,
        };
        state.record(&run.assignment.sequence, &event)?;
        self.store(
            &run,
            vec![ArrivedEvent {
                arrived: now,
                event,
            }],
            &state,
        )
        .await
    }

    async fn store(
        &self,
        run: &StoredRun,
        events: Vec<ArrivedEvent>,
        state: &RunState,
    ) -> Result<(), Refusal> {
        let standing = match &run.standing {
            // What this server found wrong no later event makes right.
            RunStanding::Failed(reason) => RunStanding::Failed(reason.clone()),
            _ => standing(state),
        };
        let changed = standing != run.standing;
        if changed {
            info!(run = run.id(), ?standing, "run");
        }
        let system = state.system().map(|system| system.name.clone());
        self.db
            .progress(
                run.id().to_owned(),
                Progress {
                    events,
                    standing,
                    system,
                },
            )
            .await?;
        if changed {
            self.refresh_roster().await
        } else {
            Ok(())
        }
    }

    async fn check_news(&self, run: &StoredRun, event: &Event) -> Result<(), Refusal> {
        if run.standing == RunStanding::Succeeded {
            return Err(run_over(run));
        }
        match &event.kind {
            EventKind::ReceiptStored => self.check_receipt(run, event.number).await,
            EventKind::ImageCaptured {
                image,
                name,
                sequence,
            } => {
                let at = RefName {
                    name: name.clone(),
                    sequence: *sequence,
                };
                self.check_captured(run, event.number, image, at).await
            }
            _ => Ok(()),
        }
    }

    async fn check_receipt(&self, run: &StoredRun, number: u64) -> Result<(), Refusal> {
        // One of before a power cut says nothing of the disk written since.
        let receipt = self.db.receipt(run.id().to_owned()).await?;
        match receipt.filter(|receipt| receipt.run_key == run.key) {
            Some(_) => Ok(()),
            None => Err(Refusal::NoReceiptForEvent { number }),
        }
    }

    async fn fail(&self, run: &StoredRun, reason: String) -> Result<(), Refusal> {
        let standing = RunStanding::Failed(reason);
        let progress = Progress {
            events: Vec::new(),
            standing,
            system: run.system.clone(),
        };
        self.db.progress(run.id().to_owned(), progress).await?;
        self.refresh_roster().await
    }

    /// The run as it is now, not as it was when its token was looked up.
    async fn run_now(&self, run: &str) -> Result<StoredRun, Refusal> {
        let found = self.db.run(run.to_owned()).await?;
        found.ok_or_else(|| Refusal::UnknownRun {
            run: run.to_owned(),
        })
    }
}

/// A run that takes nothing more.
pub(crate) fn run_over(run: &StoredRun) -> Refusal {
    Refusal::RunOver {
        run: run.id().to_owned(),
        state: state_words(&run.standing),
    }
}

/// How a run stands, for people.
pub(crate) fn state_words(standing: &RunStanding) -> String {
    match standing {
        RunStanding::Open | RunStanding::DiskTakesOver => "running".to_owned(),
        RunStanding::Succeeded => "succeeded".to_owned(),
        RunStanding::Failed(reason) => format!("failed: {reason}"),
    }
}

fn standing(state: &RunState) -> RunStanding {
    if let Some(reason) = state.end() {
        RunStanding::Failed(reason)
    } else if state.succeeded() {
        RunStanding::Succeeded
    } else if state.disk_takes_over() {
        RunStanding::DiskTakesOver
    } else {
        RunStanding::Open
    }
}

fn replayed(run: &StoredRun, stored: &[ArrivedEvent]) -> Result<RunState, Refusal> {
    let events = stored.iter().map(|arrived| &arrived.event);
    Ok(RunState::replay(&run.assignment.sequence, events)?)
}

fn check_repeat<'e>(
    run: &str,
    mut before: impl Iterator<Item = &'e Event>,
    event: &Event,
) -> Result<(), Refusal> {
    if before.any(|stored| stored == event) {
        return Ok(());
    }
    Err(Refusal::EventConflict {
        run: run.to_owned(),
        number: event.number,
    })
}

fn no_apply() -> Refusal {
    Refusal::ForeignReceipt {
        reason: "the run applies no image".to_owned(),
    }
}

/// Refuses a receipt that was made for another run, or by somebody else.
fn check_owner(run: &StoredRun, receipt: &Receipt) -> Result<(), Refusal> {
    let (statement, assignment) = (&receipt.statement, &run.assignment);
    let belongs = [
        ("run", statement.run == assignment.run),
        ("machine", statement.machine == assignment.machine),
        ("name", statement.name == assignment.name),
        (
            "image",
            assignment.work.image() == Some(statement.proof.image),
        ),
        ("key", receipt.run_key == run.key),
    ];
    if let Some((what, _)) = belongs.iter().find(|(_, same)| !same) {
        return Err(Refusal::ForeignReceipt {
            reason: format!("it names another {what}"),
        });
    }
    receipt
        .check_claim()
        .map_err(|error| Refusal::ForeignReceipt {
            reason: error.to_string(),
        })
}

//! What an operator sees and orders.

use api::Receipt;
use api::messages::operator::{Approval, Machine, NewMachine, RunDetail, RunSummary};
use api::messages::run::{CaptureWish, Work};
use api::trust::normal_code;
use inventory::MachineId;
use tracing::info;

use crate::db::audit::Act;
use crate::db::{KnownMachine, RunStanding, StoredRun};
use crate::error::Refusal;
use crate::service::assign::check_host_name;
use crate::service::captures::check_wish;
use crate::service::enrol::{merged, words};
use crate::service::record::state_words;
use crate::service::roster::Recognised;
use crate::service::sessions::Session;
use crate::service::{House, fresh_id};

/// Who acts with the operator's token; there is one for now.
const OPERATOR: &str = "operator";

impl House {
    /// Lets the machine in that shows a code, for one run.
    pub(crate) async fn approve(&self, now: u64, approval: Approval) -> Result<Machine, Refusal> {
        let code = normal_code(&approval.code);
        let mut sessions = self.sessions.lock().await;
        let session = sessions.by_code(now, &code)?;
        let mut machine = self.machine_of(session).await?;
        let wishes = Wishes {
            name: approval.name,
            image: approval.image,
            capture: approval.capture,
        };
        self.wish(&mut machine, wishes).await?;
        machine.identity = merged(&machine.identity, &session.facts);
        machine.facts = Some(session.facts.clone());
        self.replace_other_run(now, &machine).await?;
        let id = machine.id;
        let subject = format!("code {code}, {}", words(&machine));
        let act = Act {
            time: now,
            who: OPERATOR.to_owned(),
            what: "approve",
            subject,
        };
        self.db.save_machine(machine, act).await?;
        // Only now: an approval that could not be written down is none.
        session.approved = true;
        session.code = None;
        info!(machine = %id, "approved");
        self.refresh_roster().await?;
        let session = session.clone();
        self.shown(&self.known(id).await?, Some(&session)).await
    }

    /// Makes a machine known before it comes, or orders a known one anew.
    pub(crate) async fn pre_stage(&self, now: u64, order: NewMachine) -> Result<Machine, Refusal> {
        let mut identity = order.identity;
        identity
            .addresses
            .retain(inventory::HardwareAddr::identifies);
        if identity.is_empty() {
            return Err(Refusal::NoIdentity);
        }
        let sessions = self.sessions.lock().await;
        let mut machine = match self.recognise(&identity) {
            Recognised::Known { id, .. } => self.known(id).await?,
            Recognised::Doubtful(other) => {
                return Err(Refusal::DoubtfulIdentity {
                    machine: other.to_string(),
                });
            }
            Recognised::Stranger => {
                let id = match sessions.like(&identity) {
                    Some(id) => id,
                    None => MachineId::new(fresh_id()?),
                };
                KnownMachine::stranger(id, identity.clone())
            }
        };
        for address in identity.addresses {
            if !machine.identity.addresses.contains(&address) {
                machine.identity.addresses.push(address);
            }
        }
        machine.identity.uuid = machine.identity.uuid.or(identity.uuid);
        machine.identity.serial = machine.identity.serial.or(identity.serial);
        machine.replace = order.replace;
        machine.capture = None;
        let wishes = Wishes {
            name: order.name,
            image: order.image,
            capture: order.capture,
        };
        self.wish(&mut machine, wishes).await?;
        machine.disk = order.disk;
        machine.unattended = order.unattended;
        machine.ordered = true;
        if let Some(run) = self.db.latest_run(machine.id).await? {
            self.stop(now, &run, "replaced by a new order").await?;
        }
        let subject = words(&machine);
        let id = machine.id;
        let act = Act {
            time: now,
            who: OPERATOR.to_owned(),
            what: "pre-stage",
            subject,
        };
        self.db.save_machine(machine, act).await?;
        info!(machine = %id, "pre-staged");
        self.refresh_roster().await?;
        drop(sessions);
        self.shown(&self.known(id).await?, None).await
    }

    /// All machines: those remembered, then those that wait and are not.
    pub(crate) async fn list_machines(&self, now: u64) -> Result<Vec<Machine>, Refusal> {
        let mut sessions = self.sessions.lock().await;
        let open: Vec<Session> = sessions.all(now).into_iter().cloned().collect();
        drop(sessions);
        let known = self.db.machines().await?;
        let mut machines = Vec::with_capacity(known.len());
        for machine in &known {
            let session = open.iter().find(|session| session.machine == machine.id);
            machines.push(self.shown(machine, session).await?);
        }
        for session in open
            .iter()
            .filter(|s| known.iter().all(|machine| machine.id != s.machine))
        {
            let stranger = KnownMachine::stranger(session.machine, session.identity.clone());
            machines.push(self.shown(&stranger, Some(session)).await?);
        }
        Ok(machines)
    }

    /// All runs in short, oldest first.
    pub(crate) async fn list_runs(&self) -> Result<Vec<RunSummary>, Refusal> {
        Ok(self.db.runs().await?.iter().map(summary).collect())
    }

    /// One run with what happened.
    pub(crate) async fn run_detail(&self, run: &str) -> Result<RunDetail, Refusal> {
        let unknown = || Refusal::UnknownRun {
            run: run.to_owned(),
        };
        let stored = self.db.run(run.to_owned()).await?.ok_or_else(unknown)?;
        let events = self.db.events(run.to_owned()).await?;
        Ok(RunDetail {
            summary: summary(&stored),
            events,
        })
    }

    /// The countersigned receipt of a run.
    pub(crate) async fn run_receipt(&self, run: &str) -> Result<Receipt, Refusal> {
        let unknown = || Refusal::UnknownRun {
            run: run.to_owned(),
        };
        self.db.run(run.to_owned()).await?.ok_or_else(unknown)?;
        let receipt = self.db.receipt(run.to_owned()).await?;
        receipt.ok_or_else(|| Refusal::NoReceipt {
            run: run.to_owned(),
        })
    }

    /// Puts an operator's wishes into a machine, if they can be.
    async fn wish(&self, machine: &mut KnownMachine, wishes: Wishes) -> Result<(), Refusal> {
        if let Some(name) = wishes.name {
            check_host_name(&name)?;
            machine.name = Some(name);
        }
        match (wishes.image, wishes.capture) {
            (Some(_), Some(_)) => Err(Refusal::Malformed {
                reason: "a machine either gets an image or is captured".to_owned(),
            }),
            (Some(image), None) => {
                self.share.find(&image).await?;
                machine.image = Some(image);
                machine.capture = None;
                Ok(())
            }
            (None, Some(capture)) => {
                check_wish(&capture)?;
                machine.capture = Some(capture);
                // Whatever becomes of the capture, what was ordered before it
                // never writes over the disk it is about.
                (machine.image, machine.replace) = (None, false);
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }

    /// An approval that names another image or name than the open run's ends
    /// that run; otherwise the run goes on.
    async fn replace_other_run(&self, now: u64, machine: &KnownMachine) -> Result<(), Refusal> {
        let Some(run) = self.db.latest_run(machine.id).await? else {
            return Ok(());
        };
        let same_name = machine
            .name
            .as_ref()
            .is_none_or(|name| *name == run.assignment.name);
        if same_name && self.is_same_work(machine, &run.assignment.work).await? {
            Ok(())
        } else {
            self.stop(now, &run, "replaced at its approval").await
        }
    }

    /// Whether what is ordered of a machine is what a run of it does.
    async fn is_same_work(&self, machine: &KnownMachine, work: &Work) -> Result<bool, Refusal> {
        let (image, record) = match (&machine.capture, work) {
            (Some(wish), Work::Capture { capture }) => return Ok(*wish == capture.wish),
            (None, Work::Apply { image, record, .. }) => (image, record),
            _ => return Ok(false),
        };
        let Some(ordered) = &machine.image else {
            return Ok(true);
        };
        match self.share.find(ordered).await {
            Ok(found) => Ok(found.name == record.name || found.image == *image),
            Err(Refusal::UnknownImage { .. }) => Ok(true),
            Err(other) => Err(other),
        }
    }

    async fn known(&self, id: MachineId) -> Result<KnownMachine, Refusal> {
        let found = self.db.machine(id).await?;
        found.ok_or_else(|| Refusal::Internal {
            reason: format!("machine {id} was not kept"),
        })
    }

    async fn shown(
        &self,
        machine: &KnownMachine,
        session: Option<&Session>,
    ) -> Result<Machine, Refusal> {
        let run = self.db.latest_run(machine.id).await?;
        let code = session
            .and_then(|session| session.code.as_ref())
            .map(|(code, _)| code.clone());
        let facts = session
            .map(|session| session.facts.clone())
            .or_else(|| machine.facts.clone());
        Ok(Machine {
            id: machine.id,
            name: machine.name.clone(),
            identity: machine.identity.clone(),
            standing: standing(machine, session, run.as_ref()).to_owned(),
            facts,
            code,
            run: run.map(|run| run.id().to_owned()),
        })
    }
}

/// What an operator wants of a machine, as far as it was said.
struct Wishes {
    name: Option<String>,
    image: Option<String>,
    capture: Option<CaptureWish>,
}

/// The word for how a machine stands.
fn standing(
    machine: &KnownMachine,
    session: Option<&Session>,
    run: Option<&StoredRun>,
) -> &'static str {
    if session.is_some_and(|session| session.code.is_some()) {
        return "waiting";
    }
    if session.is_some_and(|session| session.approved) {
        return "approved";
    }
    match run.filter(|_| !machine.ordered).map(|run| &run.standing) {
        Some(RunStanding::Open | RunStanding::DiskTakesOver) => "running",
        Some(RunStanding::Succeeded) => "done",
        Some(RunStanding::Failed(_)) => "failed",
        None if machine.ordered => "expected",
        None => "waiting",
    }
}

fn summary(run: &StoredRun) -> RunSummary {
    RunSummary {
        run: run.id().to_owned(),
        machine: run.assignment.machine,
        name: run.assignment.name.clone(),
        image: run.assignment.work.image_name().to_owned(),
        captures: run.assignment.work.capture().is_some(),
        state: state_words(&run.standing),
        started: run.started,
        last: run.last,
        receipt: run.receipt,
        system: run.system.clone(),
    }
}

//! A machine says hello: who is it, may it, and what is it to do.

use std::net::IpAddr;

use api::Signed;
use api::messages::machine::{Choice, Hello, ImageChoice, Questions, Reveal, Standing, Welcome};
use api::messages::run::{Assignment, Work};
use api::trust::{Nonce, commitment, short_code};
use inventory::{Identity, MachineFacts, MachineId};
use task_sequences::Sequence;
use tracing::{info, warn};

use crate::db::audit::Act;
use crate::db::{KnownMachine, RunStanding, StoredRun};
use crate::error::Refusal;
use crate::service::assign::{Decision, check_host_name, decide, image_choice, suggested_name};
use crate::service::roster::Recognised;
use crate::service::sessions::{Given, Session};
use crate::service::{House, fresh_id, secret, token_hash};

/// The kind of statement an assignment is signed as.
const ASSIGNMENT: &str = "assignment";
/// Seconds between two questions of a waiting machine.
const RETRY: u32 = 2;
/// The same when waiting cannot end before somebody changes the share.
const SLOW_RETRY: u32 = 15;
/// More adapters or disks than any machine has.
const MOST_PARTS: usize = 256;

impl House {
    /// Begins a conversation. Nothing is written down for a stranger.
    pub(crate) async fn hello(
        &self,
        now: u64,
        from: IpAddr,
        hello: Hello,
    ) -> Result<Welcome, Refusal> {
        if hello.facts.addresses.len() > MOST_PARTS || hello.facts.disks.len() > MOST_PARTS {
            return Err(Refusal::Hello {
                reason: "it names more than 256 adapters or disks",
            });
        }
        let identity = Identity::of(&hello.facts);
        let mut sessions = self.sessions.lock().await;
        let recognised = self.recognise(&identity);
        let machine = match recognised {
            Recognised::Known { id, .. } => id,
            Recognised::Doubtful(_) | Recognised::Stranger => match sessions.like(&identity) {
                Some(id) => id,
                None => MachineId::new(fresh_id()?),
            },
        };
        if let Recognised::Doubtful(other) = recognised {
            warn!(%machine, %other, %from, "a machine shares some names with a known one and contradicts others");
        }
        info!(%machine, %from, agent = hello.agent, ?recognised, "hello");
        let session = Session {
            machine,
            facts: hello.facts,
            identity,
            key: hello.key,
            commitment: hello.commitment,
            nonce: Nonce::random()?,
            from,
            heard: now,
            code: None,
            approved: false,
            given: None,
        };
        let welcome = Welcome {
            session: secret()?,
            nonce: session.nonce,
        };
        sessions.begin(now, welcome.session.clone(), session)?;
        Ok(welcome)
    }

    /// How the machine of a conversation stands.
    pub(crate) async fn standing(
        &self,
        now: u64,
        name: &str,
        reveal: &Reveal,
    ) -> Result<Standing, Refusal> {
        let mut sessions = self.sessions.lock().await;
        let session = sessions.get(now, name)?;
        if commitment(&reveal.nonce) != session.commitment {
            warn!(machine = %session.machine, from = %session.from, "a nonce that was not committed to");
            sessions.end(name);
            return Err(Refusal::WrongNonce);
        }
        let machine = self.machine_of(session).await?;
        let latest = self.db.latest_run(machine.id).await?;
        if let Some(standing) = repeated(session, latest.as_ref()) {
            return Ok(standing);
        }
        match decide(&machine, latest.as_ref(), session.approved) {
            Decision::Wait => {
                if session.code.is_none() {
                    let server = self.key.public();
                    let code = short_code(&server, &session.key, &reveal.nonce, &session.nonce);
                    session.code = Some((code, now));
                }
                Ok(Standing::Waiting { retry: RETRY })
            }
            Decision::Ask => self.questions(&machine, session).await.map(Standing::Ask),
            Decision::Nothing => Ok(Standing::Nothing {
                reason: done(&machine, latest.as_ref()),
            }),
            Decision::TakeUp => match latest {
                Some(run) => self.take_up(now, session, run).await,
                None => Ok(Standing::Waiting { retry: RETRY }),
            },
            Decision::Start => self.start(now, session, machine).await,
        }
    }

    /// Takes the answers given at a machine.
    pub(crate) async fn choose(&self, now: u64, name: &str, choice: Choice) -> Result<(), Refusal> {
        let mut sessions = self.sessions.lock().await;
        let session = sessions.get(now, name)?;
        let mut machine = self.machine_of(session).await?;
        let latest = self.db.latest_run(machine.id).await?;
        if decide(&machine, latest.as_ref(), session.approved) != Decision::Ask {
            return Err(Refusal::NotAsked);
        }
        if machine
            .image
            .as_ref()
            .is_some_and(|ordered| *ordered != choice.image)
        {
            return Err(Refusal::UnknownImage {
                image: choice.image,
            });
        }
        check_host_name(&choice.name)?;
        self.share.find(&choice.image).await?;
        machine.image = Some(choice.image);
        machine.name = Some(choice.name);
        let act = Act {
            time: now,
            who: format!("machine {}", machine.id),
            what: "choice",
            subject: words(&machine),
        };
        info!(machine = %machine.id, subject = act.subject, "choice");
        self.db.save_machine(machine, act).await?;
        self.refresh_roster().await
    }

    /// Who has these names.
    pub(crate) fn recognise(&self, identity: &Identity) -> Recognised {
        self.roster
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .recognise(identity)
    }

    /// The machine as remembered, or as it would be once let in.
    pub(crate) async fn machine_of(&self, session: &Session) -> Result<KnownMachine, Refusal> {
        let known = self.db.machine(session.machine).await?;
        Ok(known
            .unwrap_or_else(|| KnownMachine::stranger(session.machine, session.identity.clone())))
    }

    async fn questions(
        &self,
        machine: &KnownMachine,
        session: &Session,
    ) -> Result<Questions, Refusal> {
        let images = match &machine.image {
            // Decided already: the answer must name it as it was ordered.
            Some(image) => {
                let record = self.share.find(image).await?;
                vec![ImageChoice {
                    name: image.clone(),
                    ..image_choice(&record)
                }]
            }
            None => self
                .share
                .images()
                .await?
                .iter()
                .map(image_choice)
                .collect(),
        };
        let suggested = || suggested_name(&session.facts);
        Ok(Questions {
            images,
            suggested_name: machine.name.clone().unwrap_or_else(suggested),
        })
    }

    async fn take_up(
        &self,
        now: u64,
        session: &mut Session,
        run: StoredRun,
    ) -> Result<Standing, Refusal> {
        let token = secret()?;
        let ledger = self.ledger.lock().await;
        let id = run.id().to_owned();
        self.db
            .take_up_run(id, token_hash(&token), session.key, now)
            .await?;
        drop(ledger);
        info!(run = run.id(), machine = %session.machine, "run taken up again");
        self.hand_over(session, token, &run.assignment)
    }

    async fn start(
        &self,
        now: u64,
        session: &mut Session,
        mut machine: KnownMachine,
    ) -> Result<Standing, Refusal> {
        let work = match self.work_for(now, &machine).await {
            Err(Refusal::UnknownImage { image }) => {
                warn!(machine = %machine.id, image, "an image that is not in the share is ordered");
                return Ok(Standing::Waiting { retry: SLOW_RETRY });
            }
            found => found?,
        };
        let run: String = fresh_id()?
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let assignment = Assignment {
            run,
            machine: machine.id,
            name: machine
                .name
                .clone()
                .unwrap_or_else(|| work.image_name().to_owned()),
            sequence: match &work {
                Work::Apply { .. } => Sequence::image_only(),
                Work::Capture { .. } => Sequence::capture_only(),
            },
            work,
            disk: machine.disk.clone(),
        };
        let who = format!("machine {}", machine.id);
        let subject = format!("run {} of {}", assignment.run, words(&machine));
        machine.facts = Some(session.facts.clone());
        self.db
            .save_machine(
                machine,
                Act {
                    time: now,
                    who,
                    what: "start",
                    subject,
                },
            )
            .await?;
        let token = secret()?;
        let stored = StoredRun {
            assignment: assignment.clone(),
            key: session.key,
            started: now,
            last: now,
            standing: RunStanding::Open,
            system: None,
            receipt: false,
        };
        self.db.start_run(stored, token_hash(&token)).await?;
        self.refresh_roster().await?;
        info!(run = assignment.run, machine = %assignment.machine, name = assignment.name,
              image = assignment.work.image_name(), sequence = assignment.sequence.name,
              "run started");
        self.hand_over(session, token, &assignment)
    }

    /// Signs, remembers for a repeated question, and uses the approval up.
    fn hand_over(
        &self,
        session: &mut Session,
        token: String,
        assignment: &Assignment,
    ) -> Result<Standing, Refusal> {
        let signed = Signed::new(ASSIGNMENT, assignment, &self.key)?;
        let run = assignment.run.clone();
        session.given = Some(Given {
            token: token.clone(),
            assignment: signed.clone(),
            run,
        });
        session.approved = false;
        session.code = None;
        Ok(Standing::Assigned {
            token,
            assignment: signed,
        })
    }

    /// The assignment of a run, signed anew.
    pub(crate) fn signed(&self, run: &StoredRun) -> Result<Signed<Assignment>, Refusal> {
        Ok(Signed::new(ASSIGNMENT, &run.assignment, &self.key)?)
    }
}

/// The answer of before, when this conversation's run is still going on.
fn repeated(session: &Session, latest: Option<&StoredRun>) -> Option<Standing> {
    let given = session.given.as_ref()?;
    let open = latest.is_some_and(|run| run.id() == given.run && run.standing == RunStanding::Open);
    let again = || Standing::Assigned {
        token: given.token.clone(),
        assignment: given.assignment.clone(),
    };
    open.then(again)
}

fn done(machine: &KnownMachine, latest: Option<&StoredRun>) -> String {
    let name = machine.name.as_deref().unwrap_or("this machine");
    match latest.map(|run| &run.assignment.work) {
        Some(work @ Work::Capture { .. }) => format!(
            "{name} was captured as {}; to capture it again, order it at the server",
            work.image_name()
        ),
        work => {
            let image = work.map_or("its image", Work::image_name);
            format!("{name} holds {image}; to deploy it again, order it at the server")
        }
    }
}

/// A machine with what it is to get, for the audit log.
pub(crate) fn words(machine: &KnownMachine) -> String {
    let name = machine.name.as_deref().unwrap_or("(no name yet)");
    let image = match (&machine.capture, &machine.image) {
        (Some(wish), _) => format!("captured as {:?}", wish.name),
        (None, Some(image)) => image.clone(),
        (None, None) => "(chosen at the machine)".to_owned(),
    };
    let disk = machine.disk.as_deref().unwrap_or("the only one that fits");
    format!(
        "machine {} name {name} image {image} disk {disk} replace {} unattended {}",
        machine.id, machine.replace, machine.unattended
    )
}

/// What a machine that was let in adds to what it is recognised by.
pub(crate) fn merged(known: &Identity, facts: &MachineFacts) -> Identity {
    let seen = Identity::of(facts);
    let mut identity = known.clone();
    identity.uuid = identity.uuid.or(seen.uuid);
    identity.serial = identity.serial.or(seen.serial);
    for address in seen.addresses {
        if !identity.addresses.contains(&address) {
            identity.addresses.push(address);
        }
    }
    identity
}

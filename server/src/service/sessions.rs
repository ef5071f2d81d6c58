//! Conversations with machines that have no run yet. In memory only: strangers
//! cost nothing that outlives them, and after a restart everybody says hello
//! again. No clock: `now` is handed in, in seconds since 1970.

use std::collections::HashMap;
use std::net::IpAddr;

use api::messages::run::Assignment;
use api::trust::Nonce;
use api::{PublicKey, Signed};
use inventory::{Identity, MachineFacts, MachineId, Standing as Likeness};

use crate::error::Refusal;

/// A conversation nobody uses ends after this: an hour, so that a person can
/// think at the machine.
const IDLE: u64 = 3600;
/// How long a short code is good.
pub(crate) const CODE_LIFETIME: u64 = 30 * 60;
/// Machines that wait at once. With their facts (64 KiB at most, commonly 2)
/// they must fit into the server's memory even when somebody floods it.
const LIMIT: usize = 512;
/// Of these from one address: machines behind one translating router.
const LIMIT_PER_ADDRESS: usize = 64;

/// One conversation.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The machine, or the id it will have once it is let in.
    pub(crate) machine: MachineId,
    /// What it said of itself.
    pub(crate) facts: MachineFacts,
    /// What can be compared of it.
    pub(crate) identity: Identity,
    /// The key of this start.
    pub(crate) key: PublicKey,
    /// The hash of its nonce.
    pub(crate) commitment: Nonce,
    /// Our nonce.
    pub(crate) nonce: Nonce,
    /// Where it calls from.
    pub(crate) from: IpAddr,
    /// When it was last heard.
    pub(crate) heard: u64,
    /// The code it shows, and since when.
    pub(crate) code: Option<(String, u64)>,
    /// A person has let it in, for one run.
    pub(crate) approved: bool,
    /// The run it was given, so that an answer that got lost can be repeated.
    pub(crate) given: Option<Given>,
}

/// A run as it was handed to a machine.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// Its token.
    pub(crate) token: String,
    /// What to do.
    pub(crate) assignment: Signed<Assignment>,
    /// The run.
    pub(crate) run: String,
}

impl Session {
    fn is_over(&self, now: u64) -> bool {
        let old_code = |(_, shown): &(String, u64)| now.saturating_sub(*shown) > CODE_LIFETIME;
        now.saturating_sub(self.heard) > IDLE || self.code.as_ref().is_some_and(old_code)
    }
}

/// All of them, by their secret names.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: HashMap<String, Session>,
}

impl Sessions {
    /// Begins a conversation; an earlier one of the same machine ends.
    pub(crate) fn begin(
        &mut self,
        now: u64,
        secret: String,
        session: Session,
    ) -> Result<(), Refusal> {
        self.forget(now);
        self.open
            .retain(|_, other| other.machine != session.machine);
        let near = self
            .open
            .values()
            .filter(|other| other.from == session.from)
            .count();
        if self.open.len() >= LIMIT || near >= LIMIT_PER_ADDRESS {
            return Err(Refusal::TooManySessions);
        }
        self.open.insert(secret, session);
        Ok(())
    }

    /// The conversation of this secret name.
    pub(crate) fn get(&mut self, now: u64, secret: &str) -> Result<&mut Session, Refusal> {
        self.forget(now);
        let session = self.open.get_mut(secret).ok_or(Refusal::UnknownSession)?;
        session.heard = now;
        Ok(session)
    }

    /// Ends a conversation.
    pub(crate) fn end(&mut self, secret: &str) {
        self.open.remove(secret);
    }

    /// The one machine that shows this code now.
    pub(crate) fn by_code(&mut self, now: u64, code: &str) -> Result<&mut Session, Refusal> {
        self.forget(now);
        let shows = |session: &&mut Session| session.code.as_ref().is_some_and(|(c, _)| c == code);
        let mut found: Vec<_> = self.open.values_mut().filter(shows).collect();
        match (found.pop(), found.is_empty()) {
            // Two machines with one code would be a chance of 2 to the -40: refuse both.
            (Some(session), true) => Ok(session),
            _ => Err(Refusal::UnknownCode {
                code: code.to_owned(),
            }),
        }
    }

    /// The id under which a machine like this talks to us already.
    pub(crate) fn like(&self, identity: &Identity) -> Option<MachineId> {
        let same =
            |session: &&Session| identity.compare(&session.identity).standing == Likeness::Same;
        self.open.values().find(same).map(|session| session.machine)
    }

    /// Every conversation that is not over, oldest word first.
    pub(crate) fn all(&mut self, now: u64) -> Vec<&Session> {
        self.forget(now);
        let mut all: Vec<_> = self.open.values().collect();
        all.sort_by_key(|session| {
            (
                session.code.as_ref().map(|(_, shown)| *shown),
                session.machine,
            )
        });
        all
    }

    fn forget(&mut self, now: u64) {
        self.open.retain(|_, session| !session.is_over(now));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn session(machine: u8, from: u8) -> Session {
        Session {
            machine: MachineId::new([machine; 16]),
            facts: MachineFacts::default(),
            identity: Identity {
                serial: Some(machine.to_string()),
                ..Identity::default()
            },
            key: PublicKey::new([machine; 32]),
            commitment: Nonce::new([1; 32]),
            nonce: Nonce::new([2; 32]),
            from: Ipv4Addr::new(10, 0, 0, from).into(),
            heard: 0,
            code: None,
            approved: false,
            given: None,
        }
    }

    #[test]
    fn a_second_hello_of_a_machine_ends_the_first() {
        let mut sessions = Sessions::default();
        sessions.begin(0, "a".into(), session(1, 1)).unwrap();
        sessions.begin(0, "b".into(), session(1, 2)).unwrap();
        assert!(sessions.get(0, "a").is_err());
        assert!(sessions.get(0, "b").is_ok());
    }

    #[test]
    fn a_code_is_good_for_thirty_minutes_and_its_session_no_longer() {
        let mut sessions = Sessions::default();
        let code = Some(("AAAA-AAAA".to_owned(), 0));
        sessions
            .begin(
                0,
                "a".into(),
                Session {
                    code,
                    ..session(1, 1)
                },
            )
            .unwrap();
        assert!(sessions.get(CODE_LIFETIME, "a").is_ok());
        assert!(sessions.by_code(CODE_LIFETIME, "AAAA-AAAA").is_ok());
        assert!(sessions.by_code(CODE_LIFETIME + 1, "AAAA-AAAA").is_err());
        assert!(sessions.get(CODE_LIFETIME + 1, "a").is_err());
    }

    #[test]
    fn a_code_that_two_machines_show_approves_neither() {
        let mut sessions = Sessions::default();
        for machine in [1, 2] {
            let code = Some(("AAAA-AAAA".to_owned(), 0));
            let session = Session {
                code,
                ..session(machine, 1)
            };
            sessions.begin(0, machine.to_string(), session).unwrap();
        }
        assert!(sessions.by_code(0, "AAAA-AAAA").is_err());
    }

    #[test]
    fn a_flood_is_bounded_by_address_and_in_all() {
        let mut sessions = Sessions::default();
        let mut id = [0; 16];
        let mut begun = 0;
        for number in 0..2000_u16 {
            id[..2].copy_from_slice(&number.to_le_bytes());
            let from = u8::try_from(number % 20).unwrap();
            let stranger = Session {
                machine: MachineId::new(id),
                ..session(1, from)
            };
            begun += usize::from(sessions.begin(0, number.to_string(), stranger).is_ok());
        }
        assert_eq!(begun, LIMIT);
        assert!(sessions.begin(IDLE + 1, "x".into(), session(9, 1)).is_ok());
    }
}

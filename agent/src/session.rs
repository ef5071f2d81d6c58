//! From "who is there?" to a signed assignment.
//!
//! The machine commits to a nonce, learns the server's, reveals its own, and
//! shows the code that follows from both keys and both nonces. Then it asks
//! how it stands until it has a run, answers what is open, or learns that
//! there is nothing to do. An outage or a restart of the server loses nothing:
//! it waits, and says hello again if its conversation is forgotten.

use std::time::Duration;

use anyhow::{Context, Result};
use api::client::{Client, ClientError, Patience};
use api::messages::machine::{Choice, Hello, Reveal, Standing, Welcome};
use api::messages::run::Assignment;
use api::trust::{self, Nonce, PublicKey, SigningKey};
use inventory::MachineFacts;

use crate::screen::Screen;
use crate::wizard;

/// The kind of statement an assignment is signed as.
const ASSIGNMENT: &str = "assignment";
/// Pauses between questions, whatever the server asks for.
const SHORTEST_PAUSE: u32 = 1;
const LONGEST_PAUSE: u32 = 60;
/// Pause before a forgotten conversation begins anew.
const NEW_HELLO: Duration = Duration::from_secs(2);

/// The server as a machine without a run sees it.
pub(crate) trait Door {
    /// Presents the machine.
    fn hello(&self, hello: &Hello) -> Result<Welcome, ClientError>;
    /// Asks how it stands.
    fn standing(&self, session: &str, reveal: &Reveal) -> Result<Standing, ClientError>;
    /// Answers what is open.
    fn choose(&self, session: &str, choice: &Choice) -> Result<(), ClientError>;
    /// The key it holds.
    fn key(&self) -> PublicKey;
}

impl Door for Client {
    fn hello(&self, hello: &Hello) -> Result<Welcome, ClientError> {
        Client::hello(self, hello)
    }

    fn standing(&self, session: &str, reveal: &Reveal) -> Result<Standing, ClientError> {
        Client::standing(self, session, reveal)
    }

    fn choose(&self, session: &str, choice: &Choice) -> Result<(), ClientError> {
        Client::choose(self, session, choice)
    }

    fn key(&self) -> PublicKey {
        Client::key(self)
    }
}

/// How it ended.
pub(crate) enum Granted {
    /// There is a run.
    Run(Box<Run>),
    /// There is nothing to do, and why.
    Nothing(String),
}

/// A run that was assigned to this machine.
pub(crate) struct Run {
    /// Bearer token.
    pub(crate) token: String,
    /// What to do, as the server signed it.
    pub(crate) assignment: Assignment,
    /// The key that the run's receipt is signed with.
    pub(crate) key: SigningKey,
    /// Whether somebody at the machine chose it.
    pub(crate) chosen_here: bool,
}

/// Speaks with the server until it has decided. Fails only for what waiting
/// cannot mend.
pub(crate) fn negotiate(
    door: &dyn Door,
    facts: &MachineFacts,
    screen: &Screen,
    patience: &Patience,
) -> Result<Granted> {
    loop {
        let conversation = Conversation::begin(door, facts, patience)
            .context("the server does not take this machine's hello")?;
        match conversation.until_decided(screen, patience) {
            Ok(Decided::Run(run)) => return Ok(Granted::Run(run)),
            Ok(Decided::Nothing(reason)) => return Ok(Granted::Nothing(reason)),
            Ok(Decided::Forgotten) => {
                screen.say("The server has forgotten this conversation; it begins anew.");
                patience.clock().sleep(NEW_HELLO);
            }
            Err(error) => return Err(error),
        }
    }
}

enum Decided {
    Run(Box<Run>),
    Nothing(String),
    Forgotten,
}

struct Conversation<'d> {
    door: &'d dyn Door,
    key: SigningKey,
    session: String,
    reveal: Reveal,
    code: String,
}

impl<'d> Conversation<'d> {
    fn begin(door: &'d dyn Door, facts: &MachineFacts, patience: &Patience) -> Result<Self> {
        let (key, _) = SigningKey::generate()?;
        let ours = Nonce::random()?;
        let hello = Hello {
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            facts: facts.clone(),
            key: key.public(),
            commitment: trust::commitment(&ours),
        };
        let welcome = patience.call(|| door.hello(&hello))?;
        Ok(Self {
            door,
            code: trust::short_code(&door.key(), &key.public(), &ours, &welcome.nonce),
            session: welcome.session,
            key,
            reveal: Reveal { nonce: ours },
        })
    }

    fn until_decided(self, screen: &Screen, patience: &Patience) -> Result<Decided> {
        let (mut shown, mut chosen_here) = (false, false);
        loop {
            let standing = match patience.call(|| self.door.standing(&self.session, &self.reveal)) {
                Err(error) if is_forgotten(&error) => return Ok(Decided::Forgotten),
                other => other.context("the server does not say how this machine stands")?,
            };
            match standing {
                Standing::Waiting { retry } => {
                    if !shown {
                        show_code(screen, &self.code);
                        shown = true;
                    }
                    let pause = retry.clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
                    patience
                        .clock()
                        .sleep(Duration::from_secs(u64::from(pause)));
                }
                Standing::Ask(questions) => {
                    let choice = wizard::choose(screen, &questions)?;
                    match patience.call(|| self.door.choose(&self.session, &choice)) {
                        Err(error) if is_forgotten(&error) => return Ok(Decided::Forgotten),
                        // Said at the machine, and asked again.
                        Err(error @ ClientError::Refused { .. }) => screen.say(error.to_string()),
                        other => other.context("the answers cannot be sent")?,
                    }
                    chosen_here = true;
                }
                Standing::Assigned { token, assignment } => {
                    let assignment = assignment
                        .open(ASSIGNMENT, &self.door.key())
                        .context("the assignment is not the server's; nothing was done")?;
                    let key = self.key;
                    return Ok(Decided::Run(Box::new(Run {
                        token,
                        assignment,
                        key,
                        chosen_here,
                    })));
                }
                Standing::Nothing { reason } => return Ok(Decided::Nothing(reason)),
            }
        }
    }
}

/// Conversations live in the server's memory: after its restart, or after an
/// hour, it knows nothing of them.
fn is_forgotten(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Refused {
            status: 401 | 403 | 404 | 410,
            ..
        }
    )
}

fn show_code(screen: &Screen, code: &str) {
    screen.gap();
    screen.say("This machine waits for approval.");
    screen.gap();
    screen.say(format!("    Code:  {code}"));
    screen.say(format!("    Run:   mimeo machine approve {code}"));
    screen.gap();
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use api::ErrorBody;

    use super::*;
    use crate::journal::tests::{FakeClock, assignment};
    use crate::screen::tests::scripted;

    struct Script {
        key: SigningKey,
        hello: RefCell<Vec<Hello>>,
        answers: RefCell<VecDeque<Result<Standing, ClientError>>>,
        choices: RefCell<Vec<Choice>>,
    }

    impl Script {
        fn new(answers: Vec<Result<Standing, ClientError>>) -> Self {
            Self {
                key: SigningKey::generate().unwrap().0,
                hello: RefCell::default(),
                answers: RefCell::new(answers.into()),
                choices: RefCell::default(),
            }
        }
    }

    impl Door for Script {
        fn hello(&self, hello: &Hello) -> Result<Welcome, ClientError> {
            self.hello.borrow_mut().push(hello.clone());
            Ok(Welcome {
                session: "s".to_owned(),
                nonce: Nonce::new([7; 32]),
            })
        }

        fn standing(&self, _session: &str, reveal: &Reveal) -> Result<Standing, ClientError> {
            let hello = self.hello.borrow().last().unwrap().clone();
            assert_eq!(trust::commitment(&reveal.nonce), hello.commitment);
            self.answers.borrow_mut().pop_front().unwrap()
        }

        fn choose(&self, _session: &str, choice: &Choice) -> Result<(), ClientError> {
            self.choices.borrow_mut().push(choice.clone());
            Ok(())
        }

        fn key(&self) -> PublicKey {
            self.key.public()
        }
    }

    fn refused(status: u16) -> ClientError {
        let body = ErrorBody {
            code: "c".to_owned(),
            message: "m".to_owned(),
        };
        ClientError::Refused { status, body }
    }

    fn gone() -> ClientError {
        ClientError::Unreachable {
            server: "s".to_owned(),
            reason: "r".to_owned(),
        }
    }

    fn ask(script: &Script, answers: &[&str]) -> (Result<Granted>, String) {
        let (screen, said) = scripted(answers);
        let patience = FakeClock::patience();
        let granted = negotiate(script, &MachineFacts::default(), &screen, &patience);
        (granted, said.text())
    }

    #[test]
    fn the_code_is_shown_once_while_it_waits_and_outages_are_waited_out() {
        let script = Script::new(vec![
            Ok(Standing::Waiting { retry: 0 }),
            Err(gone()),
            Ok(Standing::Waiting { retry: 2 }),
            Ok(Standing::Nothing {
                reason: "done".to_owned(),
            }),
        ]);
        let (granted, said) = ask(&script, &[]);
        assert!(matches!(granted, Ok(Granted::Nothing(reason)) if reason == "done"));
        assert_eq!(said.matches("mimeo machine approve").count(), 1);
    }

    #[test]
    fn a_forgotten_conversation_begins_anew_with_another_key() {
        let script = Script::new(vec![
            Ok(Standing::Waiting { retry: 1 }),
            Err(refused(404)),
            Ok(Standing::Waiting { retry: 1 }),
            Ok(Standing::Nothing {
                reason: String::new(),
            }),
        ]);
        let (granted, said) = ask(&script, &[]);
        assert!(granted.is_ok());
        let hello = script.hello.borrow();
        assert_eq!(hello.len(), 2);
        assert_ne!(hello[0].key, hello[1].key);
        assert_eq!(said.matches("mimeo machine approve").count(), 2);
    }

    #[test]
    fn an_assignment_by_another_key_is_not_obeyed() {
        let (other, _) = SigningKey::generate().unwrap();
        let signed = api::Signed::new(ASSIGNMENT, &assignment(), &other).unwrap();
        let script = Script::new(vec![Ok(Standing::Assigned {
            token: "t".to_owned(),
            assignment: signed,
        })]);
        assert!(ask(&script, &[]).0.is_err());
    }

    #[test]
    fn what_is_open_is_answered_at_the_machine_and_then_assigned() {
        let script = Script::new(vec![]);
        let signed = api::Signed::new(ASSIGNMENT, &assignment(), &script.key).unwrap();
        let image = |name: &str| api::messages::machine::ImageChoice {
            name: name.to_owned(),
            description: String::new(),
        };
        let questions = api::messages::machine::Questions {
            images: vec![image("office")],
            suggested_name: "pc-1".to_owned(),
        };
        script.answers.borrow_mut().extend([
            Ok(Standing::Ask(questions)),
            Ok(Standing::Assigned {
                token: "t".to_owned(),
                assignment: signed,
            }),
        ]);
        let (granted, _) = ask(&script, &["1", ""]);
        let Ok(Granted::Run(run)) = granted else {
            panic!("no run")
        };
        assert!(run.chosen_here);
        assert_eq!((run.token.as_str(), run.assignment), ("t", assignment()));
        let expected = Choice {
            image: "office".to_owned(),
            name: "pc-1".to_owned(),
        };
        assert_eq!(*script.choices.borrow(), [expected]);
    }
}

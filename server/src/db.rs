//! What is remembered. All SQL of the program is in this folder; the rest
//! speaks to [`Database`] and never learns the dialect.

pub(crate) mod audit;
mod leases;
mod machines;
mod row;
mod runs;
pub(crate) mod sqlite;
mod tokens;

use std::future::Future;
use std::pin::Pin;

use api::messages::operator::ArrivedEvent;
use api::messages::run::{Assignment, CaptureWish};
use api::{PublicKey, Receipt};
use inventory::{Identity, MachineFacts, MachineId};
use pxe::dhcp::lease::Lease;
use thiserror::Error;

use audit::Act;

/// What a question to the database gives, later.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, DbError>> + Send + 'a>>;

/// A machine as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownMachine {
    /// Its id.
    pub(crate) id: MachineId,
    /// Its name; no two machines share one, whatever the letters' case.
    pub(crate) name: Option<String>,
    /// What it is recognised by.
    pub(crate) identity: Identity,
    /// What it last said of itself, once it was let in.
    pub(crate) facts: Option<MachineFacts>,
    /// Image to apply, by name.
    pub(crate) image: Option<String>,
    /// What to capture of it instead; an order to do so names no image to apply.
    pub(crate) capture: Option<CaptureWish>,
    /// The disk it is about, by a name that stays with it.
    pub(crate) disk: Option<String>,
    /// Whether another system on the disk may be overwritten unasked.
    pub(crate) replace: bool,
    /// Whether it starts without a person's approval.
    pub(crate) unattended: bool,
    /// Whether there is an order to deploy that no run has taken up yet.
    pub(crate) ordered: bool,
}

impl KnownMachine {
    /// A machine of which nothing is known but its names.
    pub(crate) fn stranger(id: MachineId, identity: Identity) -> Self {
        Self {
            id,
            name: None,
            identity,
            facts: None,
            image: None,
            capture: None,
            disk: None,
            replace: false,
            unattended: false,
            ordered: false,
        }
    }
}

/// How a run stands, as its events add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunStanding {
    /// Work is going on in the boot environment.
    Open,
    /// Only the installed system's own steps are left.
    DiskTakesOver,
    /// Every step done, and proven: a receipt stored, an image captured.
    Succeeded,
    /// It ended, and why.
    Failed(String),
}

/// A run as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredRun {
    /// What it was told; its own id is in there.
    pub(crate) assignment: Assignment,
    /// The key its receipt must be signed with.
    pub(crate) key: PublicKey,
    /// When it began.
    pub(crate) started: u64,
    /// When something last happened.
    pub(crate) last: u64,
    /// How it stands.
    pub(crate) standing: RunStanding,
    /// The system that reported itself.
    pub(crate) system: Option<String>,
    /// Whether a countersigned receipt is stored.
    pub(crate) receipt: bool,
}

impl StoredRun {
    /// Its id.
    pub(crate) fn id(&self) -> &str {
        &self.assignment.run
    }

    /// Whether nothing more is expected of it.
    pub(crate) fn is_over(&self) -> bool {
        matches!(
            self.standing,
            RunStanding::Succeeded | RunStanding::Failed(_)
        )
    }
}

/// What a token for a share opens; the token itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShareToken {
    /// What people call it.
    pub(crate) label: String,
    /// Which share.
    pub(crate) share: String,
    /// Names it may capture under, `*` for any text; `None`: it only reads.
    pub(crate) writes: Option<String>,
    /// When it was made.
    pub(crate) created: u64,
}

/// More of a run, stored all at once.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    /// Events, numbers following the stored ones.
    pub(crate) events: Vec<ArrivedEvent>,
    /// How the run stands after them.
    pub(crate) standing: RunStanding,
    /// The system that reported itself, if one has.
    pub(crate) system: Option<String>,
}

/// The server's memory. Every change is durable when its answer is there, and
/// happens whole or not at all.
pub(crate) trait Database: Send + Sync {
    /// All machines, in the order they became known.
    fn machines(&self) -> Answer<'_, Vec<KnownMachine>>;
    /// One machine.
    fn machine(&self, id: MachineId) -> Answer<'_, Option<KnownMachine>>;
    /// Keeps a machine, new or changed, with who ordered it.
    fn save_machine(&self, machine: KnownMachine, act: Act) -> Answer<'_, ()>;

    /// All runs, oldest first.
    fn runs(&self) -> Answer<'_, Vec<StoredRun>>;
    /// One run.
    fn run(&self, id: String) -> Answer<'_, Option<StoredRun>>;
    /// The run whose token has this hash.
    fn run_by_token(&self, token_hash: String) -> Answer<'_, Option<StoredRun>>;
    /// A machine's latest run.
    fn latest_run(&self, machine: MachineId) -> Answer<'_, Option<StoredRun>>;
    /// Begins a run; the machine's order is taken up by it.
    fn start_run(&self, run: StoredRun, token_hash: String) -> Answer<'_, ()>;
    /// Gives an open run to another start of its machine: new token, new key.
    fn take_up_run(
        &self,
        id: String,
        token_hash: String,
        key: PublicKey,
        now: u64,
    ) -> Answer<'_, ()>;
    /// What happened in a run, in order.
    fn events(&self, run: String) -> Answer<'_, Vec<ArrivedEvent>>;
    /// Adds to what happened. A run that has succeeded has carried out what was
    /// to be captured of its machine.
    fn progress(&self, run: String, progress: Progress) -> Answer<'_, ()>;
    /// Keeps the countersigned receipt in place of an earlier one of its run.
    fn save_receipt(&self, receipt: Receipt, now: u64) -> Answer<'_, ()>;
    /// The countersigned receipt.
    fn receipt(&self, run: String) -> Answer<'_, Option<Receipt>>;

    /// All DHCP leases written down.
    fn leases(&self) -> Answer<'_, Vec<Lease>>;
    /// Writes a lease down in place of the address's former one.
    fn save_lease(&self, lease: Lease) -> Answer<'_, ()>;

    /// All tokens for shares, by label.
    fn share_tokens(&self) -> Answer<'_, Vec<ShareToken>>;
    /// What the token with this hash opens.
    fn share_token(&self, hash: String) -> Answer<'_, Option<ShareToken>>;
    /// Keeps a new one, with who ordered it; its label must be new.
    fn save_share_token(&self, token: ShareToken, hash: String, act: Act) -> Answer<'_, ()>;
    /// Takes one away, with who ordered it; whether there was one.
    fn remove_share_token(&self, label: String, act: Act) -> Answer<'_, bool>;

    /// Checks the chain of the audit log; the number of its rows.
    fn check_audit(&self) -> Answer<'_, u64>;
}

/// What went wrong with the memory.
#[derive(Debug, Error)]
pub(crate) enum DbError {
    /// The database refused or failed.
    #[error("{doing} in the server's database")]
    Sql {
        /// What was being done, as `reading machines`.
        doing: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The tables could not be brought up to date.
    #[error("bringing the database's tables up to date; was it written by a newer version?")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A value that this version cannot read.
    #[error(
        "{column} in the server's database is not what it should be: {reason}; restore the database from a backup"
    )]
    Content {
        /// Which column.
        column: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Two machines cannot have one name.
    #[error("another machine is called {name:?} already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Somebody changed the log.
    #[error("the audit log was altered: row {number} does not follow from the rows before it")]
    AuditBroken {
        /// The first row that does not fit.
        number: u64,
    },
}

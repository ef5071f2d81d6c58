//! The memory in one SQLite file.

use std::path::Path;
use std::time::Duration;

use api::messages::operator::ArrivedEvent;
use api::{PublicKey, Receipt};
use inventory::MachineId;
use pxe::dhcp::lease::Lease;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::audit::{self, Act};
use super::row::failed;
use super::{
    Answer, Database, DbError, KnownMachine, Progress, ShareToken, StoredRun, leases, machines,
    runs, tokens,
};

/// How long a change waits for another program that holds the file, such as a backup.
const PATIENCE: Duration = Duration::from_secs(20);

/// The database in a file.
#[derive(Debug)]
pub(crate) struct Sqlite {
    pool: SqlitePool,
}

impl Sqlite {
    /// Opens the file, makes it if it is not there, and brings its tables up
    /// to date.
    pub(crate) async fn open(file: &Path) -> Result<Self, DbError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // With NORMAL a power cut may take back what a machine was told is stored.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE);
        // One connection: SQLite has one writer anyway, and so nothing here
        // ever finds the file busy with another of our own requests.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .connect_with(options)
            .await
            .map_err(failed("opening the file"))?;
        sqlx::migrate!("./migrations").run(&pool).await?;
        Ok(Self { pool })
    }
}

impl Database for Sqlite {
    fn machines(&self) -> Answer<'_, Vec<KnownMachine>> {
        Box::pin(machines::all(&self.pool))
    }

    fn machine(&self, id: MachineId) -> Answer<'_, Option<KnownMachine>> {
        Box::pin(machines::one(&self.pool, id))
    }

    fn save_machine(&self, machine: KnownMachine, act: Act) -> Answer<'_, ()> {
        Box::pin(machines::save(&self.pool, machine, act))
    }

    fn runs(&self) -> Answer<'_, Vec<StoredRun>> {
        Box::pin(runs::all(&self.pool))
    }

    fn run(&self, id: String) -> Answer<'_, Option<StoredRun>> {
        Box::pin(runs::by_id(&self.pool, id))
    }

    fn run_by_token(&self, token_hash: String) -> Answer<'_, Option<StoredRun>> {
        Box::pin(runs::by_token(&self.pool, token_hash))
    }

    fn latest_run(&self, machine: MachineId) -> Answer<'_, Option<StoredRun>> {
        Box::pin(runs::latest(&self.pool, machine))
    }

    fn start_run(&self, run: StoredRun, token_hash: String) -> Answer<'_, ()> {
        Box::pin(runs::start(&self.pool, run, token_hash))
    }

    fn take_up_run(
        &self,
        id: String,
        token_hash: String,
        key: PublicKey,
        now: u64,
    ) -> Answer<'_, ()> {
        Box::pin(runs::take_up(&self.pool, id, token_hash, key, now))
    }

    fn events(&self, run: String) -> Answer<'_, Vec<ArrivedEvent>> {
        Box::pin(runs::events(&self.pool, run))
    }

    fn progress(&self, run: String, progress: Progress) -> Answer<'_, ()> {
        Box::pin(runs::progress(&self.pool, run, progress))
    }

    fn save_receipt(&self, receipt: Receipt, now: u64) -> Answer<'_, ()> {
        Box::pin(runs::save_receipt(&self.pool, receipt, now))
    }

    fn receipt(&self, run: String) -> Answer<'_, Option<Receipt>> {
        Box::pin(runs::receipt(&self.pool, run))
    }

    fn leases(&self) -> Answer<'_, Vec<Lease>> {
        Box::pin(leases::all(&self.pool))
    }

    fn save_lease(&self, lease: Lease) -> Answer<'_, ()> {
        Box::pin(leases::save(&self.pool, lease))
    }

    fn share_tokens(&self) -> Answer<'_, Vec<ShareToken>> {
        Box::pin(tokens::all(&self.pool))
    }

    fn share_token(&self, hash: String) -> Answer<'_, Option<ShareToken>> {
        Box::pin(tokens::by_hash(&self.pool, hash))
    }

    fn save_share_token(&self, token: ShareToken, hash: String, act: Act) -> Answer<'_, ()> {
        Box::pin(tokens::save(&self.pool, token, hash, act))
    }

    fn remove_share_token(&self, label: String, act: Act) -> Answer<'_, bool> {
        Box::pin(tokens::remove(&self.pool, label, act))
    }

    fn check_audit(&self) -> Answer<'_, u64> {
        Box::pin(audit::check(&self.pool))
    }
}

//! The rules of the house. Nothing here speaks HTTP or SQL.

pub(crate) mod assign;
pub(crate) mod captures;
pub(crate) mod enrol;
pub(crate) mod leases;
pub(crate) mod operate;
pub(crate) mod policy;
pub(crate) mod proof;
pub(crate) mod record;
pub(crate) mod roster;
pub(crate) mod sessions;
pub(crate) mod share;
pub(crate) mod shares;
pub(crate) mod tokens;
pub(crate) mod vault;

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use api::SigningKey;
use api::trust::Nonce;

use crate::config::Config;
use crate::db::Database;
use crate::error::Refusal;
use roster::Roster;
use sessions::Sessions;
use share::ShareRoom;
use shares::Shares;

/// Findings kept for people; the boot services tell each once.
const FINDINGS: usize = 256;

/// Everything the server has, shared by all requests.
pub(crate) struct House {
    /// What it was told at the start.
    pub(crate) config: Config,
    /// Its one key.
    pub(crate) key: SigningKey,
    /// The hash of the operator's token.
    pub(crate) operator: blake3::Hash,
    /// Its memory.
    pub(crate) db: Arc<dyn Database>,
    /// The deployment share.
    pub(crate) share: ShareRoom,
    /// All shares, for image builders elsewhere.
    pub(crate) shares: Shares,
    /// Machines that talk to it without a run. Held through every decision
    /// about one, so that two requests never decide for the same machine.
    pub(crate) sessions: tokio::sync::Mutex<Sessions>,
    /// Held while a run changes.
    pub(crate) ledger: tokio::sync::Mutex<()>,
    /// Who is who.
    pub(crate) roster: Arc<RwLock<Roster>>,
    findings: Mutex<Vec<String>>,
}

impl House {
    /// The house with nobody in it; [`House::refresh_roster`] comes next.
    pub(crate) fn new(
        config: Config,
        key: SigningKey,
        operator: &str,
        db: Arc<dyn Database>,
        share: ShareRoom,
    ) -> Self {
        Self {
            shares: Shares::of(&config),
            config,
            key,
            operator: blake3::hash(operator.as_bytes()),
            db,
            share,
            sessions: tokio::sync::Mutex::default(),
            ledger: tokio::sync::Mutex::default(),
            roster: Arc::default(),
            findings: Mutex::default(),
        }
    }

    /// Reads machines and runs anew for the boot services.
    pub(crate) async fn refresh_roster(&self) -> Result<(), Refusal> {
        let roster = Roster::new(&self.db.machines().await?, &self.db.runs().await?);
        *self.roster.write().unwrap_or_else(PoisonError::into_inner) = roster;
        Ok(())
    }

    /// Keeps something heard on the wire for people to see.
    pub(crate) fn found(&self, finding: String) {
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if findings.len() < FINDINGS && !findings.contains(&finding) {
            findings.push(finding);
        }
    }

    /// What was heard so far.
    pub(crate) fn findings(&self) -> Vec<String> {
        self.findings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Seconds since 1970 by this server's clock.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// A fresh secret: 32 random bytes as text.
fn secret() -> Result<String, Refusal> {
    Ok(Nonce::random()?.to_string())
}

/// A fresh id of 16 random bytes.
fn fresh_id() -> Result<[u8; 16], Refusal> {
    let mut id = [0; 16];
    for (byte, random) in id.iter_mut().zip(Nonce::random()?.as_bytes()) {
        *byte = *random;
    }
    Ok(id)
}

/// What is kept of a token: who reads the database cannot use it.
pub(crate) fn token_hash(token: &str) -> String {
    blake3::hash(token.as_bytes()).to_hex().to_string()
}

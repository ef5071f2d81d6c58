//! Runs, what happened in them, and their receipts.

use api::messages::operator::ArrivedEvent;
use api::{PublicKey, Receipt};
use inventory::MachineId;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteRow;

use super::row::{failed, flag, json, maybe, number, parsed, signed, text, to_json};
use super::{DbError, Progress, RunStanding, StoredRun};

impl RunStanding {
    fn word(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::DiskTakesOver => "disk-takes-over",
            Self::Succeeded => "succeeded",
            Self::Failed(_) => "failed",
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::Failed(reason) => Some(reason),
            _ => None,
        }
    }

    fn from_row(row: &SqliteRow) -> Result<Self, DbError> {
        match text(row, "standing")?.as_str() {
            "open" => Ok(Self::Open),
            "disk-takes-over" => Ok(Self::DiskTakesOver),
            "succeeded" => Ok(Self::Succeeded),
            "failed" => Ok(Self::Failed(maybe(row, "reason")?.unwrap_or_default())),
            other => Err(DbError::Content {
                column: "runs.standing",
                reason: format!("{other:?} is no standing this version knows"),
            }),
        }
    }
}

fn from_row(row: &SqliteRow) -> Result<StoredRun, DbError> {
    Ok(StoredRun {
        assignment: json(row, "assignment")?,
        key: parsed(row, "key")?,
        started: number(row, "started")?,
        last: number(row, "last")?,
        standing: RunStanding::from_row(row)?,
        system: maybe(row, "system")?,
        receipt: flag(row, "receipt")?,
    })
}

/// All of them, oldest first.
pub(super) async fn all(pool: &SqlitePool) -> Result<Vec<StoredRun>, DbError> {
    let rows = sqlx::query(
        "SELECT *, EXISTS (SELECT 1 FROM receipts WHERE run = runs.id) AS receipt
         FROM runs ORDER BY seq",
    )
    .fetch_all(pool)
    .await
    .map_err(failed("reading runs"))?;
    rows.iter().map(from_row).collect()
}

/// The one with this id.
pub(super) async fn by_id(pool: &SqlitePool, id: String) -> Result<Option<StoredRun>, DbError> {
    let row = sqlx::query(
        "SELECT *, EXISTS (SELECT 1 FROM receipts WHERE run = runs.id) AS receipt
         FROM runs WHERE id = ?",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
    .map_err(failed("reading a run"))?;
    row.as_ref().map(from_row).transpose()
}

/// The one whose token has this hash.
pub(super) async fn by_token(
    pool: &SqlitePool,
    hash: String,
) -> Result<Option<StoredRun>, DbError> {
    let row = sqlx::query(
        "SELECT *, EXISTS (SELECT 1 FROM receipts WHERE run = runs.id) AS receipt
         FROM runs WHERE token_hash = ?",
    )
    .bind(hash)
    .fetch_optional(pool)
    .await
    .map_err(failed("reading a run"))?;
    row.as_ref().map(from_row).transpose()
}

/// A machine's newest.
pub(super) async fn latest(
    pool: &SqlitePool,
    machine: MachineId,
) -> Result<Option<StoredRun>, DbError> {
    let row = sqlx::query(
        "SELECT *, EXISTS (SELECT 1 FROM receipts WHERE run = runs.id) AS receipt
         FROM runs WHERE machine = ? ORDER BY seq DESC LIMIT 1",
    )
    .bind(machine.to_string())
    .fetch_optional(pool)
    .await
    .map_err(failed("reading a run"))?;
    row.as_ref().map(from_row).transpose()
}

/// Begins one and closes the order it carries out.
pub(super) async fn start(
    pool: &SqlitePool,
    run: StoredRun,
    token_hash: String,
) -> Result<(), DbError> {
    let mut change = pool.begin().await.map_err(failed("beginning a change"))?;
    sqlx::query(
        "INSERT INTO runs (id, machine, assignment, token_hash, key, started, last, standing, reason)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(run.id())
    .bind(run.assignment.machine.to_string())
    .bind(to_json("runs.assignment", &run.assignment)?)
    .bind(token_hash)
    .bind(run.key.to_string())
    .bind(signed("runs.started", run.started)?)
    .bind(signed("runs.last", run.last)?)
    .bind(run.standing.word())
    .bind(run.standing.reason())
    .execute(&mut *change)
    .await
    .map_err(failed("beginning a run"))?;
    sqlx::query("UPDATE machines SET ordered = 0 WHERE id = ?")
        .bind(run.assignment.machine.to_string())
        .execute(&mut *change)
        .await
        .map_err(failed("closing an order"))?;
    change.commit().await.map_err(failed("beginning a run"))
}

/// Gives one to another start of its machine.
pub(super) async fn take_up(
    pool: &SqlitePool,
    id: String,
    token_hash: String,
    key: PublicKey,
    now: u64,
) -> Result<(), DbError> {
    sqlx::query("UPDATE runs SET token_hash = ?, key = ?, last = ? WHERE id = ?")
        .bind(token_hash)
        .bind(key.to_string())
        .bind(signed("runs.last", now)?)
        .bind(id)
        .execute(pool)
        .await
        .map_err(failed("taking up a run"))?;
    Ok(())
}

/// What happened, in order.
pub(super) async fn events(pool: &SqlitePool, run: String) -> Result<Vec<ArrivedEvent>, DbError> {
    let rows = sqlx::query("SELECT arrived, event FROM events WHERE run = ? ORDER BY number")
        .bind(run)
        .fetch_all(pool)
        .await
        .map_err(failed("reading events"))?;
    rows.iter()
        .map(|row| {
            Ok(ArrivedEvent {
                arrived: number(row, "arrived")?,
                event: json(row, "event")?,
            })
        })
        .collect()
}

/// Adds events and how the run stands after them.
pub(super) async fn progress(
    pool: &SqlitePool,
    run: String,
    progress: Progress,
) -> Result<(), DbError> {
    let mut change = pool.begin().await.map_err(failed("beginning a change"))?;
    for arrived in &progress.events {
        sqlx::query("INSERT INTO events (run, number, arrived, event) VALUES (?, ?, ?, ?)")
            .bind(&run)
            .bind(signed("events.number", arrived.event.number)?)
            .bind(signed("events.arrived", arrived.arrived)?)
            .bind(to_json("events.event", &arrived.event)?)
            .execute(&mut *change)
            .await
            .map_err(failed("keeping an event"))?;
    }
    let last = progress
        .events
        .last()
        .map(|e| signed("runs.last", e.arrived))
        .transpose()?;
    sqlx::query(
        "UPDATE runs SET last = coalesce(?, last), standing = ?, reason = ?, system = ? WHERE id = ?",
    )
    .bind(last)
    .bind(progress.standing.word())
    .bind(progress.standing.reason())
    .bind(&progress.system)
    .bind(&run)
    .execute(&mut *change)
    .await
    .map_err(failed("keeping how a run stands"))?;
    if progress.standing == RunStanding::Succeeded {
        // An order that came meanwhile is not this run's.
        sqlx::query(
            "UPDATE machines SET capture = NULL
             WHERE ordered = 0 AND id = (SELECT machine FROM runs WHERE id = ?)",
        )
        .bind(&run)
        .execute(&mut *change)
        .await
        .map_err(failed("closing an order to capture"))?;
    }
    change.commit().await.map_err(failed("keeping events"))
}

/// Keeps a receipt. A disk that was written again has a new one.
pub(super) async fn save_receipt(
    pool: &SqlitePool,
    receipt: Receipt,
    now: u64,
) -> Result<(), DbError> {
    sqlx::query("INSERT OR REPLACE INTO receipts (run, stored, receipt) VALUES (?, ?, ?)")
        .bind(&receipt.statement.run)
        .bind(signed("receipts.stored", now)?)
        .bind(to_json("receipts.receipt", &receipt)?)
        .execute(pool)
        .await
        .map_err(failed("keeping a receipt"))?;
    Ok(())
}

/// The receipt as it was countersigned.
pub(super) async fn receipt(pool: &SqlitePool, run: String) -> Result<Option<Receipt>, DbError> {
    let row = sqlx::query("SELECT receipt FROM receipts WHERE run = ?")
        .bind(run)
        .fetch_optional(pool)
        .await
        .map_err(failed("reading a receipt"))?;
    row.as_ref().map(|row| json(row, "receipt")).transpose()
}

//! Who ordered what: append-only, each row chained to the one before.
//!
//! The chain does not stop whoever owns the file from writing it anew; it
//! shows a row that was changed, dropped or slipped in later.

use sqlx::{SqliteConnection, SqlitePool};

use super::DbError;
use super::row::{failed, number, signed, text};

/// One order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Act {
    /// When, by the server's clock.
    pub(crate) time: u64,
    /// Who: `operator`, or `machine ID` for an answer given at a machine.
    pub(crate) who: String,
    /// `approve`, `pre-stage`, `choice`, `replace-run`.
    pub(crate) what: &'static str,
    /// What it was about, in words.
    pub(crate) subject: String,
}

/// The hash before the first row.
const START: &str = "";

fn chained(previous: &str, number: u64, time: u64, who: &str, what: &str, subject: &str) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("mimeo 0 audit row");
    for field in [
        previous,
        &number.to_string(),
        &time.to_string(),
        who,
        what,
        subject,
    ] {
        // Lengths keep two fields from being read as others that join the same.
        hasher.update(&(field.len() as u64).to_le_bytes());
        hasher.update(field.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// Adds a row in the transaction that carries the order out.
pub(super) async fn append(connection: &mut SqliteConnection, act: &Act) -> Result<(), DbError> {
    let last = sqlx::query("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed("reading the audit log"))?;
    let (next, previous) = match &last {
        Some(row) => (number(row, "number")?.saturating_add(1), text(row, "hash")?),
        None => (0, START.to_owned()),
    };
    let hash = chained(&previous, next, act.time, &act.who, act.what, &act.subject);
    sqlx::query(
        "INSERT INTO audit (number, time, who, what, subject, hash) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(signed("audit number", next)?)
    .bind(signed("audit time", act.time)?)
    .bind(&act.who)
    .bind(act.what)
    .bind(&act.subject)
    .bind(&hash)
    .execute(&mut *connection)
    .await
    .map_err(failed("writing the audit log"))?;
    Ok(())
}

/// Whether every row follows from those before it; how many there are.
pub(super) async fn check(pool: &SqlitePool) -> Result<u64, DbError> {
    let rows =
        sqlx::query("SELECT number, time, who, what, subject, hash FROM audit ORDER BY number")
            .fetch_all(pool)
            .await
            .map_err(failed("reading the audit log"))?;
    let mut previous = START.to_owned();
    for (expected, row) in (0_u64..).zip(&rows) {
        let (found, time) = (number(row, "number")?, number(row, "time")?);
        let (who, what, subject) = (text(row, "who")?, text(row, "what")?, text(row, "subject")?);
        let hash = chained(&previous, expected, time, &who, &what, &subject);
        if found != expected || text(row, "hash")? != hash {
            return Err(DbError::AuditBroken { number: expected });
        }
        previous = hash;
    }
    Ok(rows.len() as u64)
}

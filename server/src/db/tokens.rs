//! Tokens for shares over the network. Only their hashes are kept.

use sqlx::SqlitePool;
use sqlx::sqlite::SqliteRow;

use super::audit::{self, Act};
use super::row::{failed, maybe, number, signed, text};
use super::{DbError, ShareToken};

/// All of them, by label.
pub(super) async fn all(pool: &SqlitePool) -> Result<Vec<ShareToken>, DbError> {
    let rows = sqlx::query("SELECT * FROM share_tokens ORDER BY label")
        .fetch_all(pool)
        .await
        .map_err(failed("reading share tokens"))?;
    rows.iter().map(from_row).collect()
}

/// The one whose token has this hash.
pub(super) async fn by_hash(
    pool: &SqlitePool,
    hash: String,
) -> Result<Option<ShareToken>, DbError> {
    let row = sqlx::query("SELECT * FROM share_tokens WHERE hash = ?")
        .bind(hash)
        .fetch_optional(pool)
        .await
        .map_err(failed("reading a share token"))?;
    row.as_ref().map(from_row).transpose()
}

fn from_row(row: &SqliteRow) -> Result<ShareToken, DbError> {
    Ok(ShareToken {
        label: text(row, "label")?,
        share: text(row, "share")?,
        writes: maybe(row, "writes")?,
        created: number(row, "created")?,
    })
}

/// Keeps a new one and who ordered it. A label can be used once.
pub(super) async fn save(
    pool: &SqlitePool,
    token: ShareToken,
    hash: String,
    act: Act,
) -> Result<(), DbError> {
    let doing = || failed("writing a share token down");
    let mut transaction = pool.begin().await.map_err(doing())?;
    let added = sqlx::query(
        "INSERT INTO share_tokens (hash, label, share, writes, created) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (label) DO NOTHING",
    )
    .bind(hash)
    .bind(&token.label)
    .bind(&token.share)
    .bind(&token.writes)
    .bind(signed("share_tokens.created", token.created)?)
    .execute(&mut *transaction)
    .await
    .map_err(doing())?;
    if added.rows_affected() == 0 {
        return Err(DbError::NameTaken { name: token.label });
    }
    audit::append(&mut transaction, &act).await?;
    transaction.commit().await.map_err(doing())
}

/// Takes one away; whether there was one.
pub(super) async fn remove(pool: &SqlitePool, label: String, act: Act) -> Result<bool, DbError> {
    let doing = || failed("taking a share token away");
    let mut transaction = pool.begin().await.map_err(doing())?;
    let removed = sqlx::query("DELETE FROM share_tokens WHERE label = ?")
        .bind(label)
        .execute(&mut *transaction)
        .await
        .map_err(doing())?;
    if removed.rows_affected() == 0 {
        return Ok(false);
    }
    audit::append(&mut transaction, &act).await?;
    transaction.commit().await.map_err(doing())?;
    Ok(true)
}

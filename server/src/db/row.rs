//! Values in a row, read with an error that names the column.

use std::fmt::Display;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::DbError;

/// Turns a refusal of the database into an error that says what was tried.
pub(super) fn failed(doing: &'static str) -> impl FnOnce(sqlx::Error) -> DbError {
    move |source| DbError::Sql { doing, source }
}

fn unreadable(column: &'static str) -> impl FnOnce(sqlx::Error) -> DbError {
    move |error| DbError::Content {
        column,
        reason: error.to_string(),
    }
}

/// Text, as it stands there.
pub(super) fn text(row: &SqliteRow, column: &'static str) -> Result<String, DbError> {
    row.try_get(column).map_err(unreadable(column))
}

/// Text that may be absent.
pub(super) fn maybe(row: &SqliteRow, column: &'static str) -> Result<Option<String>, DbError> {
    row.try_get(column).map_err(unreadable(column))
}

/// A yes or no.
pub(super) fn flag(row: &SqliteRow, column: &'static str) -> Result<bool, DbError> {
    row.try_get(column).map_err(unreadable(column))
}

/// A count or a moment.
pub(super) fn number(row: &SqliteRow, column: &'static str) -> Result<u64, DbError> {
    let value: i64 = row.try_get(column).map_err(unreadable(column))?;
    u64::try_from(value).map_err(|error| DbError::Content {
        column,
        reason: error.to_string(),
    })
}

/// A value written as text, such as an id.
pub(super) fn parsed<T>(row: &SqliteRow, column: &'static str) -> Result<T, DbError>
where
    T: FromStr,
    T::Err: Display,
{
    let parsed = text(row, column)?.parse();
    parsed.map_err(|error: T::Err| DbError::Content {
        column,
        reason: error.to_string(),
    })
}

/// A value written as JSON.
pub(super) fn json<T: DeserializeOwned>(
    row: &SqliteRow,
    column: &'static str,
) -> Result<T, DbError> {
    from_json(column, &text(row, column)?)
}

/// The value in a JSON text.
pub(super) fn from_json<T: DeserializeOwned>(
    column: &'static str,
    text: &str,
) -> Result<T, DbError> {
    serde_json::from_str(text).map_err(|error| DbError::Content {
        column,
        reason: error.to_string(),
    })
}

/// A value as JSON text.
pub(super) fn to_json<T: Serialize>(column: &'static str, value: &T) -> Result<String, DbError> {
    serde_json::to_string(value).map_err(|error| DbError::Content {
        column,
        reason: error.to_string(),
    })
}

/// A count or a moment as the database keeps it; it has no unsigned numbers.
pub(super) fn signed(column: &'static str, value: u64) -> Result<i64, DbError> {
    i64::try_from(value).map_err(|error| DbError::Content {
        column,
        reason: error.to_string(),
    })
}

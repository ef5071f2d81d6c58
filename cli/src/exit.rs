//! Which exit code means what.

use std::error::Error;
use std::process::ExitCode;

use image_format::index::IndexError;
use image_format::{BlockError, ManifestError, StoreError};

/// Shown at the end of every help text.
pub(crate) const CODES: &str = "\
Exit codes:
  0  done
  1  it could not be done; the reason is on standard error
  2  wrong use of the command line
  3  what was checked does not hold (a receipt, a boot tree, a share, a disk)
  130, 143  ended by Ctrl-C or SIGTERM";

/// The words of the command line do not go together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUse(String);

/// Refuses words that do not go together.
pub(crate) fn wrong<T>(why: impl Into<String>) -> anyhow::Result<T> {
    Err(WrongUse(why.into()).into())
}

/// Something was checked and does not hold.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DoesNotHold(pub(crate) String);

/// Prints the reason, for people or programs, and picks the code.
pub(crate) fn report(error: &anyhow::Error, json: bool) -> ExitCode {
    if let Some(io) = error.downcast_ref::<std::io::Error>()
        && io.kind() == std::io::ErrorKind::BrokenPipe
    {
        return ExitCode::SUCCESS;
    }
    let code = match crate::interrupt::code() {
        Some(code) => code,
        None if error.downcast_ref::<DoesNotHold>().is_some() => 3,
        None if error.downcast_ref::<WrongUse>().is_some() => 2,
        None => 1,
    };
    let words = with_advice(error);
    match json {
        true => eprintln!("{}", serde_json::json!({ "error": words, "code": code })),
        false => eprintln!("mimeo: {words}"),
    }
    ExitCode::from(code)
}

/// The error, and where a share is damaged what to do next: what lies deep in
/// one says only where and how.
fn with_advice(error: &anyhow::Error) -> String {
    let words = format!("{error:#}");
    if words.contains("share check") || !error.chain().any(is_damage) {
        return words;
    }
    format!(
        "{words}; `mimeo share check` tells all that is damaged, `share repair` mends what it can"
    )
}

fn is_damage(cause: &(dyn Error + 'static)) -> bool {
    let is_store = |error: &StoreError| {
        use StoreError::{Missing, Range, Short};
        matches!(error, Missing { .. } | Range { .. } | Short { .. })
    };
    cause.is::<BlockError>()
        || cause.is::<Box<BlockError>>()
        || cause.is::<ManifestError>()
        || cause.is::<IndexError>()
        || cause.downcast_ref::<StoreError>().is_some_and(is_store)
}

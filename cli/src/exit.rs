//! Which exit code means what.

use std::process::ExitCode;

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
pub(crate) struct WrongUse(pub(crate) String);

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
    match json {
        true => eprintln!(
            "{}",
            serde_json::json!({ "error": format!("{error:#}"), "code": code })
        ),
        false => eprintln!("mimeo: {error:#}"),
    }
    ExitCode::from(code)
}

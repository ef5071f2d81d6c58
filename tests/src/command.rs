//! Running other programs: every failure says which command and what it said.

use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// A command from its words.
pub fn command(words: &[&str]) -> Command {
    let (program, arguments) = words.split_first().unwrap_or((&"false", &[]));
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs it to its end and returns what it wrote to standard output.
///
/// # Errors
/// When it cannot start or does not exit with 0: the command and its words.
pub fn run(command: &mut Command) -> Result<String> {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .with_context(|| format!("starting {command:?}"))?;
    let text = String::from_utf8_lossy(&stdout).into_owned();
    if !status.success() {
        let words = String::from_utf8_lossy(&stderr);
        bail!(
            "{command:?} ended with {status}:\n{}{}",
            tail(&text),
            tail(&words)
        );
    }
    Ok(text)
}

/// [`run`] for a command given as words.
///
/// # Errors
/// As [`run`].
pub fn sh(words: &[&str]) -> Result<String> {
    run(&mut command(words))
}

/// The last lines of a long text.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(30);
    lines[first..]
        .iter()
        .map(|line| format!("  {line}\n"))
        .collect()
}

//! The programs under test, as their users get them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::command::{command, run};

/// Where the programs lie.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The operator's program.
    pub mimeo: PathBuf,
    /// The machine's program.
    pub agent: PathBuf,
    /// The folder of build results, for things worth keeping between runs.
    pub target: PathBuf,
}

/// Builds both programs as they ship.
///
/// # Errors
/// When they do not build.
pub fn build() -> Result<Programs> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let words = [
        "build",
        "--quiet",
        "--release",
        "--bin",
        "mimeo",
        "--bin",
        "mimeo-agent",
    ];
    run(&mut command(&[&[cargo.as_str()], &words[..]].concat()))
        .context("building mimeo and mimeo-agent")?;
    find()
}

/// The programs beside the running one.
///
/// # Errors
/// When they have not been built.
pub fn find() -> Result<Programs> {
    let own = std::env::current_exe().context("finding the running program")?;
    let built =
        |folder: &&Path| folder.join("mimeo").exists() && folder.join("mimeo-agent").exists();
    let folder = own
        .ancestors()
        .skip(1)
        .find(built)
        .context("mimeo and mimeo-agent are not built: run `cargo build --release --bins`")?;
    let target = folder
        .ancestors()
        .nth(2)
        .context("finding the build folder")?;
    ensure!(target.is_dir(), "{} is no folder", target.display());
    Ok(Programs {
        mimeo: folder.join("mimeo"),
        agent: folder.join("mimeo-agent"),
        target: target.to_owned(),
    })
}

/// The folder of build results, as xtask finds it.
///
/// # Errors
/// When the running program does not lie in one.
pub fn target() -> Result<PathBuf> {
    let own = std::env::current_exe().context("finding the running program")?;
    // target/TRIPLE/release/xtask
    let target = own.ancestors().nth(3).context("finding the build folder")?;
    Ok(target.to_owned())
}

//! `mimeo completions`, `mimeo manual`: made from the same words as `--help`.

use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;

use crate::args::Args;

/// Prints the completion script for a shell.
pub(crate) fn completions(shell: clap_complete::Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "mimeo", &mut script);
    crate::output::line(String::from_utf8(script)?.trim_end())
}

/// Writes one page a command into `out`.
pub(crate) fn pages(out: &Path) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
    clap_mangen::generate_to(Args::command(), out)
        .with_context(|| format!("writing manual pages to {}", out.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_option_is_explained() {
        Args::command().debug_assert();
    }

    #[test]
    fn help_stays_within_eighty_columns() {
        fn walk(mut command: clap::Command, path: String) {
            let text = command.render_long_help().to_string();
            for line in text.lines() {
                assert!(
                    line.chars().count() <= 80,
                    "{path}: {line:?} is wider than 80 columns"
                );
            }
            for inner in command.get_subcommands() {
                walk(
                    inner.clone().term_width(80),
                    format!("{path} {}", inner.get_name()),
                );
            }
        }
        walk(Args::command().term_width(80), "mimeo".to_owned());
    }

    #[test]
    fn pages_are_written_for_every_command() {
        let folder = tempfile::tempdir().unwrap();
        pages(folder.path()).unwrap();
        assert!(folder.path().join("mimeo-capture.1").exists());
        assert!(folder.path().join("mimeo-machine-approve.1").exists());
    }
}

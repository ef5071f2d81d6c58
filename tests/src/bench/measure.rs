//! One run of a program: how long, how much work, how much memory.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::command::{command, run, sh};

/// What one run took and left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Wall time in seconds.
    pub wall: f64,
    /// CPU time of all its processes in seconds.
    pub cpu: f64,
    /// Resident bytes at the peak, of its largest process.
    pub memory: u64,
    /// Bytes it stored.
    pub stored: u64,
}

/// A command that runs `script` in bash and stops at its first failure.
pub fn bash(script: &str) -> Command {
    command(&["bash", "-e", "-o", "pipefail", "-c", script])
}

/// Runs `script` with what `dress` adds to the command; `stored` is left 0.
///
/// The work is started by GNU time and not from here: a process begins with the
/// peak memory of the one that started it, and time is small. `notes` is a file
/// that may be overwritten.
///
/// # Errors
/// When the script fails: what it said.
pub fn script(script: &str, notes: &Path, dress: impl Fn(&mut Command)) -> Result<Sample> {
    let mut timed = command(&["/usr/bin/time", "--format=%U %S %M", "--output"]);
    timed
        .arg(notes)
        .args(["bash", "-e", "-o", "pipefail", "-c", script]);
    dress(&mut timed);
    let begun = Instant::now();
    run(&mut timed)?;
    let wall = begun.elapsed();
    let text = std::fs::read_to_string(notes).context("reading what time wrote")?;
    parse(&text, wall).with_context(|| format!("time wrote {text:?}"))
}

/// Reads "user-seconds system-seconds resident-KiB".
fn parse(text: &str, wall: Duration) -> Option<Sample> {
    let mut words = text.split_whitespace();
    let user: f64 = words.next()?.parse().ok()?;
    let system: f64 = words.next()?.parse().ok()?;
    let kib: u64 = words.next()?.parse().ok()?;
    Some(Sample {
        wall: wall.as_secs_f64(),
        cpu: user + system,
        memory: kib.checked_mul(1024)?,
        stored: 0,
    })
}

/// Bytes of all files under `folder`; nothing there is 0.
///
/// # Errors
/// When a folder cannot be read.
pub fn bytes(folder: &Path) -> Result<u64> {
    Ok(census(folder)?.1)
}

/// How many files (of any kind but folders), and their bytes.
///
/// # Errors
/// When a folder cannot be read.
pub fn census(folder: &Path) -> Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        let entries = match next.read_dir() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.with_context(|| format!("reading {}", next.display()))?,
        };
        for entry in entries {
            let entry = entry?;
            let facts = entry.metadata()?;
            if facts.is_dir() {
                waiting.push(entry.path());
            } else {
                files += 1;
                bytes += if facts.is_file() { facts.len() } else { 0 };
            }
        }
    }
    Ok((files, bytes))
}

/// Writes out what waits, so that one tool's writes are not another's delay,
/// and forgets what was read if `forget`.
///
/// # Errors
/// When the kernel does not let us.
pub fn settle(forget: bool) -> Result<()> {
    sh(&["sync"])?;
    if forget {
        std::fs::write("/proc/sys/vm/drop_caches", "3").context("dropping the caches")?;
    }
    Ok(())
}

/// The machine's processors, memory and present load, in one line.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = read("/proc/meminfo");
    let memory = memory.lines().next().unwrap_or_default().replace(' ', "");
    let load = read("/proc/loadavg");
    format!("{processors} processors, {memory}, load {}", load.trim())
}

#[cfg(test)]
mod tests {
    use super::{census, parse, script};
    use std::time::Duration;

    #[test]
    fn the_figures_of_time_are_read_in_their_units() {
        let sample = parse("1.50 0.25 2048\n", Duration::from_secs(2)).expect("three figures");
        assert_eq!(
            (sample.wall, sample.cpu, sample.memory),
            (2.0, 1.75, 2 << 20)
        );
        assert_eq!(parse("Command exited\n", Duration::ZERO), None);
    }

    #[test]
    fn a_script_whose_pipe_breaks_has_failed() {
        let folder = tempfile::tempdir().expect("a folder");
        let notes = folder.path().join("notes");
        assert!(script("false | cat", &notes, |_| ()).is_err());
        let sample = script(
            "head -c 64M /dev/zero | tail -c 64M | wc -c",
            &notes,
            |_| (),
        );
        let memory = sample.expect("it runs").memory;
        assert!((64 << 20..128 << 20).contains(&memory), "{memory} bytes");
    }

    #[test]
    fn a_census_counts_files_and_their_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("in")).expect("a folder");
        std::fs::write(folder.path().join("in/file"), [0; 10]).expect("a file");
        assert_eq!(census(folder.path()).expect("it is read"), (1, 10));
        assert_eq!(
            census(&folder.path().join("none")).expect("nothing"),
            (0, 0)
        );
    }
}

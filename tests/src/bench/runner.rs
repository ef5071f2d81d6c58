//! Carries a row out: its tools in turns, each as often as its claims ask.

use anyhow::Result;

use crate::bench::measure::Sample;
use crate::bench::options::Options;
use crate::bench::report;
use crate::bench::row::{Row, Tool};
use crate::bench::workplace::Workplace;

/// What became of a tool.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Its runs, in the order of the rounds.
    Measured(Vec<Sample>),
    /// The program is not on this machine.
    Missing(&'static str),
    /// It stopped with an error: what it said.
    Failed(String),
}

/// Every tool of a row by name, in the row's order.
pub type Results = Vec<(&'static str, Outcome)>;

/// Runs the row's tools and leaves nothing behind.
///
/// # Errors
/// When the workplace cannot be cleared. A tool's failure is its outcome.
pub fn run(
    row: &Row,
    place: &Workplace<'_>,
    present: &[&str],
    options: &Options,
) -> Result<Results> {
    let wanted = |tool: &&Tool| tool.peer.is_some() || !options.peers_only;
    let tools: Vec<&Tool> = row.tools.iter().filter(wanted).collect();
    let mut results: Results = tools
        .iter()
        .map(|tool| (tool.name, begin(row, tool, place, present)))
        .collect();
    for round in 0..options.rounds() {
        for (tool, (_, outcome)) in tools.iter().zip(&mut results) {
            if round == 0 || row.times(tool.name) {
                again(row, tool, place, outcome);
            }
        }
    }
    place.clear()?;
    Ok(results)
}

fn begin(row: &Row, tool: &Tool, place: &Workplace<'_>, present: &[&str]) -> Outcome {
    match tool.peer {
        Some(program) if !present.contains(&program) => Outcome::Missing(program),
        _ => match place.prepare(row, tool) {
            Ok(()) => Outcome::Measured(Vec::new()),
            Err(error) => failed(tool, &error),
        },
    }
}

fn again(row: &Row, tool: &Tool, place: &Workplace<'_>, outcome: &mut Outcome) {
    let Outcome::Measured(samples) = outcome else {
        return;
    };
    match place.measure(row, tool) {
        Ok(sample) => {
            println!("  {}", report::sample(tool.name, &sample));
            samples.push(sample);
        }
        Err(error) => *outcome = failed(tool, &error),
    }
}

fn failed(tool: &Tool, error: &anyhow::Error) -> Outcome {
    let why = last_words(&format!("{error:#}"));
    println!("  {} failed: {why}", tool.name);
    Outcome::Failed(why)
}

/// The end of what a program said, where the reason is; before it come the
/// command with all its variables, and bars of progress.
fn last_words(text: &str) -> String {
    let line = text
        .split(['\n', '\r'])
        .map(str::trim)
        .rfind(|line| !line.is_empty());
    line.unwrap_or_default().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::last_words;

    #[test]
    fn a_failure_is_told_by_the_last_line_and_not_by_progress() {
        let said =
            "\"time\" \"bash\" ended with exit status: 1:\n  10 %\r  20 %\rno space left\n\n";
        assert_eq!(last_words(said), "no space left");
        assert_eq!(last_words(&"x".repeat(5000)).len(), 200);
    }
}

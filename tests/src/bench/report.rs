//! The tables that a run prints.

use crate::bench::claim::{self, Judged, Verdict, figure, median};
use crate::bench::measure::Sample;
use crate::bench::row::{Against, Caches, Claim, Measure, Row};
use crate::bench::runner::{Outcome, Results};
use crate::table::table;

/// One row a claim.
pub fn claims(measured: &[(&Row, Results)]) -> String {
    let heading = [
        "row", "work", "figure", "peer", "peer's", "ratio", "reach", "verdict",
    ];
    let mut rows = Vec::new();
    for (row, results) in measured {
        for (claim, judged) in row.claims.iter().zip(claim::judge_all(row, results)) {
            rows.push(line(row, claim, &judged));
        }
    }
    table(&heading, &rows)
}

fn line(row: &Row, claim: &Claim, judged: &Judged) -> Vec<String> {
    let show =
        |value: Option<f64>| value.map_or("-".to_owned(), |value| unit(value, claim.measure));
    let reach = match claim.against {
        Against::Limit(limit) => unit(limit, claim.measure),
        _ => format!("{:.2}", claim.reach),
    };
    vec![
        row.id.to_owned(),
        format!("{}: {}", row.work, measure_name(claim)),
        show(judged.figure),
        judged.peer.to_owned(),
        show(judged.peers),
        judged
            .ratio
            .map_or("-".to_owned(), |ratio| format!("{ratio:.3}")),
        reach,
        verdict(&judged.verdict),
    ]
}

fn measure_name(claim: &Claim) -> String {
    let name = match claim.measure {
        Measure::Time => "time",
        Measure::Size => "size",
        Measure::Memory => "peak memory",
    };
    format!("{name} of {}", claim.of)
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Met => "met".to_owned(),
        Verdict::Short => "SHORT".to_owned(),
        Verdict::PeerMissing(program) => format!("peer missing: {program}"),
        Verdict::Failed(tool) => format!("FAILED: {tool}"),
    }
}

/// One row a tool: medians of everything that was measured.
pub fn record(row: &Row, results: &Results) -> String {
    let caches = match row.caches {
        Caches::Warm => "caches warm",
        Caches::Dropped => "caches dropped",
    };
    let heading = [caches, "runs", "wall", "CPU", "peak memory", "stored"];
    let rows: Vec<Vec<String>> = results
        .iter()
        .map(|(name, outcome)| tool(name, outcome))
        .collect();
    table(&heading, &rows)
}

/// One run, as it ends: rows take minutes.
pub fn sample(name: &str, sample: &Sample) -> String {
    let show = |measure| unit(figure(sample, measure), measure);
    format!(
        "{name}: {}, {} stored, {} at the peak",
        show(Measure::Time),
        show(Measure::Size),
        show(Measure::Memory)
    )
}

fn tool(name: &str, outcome: &Outcome) -> Vec<String> {
    let samples = match outcome {
        Outcome::Measured(samples) => samples,
        Outcome::Missing(program) => return vec![name.to_owned(), format!("missing: {program}")],
        Outcome::Failed(why) => return vec![name.to_owned(), format!("failed: {why}")],
    };
    let middle = |measure: Measure| {
        let figures: Vec<f64> = samples.iter().map(|one| figure(one, measure)).collect();
        median(&figures).map_or("-".to_owned(), |value| unit(value, measure))
    };
    let cpu: Vec<f64> = samples.iter().map(|one| one.cpu).collect();
    vec![
        name.to_owned(),
        samples.len().to_string(),
        middle(Measure::Time),
        median(&cpu).map_or("-".to_owned(), |value| unit(value, Measure::Time)),
        middle(Measure::Memory),
        middle(Measure::Size),
    ]
}

/// Seconds to the millisecond below one, megabytes of 10^6.
fn unit(value: f64, measure: Measure) -> String {
    match measure {
        Measure::Time if value < 1.0 => format!("{value:.3} s"),
        Measure::Time => format!("{value:.1} s"),
        Measure::Size | Measure::Memory => format!("{:.1} MB", value / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::unit;
    use crate::bench::row::Measure;

    #[test]
    fn figures_carry_their_units() {
        assert_eq!(unit(0.0471, Measure::Time), "0.047 s");
        assert_eq!(unit(12.34, Measure::Time), "12.3 s");
        assert_eq!(unit(600e6, Measure::Memory), "600.0 MB");
    }
}

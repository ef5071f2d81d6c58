//! From samples to a verdict.

use crate::bench::measure::Sample;
use crate::bench::row::{Against, Claim, Measure, Row};
use crate::bench::runner::{Outcome, Results};

/// A ratio this much above its reach still counts as met: no two runs of one
/// program are closer than that.
pub const SLACK: f64 = 1.05;

/// What a claim came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Our figure, the median of the rounds.
    pub figure: Option<f64>,
    /// Whose figure it is held against; a limit is named so.
    pub peer: &'static str,
    /// The peer's figure, the median of the rounds.
    pub peers: Option<f64>,
    /// The median of the rounds' ratios.
    pub ratio: Option<f64>,
    /// Whether the promise holds.
    pub verdict: Verdict,
}

/// Whether a promise holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// At most the reach and [`SLACK`]; a limit has no slack.
    Met,
    /// More.
    Short,
    /// A peer is not on this machine: nothing is known.
    PeerMissing(&'static str),
    /// A tool failed: nothing is known.
    Failed(&'static str),
}

impl Verdict {
    /// Only what was measured and holds is met.
    pub fn is_met(&self) -> bool {
        *self == Self::Met
    }
}

/// The verdicts on all claims of a row.
pub fn judge_all(row: &Row, results: &Results) -> Vec<Judged> {
    row.claims
        .iter()
        .map(|claim| judge(claim, results))
        .collect()
}

/// The verdict on one claim.
pub fn judge(claim: &Claim, results: &Results) -> Judged {
    let ours = match figures(claim.of, claim.measure, results) {
        Ok(ours) => ours,
        Err(verdict) => return unknown(claim, None, verdict),
    };
    let figure = median(&ours);
    if let Against::Limit(limit) = claim.against {
        let met = figure.is_some_and(|figure| figure <= limit);
        return Judged {
            figure,
            peer: "limit",
            peers: Some(limit),
            ratio: figure.map(|figure| figure / limit),
            verdict: if met { Verdict::Met } else { Verdict::Short },
        };
    }
    let mut peers = Vec::new();
    for name in claim.against.names() {
        match figures(name, claim.measure, results) {
            Ok(figures) => peers.push((name, figures)),
            Err(verdict) => return unknown(claim, figure, verdict),
        }
    }
    against(claim, &ours, &peers)
}

fn against(claim: &Claim, ours: &[f64], peers: &[(&'static str, Vec<f64>)]) -> Judged {
    let best = |round: usize| {
        let figures = peers.iter().filter_map(|(_, figures)| figures.get(round));
        figures.copied().reduce(f64::min)
    };
    let ratios: Vec<f64> = ours
        .iter()
        .enumerate()
        .filter_map(|(round, ours)| Some(ours / best(round)?))
        .collect();
    let ratio = median(&ratios);
    let middles = peers
        .iter()
        .filter_map(|(name, figures)| Some((*name, median(figures)?)));
    let (peer, theirs) = middles
        .reduce(|one, other| if other.1 < one.1 { other } else { one })
        .unzip();
    let met = ratio.is_some_and(|ratio| ratio <= claim.reach * SLACK);
    Judged {
        figure: median(ours),
        peer: peer.unwrap_or("nobody"),
        peers: theirs,
        ratio,
        verdict: if met { Verdict::Met } else { Verdict::Short },
    }
}

fn unknown(claim: &Claim, figure: Option<f64>, verdict: Verdict) -> Judged {
    Judged {
        figure,
        peer: claim.against.names().first().copied().unwrap_or("limit"),
        peers: None,
        ratio: None,
        verdict,
    }
}

/// A tool's figures by round; a tool without any has failed.
fn figures(name: &'static str, measure: Measure, results: &Results) -> Result<Vec<f64>, Verdict> {
    let found = results.iter().find(|(tool, _)| *tool == name);
    match found.map(|(_, outcome)| outcome) {
        Some(Outcome::Measured(samples)) if !samples.is_empty() => Ok(samples
            .iter()
            .map(|sample| figure(sample, measure))
            .collect()),
        Some(Outcome::Missing(program)) => Err(Verdict::PeerMissing(program)),
        _ => Err(Verdict::Failed(name)),
    }
}

/// Seconds or bytes; a float holds every size that fits a disk of today well
/// enough for a ratio.
#[allow(clippy::cast_precision_loss)]
pub fn figure(sample: &Sample, measure: Measure) -> f64 {
    match measure {
        Measure::Time => sample.wall,
        Measure::Size => sample.stored as f64,
        Measure::Memory => sample.memory as f64,
    }
}

/// The middle one; of an even number the mean of the two in the middle.
pub fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2)?;
    match sorted.len() % 2 {
        1 => Some(*upper),
        _ => Some((sorted.get(sorted.len() / 2 - 1)? + upper) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, judge, median};
    use crate::bench::measure::Sample;
    use crate::bench::row::{Against, Claim, Measure};
    use crate::bench::runner::Outcome;

    fn walls(walls: &[f64]) -> Outcome {
        let sample = |&wall: &f64| Sample {
            wall,
            cpu: 0.0,
            memory: 0,
            stored: 0,
        };
        Outcome::Measured(walls.iter().map(sample).collect())
    }

    fn claim(against: Against, reach: f64) -> Claim {
        Claim {
            of: "ours",
            measure: Measure::Time,
            against,
            reach,
        }
    }

    #[test]
    fn a_slow_spell_of_the_machine_is_in_both_figures_and_not_in_the_ratio() {
        let results = vec![
            ("ours", walls(&[1.0, 10.0, 1.0])),
            ("peer", walls(&[2.0, 20.0, 2.0])),
        ];
        let judged = judge(&claim(Against::Tool("peer"), 0.5), &results);
        assert_eq!((judged.ratio, judged.verdict), (Some(0.5), Verdict::Met));
    }

    #[test]
    fn the_better_of_two_peers_is_the_measure() {
        let results = vec![
            ("ours", walls(&[3.0])),
            ("slow", walls(&[9.0])),
            ("quick", walls(&[2.0])),
        ];
        let judged = judge(&claim(Against::Best(&["slow", "quick"]), 1.0), &results);
        assert_eq!((judged.peer, judged.ratio), ("quick", Some(1.5)));
        assert_eq!(judged.verdict, Verdict::Short);
    }

    #[test]
    fn what_was_not_measured_is_not_met() {
        let results = vec![
            ("ours", walls(&[1.0])),
            ("peer", Outcome::Missing("borg")),
            ("broken", Outcome::Failed("no space".to_owned())),
        ];
        let verdict = |name| judge(&claim(Against::Tool(name), 9.0), &results).verdict;
        assert_eq!(verdict("peer"), Verdict::PeerMissing("borg"));
        assert_eq!(verdict("broken"), Verdict::Failed("broken"));
        assert_eq!(verdict("unheard of"), Verdict::Failed("unheard of"));
        assert!(!verdict("peer").is_met() && !verdict("broken").is_met());
    }

    #[test]
    fn a_limit_has_no_slack_and_a_ratio_a_twentieth() {
        let results = vec![("ours", walls(&[1.04])), ("peer", walls(&[1.0]))];
        let ratio = judge(&claim(Against::Tool("peer"), 1.0), &results);
        let limit = judge(&claim(Against::Limit(1.0), 1.0), &results);
        assert_eq!(
            (ratio.verdict, limit.verdict),
            (Verdict::Met, Verdict::Short)
        );
    }

    #[test]
    fn the_median_of_none_is_none() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
    }
}

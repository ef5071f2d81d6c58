//! The rows: what is claimed of the image engine, and against whom.
//!
//! `time` is wall time, `size` the bytes stored, `memory` the peak of the
//! largest process. Every peer is asked for what it does best at the level of
//! work that ours does, with the compression that the claim names. Ours takes
//! in temporary files and caches as the others do.

mod apply;
mod capture;
mod scale;
mod store;

use crate::bench::row::{Against, Claim, Measure, Row, Tool};

/// All of them, in the order in which they are printed.
pub const ROWS: &[Row] = &[
    capture::FAST,
    capture::ARCHIVE,
    capture::AGAIN,
    apply::SYSTEM,
    apply::DESKTOP,
    apply::VERIFY,
    store::THREE_IMAGES,
    store::EDITED_DISK,
    scale::CAPTURE_MILLION,
    scale::APPLY_MILLION,
    scale::SPARSE_CAPTURE,
    scale::SPARSE_APPLY,
    scale::LIST,
];

/// What our own program may hold in memory, whatever it captures or applies.
const MEMORY: Against = Against::Limit(600e6);

const OURS: &str = "mimeo";

/// Our program; a row says what of it differs.
const MIMEO: Tool = Tool {
    name: OURS,
    peer: None,
    prepare: "",
    before: "",
    run: "",
};

const fn peer(name: &'static str, program: &'static str, run: &'static str) -> Tool {
    Tool {
        name,
        peer: Some(program),
        prepare: "",
        before: "",
        run,
    }
}

const fn claim(of: &'static str, measure: Measure, against: Against, reach: f64) -> Claim {
    Claim {
        of,
        measure,
        against,
        reach,
    }
}

/// A figure of our program against a figure.
const fn limit(measure: Measure, against: Against) -> Claim {
    claim(OURS, measure, against, 1.0)
}

#[cfg(test)]
mod tests {
    use super::ROWS;
    use crate::bench::measure::bash;
    use crate::bench::peers::PEERS;
    use crate::command::run;

    #[test]
    fn every_claim_speaks_of_tools_of_its_row() {
        for row in ROWS {
            for claim in row.claims {
                let mut names = claim.against.names();
                names.push(claim.of);
                for name in names {
                    let known = row.tools.iter().any(|tool| tool.name == name);
                    assert!(known, "row {}: {name}", row.id);
                }
            }
        }
    }

    #[test]
    fn every_peer_is_one_that_is_installed() {
        let programs: Vec<&str> = PEERS.iter().map(|peer| peer.program).collect();
        for tool in ROWS.iter().flat_map(|row| row.tools) {
            let known = tool.peer.is_none_or(|program| {
                programs.contains(&program) || ["cp", "tar"].contains(&program)
            });
            assert!(known, "{}", tool.name);
        }
    }

    #[test]
    fn every_script_is_one() {
        for tool in ROWS.iter().flat_map(|row| row.tools) {
            for script in [tool.prepare, tool.before, tool.run] {
                let read = run(bash("bash -n -c \"$script\"").env("script", script));
                assert!(read.is_ok(), "{}: {read:?}", tool.name);
            }
        }
    }

    #[test]
    fn ids_and_tools_are_named_once() {
        let mut ids: Vec<&str> = ROWS.iter().map(|row| row.id).collect();
        ids.sort_unstable();
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
        for row in ROWS {
            let mut names: Vec<&str> = row.tools.iter().map(|tool| tool.name).collect();
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        }
    }
}

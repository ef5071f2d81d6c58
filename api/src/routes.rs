//! Every path, once. `{}` parts are filled by the functions below.

/// Machines say hello here (`POST`, [`Hello`](crate::messages::machine::Hello)).
pub const HELLO: &str = "/api/v1/hello";
/// A machine reveals its nonce and asks how it stands (`POST`,
/// [`Reveal`](crate::messages::machine::Reveal)).
pub const SESSION: &str = "/api/v1/hello/{session}";
/// Answers to the questions at the machine (`POST`,
/// [`Choice`](crate::messages::machine::Choice)).
pub const CHOICE: &str = "/api/v1/hello/{session}/choice";

/// The signed assignment of the bearer's run (`GET`).
pub const ASSIGNMENT: &str = "/api/v1/run/assignment";
/// The run's events: `GET` all, `POST` more.
pub const EVENTS: &str = "/api/v1/run/events";
/// The receipt: `POST` the machine's, get the countersigned one back.
pub const RECEIPT: &str = "/api/v1/run/receipt";

/// An image's manifest, bytes (`GET`, run or operator).
pub const MANIFEST: &str = "/api/v1/images/{image}/manifest";
/// Where an image's chunks lie: an index segment of its own, bytes (`GET`).
pub const SEGMENT: &str = "/api/v1/images/{image}/segment";
/// The stored bytes of a block (`GET`).
pub const BLOCK: &str = "/api/v1/packs/{pack}/{offset}/{length}";

/// Images in the share (`GET`, operator).
pub const IMAGES: &str = "/api/v1/images";
/// Machines: `GET` all, `POST` to pre-stage one.
pub const MACHINES: &str = "/api/v1/machines";
/// Approve a waiting machine by its short code (`POST`).
pub const APPROVE: &str = "/api/v1/machines/approve";
/// Runs (`GET`).
pub const RUNS: &str = "/api/v1/runs";
/// One run with its events (`GET`).
pub const RUN: &str = "/api/v1/runs/{run}";
/// A run's receipt as stored (`GET`).
pub const RUN_RECEIPT: &str = "/api/v1/runs/{run}/receipt";
/// Tokens for shares: `GET` all, `POST` to make one (operator).
pub const SHARE_TOKENS: &str = "/api/v1/share-tokens";
/// One token for a share, by its label: `DELETE` (operator).
pub const SHARE_TOKEN: &str = "/api/v1/share-tokens/{label}";
/// A share as a store: every question and answer of
/// [`messages::store`](crate::messages::store) (`POST`).
pub const SHARE: &str = "/api/v1/shares/{share}";
/// Whether the server is up, and what it has heard on the wire (`GET`).
pub const STATUS: &str = "/api/v1/status";

/// `pattern` with its `{}` parts replaced in order.
///
/// Parts are ids and numbers, so nothing needs escaping.
pub fn fill(pattern: &str, parts: &[&dyn std::fmt::Display]) -> String {
    let mut path = String::with_capacity(pattern.len() + 64 * parts.len());
    let mut parts = parts.iter();
    for (index, piece) in pattern.split('{').enumerate() {
        if index == 0 {
            path.push_str(piece);
            continue;
        }
        if let Some(part) = parts.next() {
            path.push_str(&part.to_string());
        }
        path.push_str(piece.split_once('}').map_or("", |(_, rest)| rest));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_filled_in_order() {
        assert_eq!(fill(BLOCK, &[&"ab", &12, &34]), "/api/v1/packs/ab/12/34");
        assert_eq!(fill(HELLO, &[]), HELLO);
    }
}

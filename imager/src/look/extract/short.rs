//! What a target folder could not hold, for people.

use std::collections::BTreeMap;
use std::fmt;

use image_format::entry::Entry;

pub(super) const OWNER: &str = "owners could not be set (run as root)";
pub(super) const XATTR: &str = "extended attributes could not be set";
pub(super) const FLAGS: &str = "attribute flags could not be set";
pub(super) const TIMES: &str = "times could not be set";
pub(super) const NODE: &str = "devices, pipes or sockets could not be made (run as root)";

/// What was lost: of each kind how often, and one example.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shortfall {
    kinds: BTreeMap<&'static str, (u64, String)>,
}

impl Shortfall {
    pub(super) fn add(&mut self, what: &'static str, entry: &Entry) {
        let found = self.kinds.entry(what);
        let (count, _) = found.or_insert_with(|| (0, entry.display_path()));
        *count = count.saturating_add(1);
    }

    /// Whether everything was kept.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Each kind in one line.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let line = |(what, (count, example)): (&&str, &(u64, String))| {
            format!("{count} {what}, as of {example}")
        };
        self.kinds.iter().map(line)
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().collect::<Vec<_>>().join("; "))
    }
}

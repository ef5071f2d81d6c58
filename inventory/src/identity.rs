//! Is this the machine we know? A scored match over what firmware says.
//!
//! No single name is safe: UUIDs repeat on cheap boards, adapters travel in
//! docks, serials are left blank. So names add up, and a contradiction between
//! the strong ones is told instead of guessed away.

use serde::{Deserialize, Serialize};

use crate::facts::MachineFacts;
use crate::ids::HardwareAddr;

/// The names by which a machine is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Identity {
    /// SMBIOS UUID, lower case.
    #[serde(default)]
    pub uuid: Option<String>,
    /// System serial number.
    #[serde(default)]
    pub serial: Option<String>,
    /// Adapter addresses.
    #[serde(default)]
    pub addresses: Vec<HardwareAddr>,
}

/// How two identities compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing in common.
    Other,
    /// Something in common, but a strong name speaks against it: ask a person.
    Doubtful,
    /// The same machine.
    Same,
}

/// A comparison with its weight; more is more certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    /// The verdict.
    pub standing: Standing,
    /// Sum of what agrees: UUID 4, serial 2, each adapter 1.
    pub weight: u32,
}

impl Identity {
    /// The names in `facts` that can tell machines apart.
    pub fn of(facts: &MachineFacts) -> Self {
        Self {
            uuid: facts.uuid.clone(),
            serial: facts.serial.clone(),
            addresses: facts
                .addresses
                .iter()
                .copied()
                .filter(HardwareAddr::identifies)
                .collect(),
        }
    }

    /// Whether there is anything to recognise it by.
    pub fn is_empty(&self) -> bool {
        self.uuid.is_none() && self.serial.is_none() && self.addresses.is_empty()
    }

    /// Compares two identities; symmetric.
    pub fn compare(&self, other: &Self) -> Match {
        let shared = self
            .addresses
            .iter()
            .filter(|a| other.addresses.contains(a))
            .count();
        let uuid = agreement(self.uuid.as_deref(), other.uuid.as_deref());
        let serial = agreement(self.serial.as_deref(), other.serial.as_deref());
        let points = |agrees: Option<bool>, points| if agrees == Some(true) { points } else { 0 };
        let weight =
            points(uuid, 4) + points(serial, 2) + u32::try_from(shared).unwrap_or(u32::MAX).min(8);
        let contradicted = uuid == Some(false) || (serial == Some(false) && uuid.is_none());
        let standing = match (weight, contradicted) {
            (0, _) => Standing::Other,
            (_, true) => Standing::Doubtful,
            (_, false) => Standing::Same,
        };
        Match { standing, weight }
    }
}

/// Whether two names agree; `None` when one side has none.
fn agreement(one: Option<&str>, other: Option<&str>) -> Option<bool> {
    Some(one?.eq_ignore_ascii_case(other?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(uuid: Option<&str>, serial: Option<&str>, last: &[u8]) -> Identity {
        Identity {
            uuid: uuid.map(str::to_owned),
            serial: serial.map(str::to_owned),
            addresses: last
                .iter()
                .map(|&b| HardwareAddr::new([0x52, 0x54, 0, 0, 0, b]))
                .collect(),
        }
    }

    #[test]
    fn a_shared_adapter_does_not_merge_machines_with_different_uuids() {
        let one = identity(Some("a"), None, &[1]);
        let other = identity(Some("b"), None, &[1]);
        assert_eq!(one.compare(&other).standing, Standing::Doubtful);
    }

    #[test]
    fn one_agreeing_name_is_enough_when_nothing_contradicts() {
        let known = identity(None, None, &[1]);
        let seen = identity(Some("a"), Some("s"), &[1, 2]);
        assert_eq!(known.compare(&seen).standing, Standing::Same);
        assert_eq!(seen.compare(&known), known.compare(&seen));
    }

    #[test]
    fn machines_without_common_names_are_others() {
        let one = identity(Some("a"), Some("s"), &[1]);
        assert_eq!(
            one.compare(&identity(None, None, &[])).standing,
            Standing::Other
        );
        assert_eq!(
            one.compare(&identity(Some("b"), Some("t"), &[2])).standing,
            Standing::Other
        );
    }

    #[test]
    fn uuid_letters_compare_without_case() {
        let one = identity(Some("AbC"), None, &[]);
        assert_eq!(
            one.compare(&identity(Some("aBc"), None, &[])).standing,
            Standing::Same
        );
    }
}

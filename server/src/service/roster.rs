//! Who is who, in memory: machines by their names and what each boots next.
//! The boot services ask it for every packet, so it answers at once.

use std::collections::{BTreeSet, HashMap};

use inventory::{Identity, MachineId, Standing as Likeness};

use crate::db::{KnownMachine, RunStanding, StoredRun};

/// What is known of one machine for recognising and booting it.
#[derive(Debug, Clone)]
struct Place {
    id: MachineId,
    identity: Identity,
    disk: bool,
}

/// All machines as of the last change.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    places: Vec<Place>,
    by_name: HashMap<String, Vec<usize>>,
}

/// Who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recognised {
    /// This machine.
    Known {
        /// Which.
        id: MachineId,
        /// Whether its disk is to be started.
        disk: bool,
    },
    /// Something in common with this machine, but not enough.
    Doubtful(MachineId),
    /// Nobody we know.
    Stranger,
}

impl Roster {
    /// The roster of these machines; `runs` oldest first.
    pub(crate) fn new(machines: &[KnownMachine], runs: &[StoredRun]) -> Self {
        let mut latest = HashMap::new();
        for run in runs {
            latest.insert(run.assignment.machine, &run.standing);
        }
        let mut roster = Self::default();
        for machine in machines {
            let done = matches!(
                latest.get(&machine.id),
                Some(RunStanding::DiskTakesOver | RunStanding::Succeeded)
            );
            let at = roster.places.len();
            for name in names(&machine.identity) {
                roster.by_name.entry(name).or_default().push(at);
            }
            roster.places.push(Place {
                id: machine.id,
                identity: machine.identity.clone(),
                disk: done && !machine.ordered,
            });
        }
        roster
    }

    /// Who has these names. Two machines that fit equally well are a doubt.
    pub(crate) fn recognise(&self, identity: &Identity) -> Recognised {
        let near: BTreeSet<usize> = names(identity)
            .filter_map(|name| self.by_name.get(&name))
            .flatten()
            .copied()
            .collect();
        let compared = near
            .iter()
            .filter_map(|at| self.places.get(*at))
            .map(|place| {
                let compared = identity.compare(&place.identity);
                (compared.standing, compared.weight, place)
            });
        let mut compared: Vec<_> = compared.filter(|(s, ..)| *s != Likeness::Other).collect();
        compared.sort_by_key(|(standing, weight, _)| std::cmp::Reverse((*standing, *weight)));
        match compared.as_slice() {
            [] => Recognised::Stranger,
            [(Likeness::Same, weight, place), rest @ ..] => match rest {
                [(Likeness::Same, other, _), ..] if other == weight => {
                    Recognised::Doubtful(place.id)
                }
                _ => Recognised::Known {
                    id: place.id,
                    disk: place.disk,
                },
            },
            [(_, _, place), ..] => Recognised::Doubtful(place.id),
        }
    }
}

/// The keys under which a machine can be found, kinds kept apart.
fn names(identity: &Identity) -> impl Iterator<Item = String> + '_ {
    let uuid = identity
        .uuid
        .iter()
        .map(|uuid| format!("u {}", uuid.to_ascii_lowercase()));
    let serial = identity
        .serial
        .iter()
        .map(|serial| format!("s {}", serial.to_ascii_lowercase()));
    let addresses = identity
        .addresses
        .iter()
        .map(|address| format!("a {address}"));
    uuid.chain(serial).chain(addresses)
}

#[cfg(test)]
mod tests {
    use inventory::HardwareAddr;

    use super::*;

    fn identity(uuid: Option<&str>, last: &[u8]) -> Identity {
        Identity {
            uuid: uuid.map(str::to_owned),
            serial: None,
            addresses: last
                .iter()
                .map(|b| HardwareAddr::new([2, 0, 0, 0, 0, *b]))
                .collect(),
        }
    }

    fn machine(id: u8, identity: Identity) -> KnownMachine {
        KnownMachine::stranger(MachineId::new([id; 16]), identity)
    }

    #[test]
    fn one_agreeing_name_recognises_and_a_contradiction_does_not() {
        let roster = Roster::new(&[machine(1, identity(Some("A"), &[1]))], &[]);
        let known = Recognised::Known {
            id: MachineId::new([1; 16]),
            disk: false,
        };
        assert_eq!(roster.recognise(&identity(Some("a"), &[])), known);
        assert_eq!(roster.recognise(&identity(None, &[1, 9])), known);
        let doubt = Recognised::Doubtful(MachineId::new([1; 16]));
        assert_eq!(roster.recognise(&identity(Some("b"), &[1])), doubt);
        assert_eq!(
            roster.recognise(&identity(Some("b"), &[2])),
            Recognised::Stranger
        );
        assert_eq!(roster.recognise(&Identity::default()), Recognised::Stranger);
    }

    #[test]
    fn two_machines_that_fit_alike_are_a_doubt_and_the_better_one_wins() {
        let machines = [
            machine(1, identity(None, &[1])),
            machine(2, identity(None, &[2])),
        ];
        let roster = Roster::new(&machines, &[]);
        assert!(matches!(
            roster.recognise(&identity(None, &[1, 2])),
            Recognised::Doubtful(_)
        ));
        let machines = [
            machine(1, identity(None, &[1])),
            machine(2, identity(Some("u"), &[2])),
        ];
        let roster = Roster::new(&machines, &[]);
        let better = Recognised::Known {
            id: MachineId::new([2; 16]),
            disk: false,
        };
        assert_eq!(roster.recognise(&identity(Some("u"), &[1, 2])), better);
    }
}

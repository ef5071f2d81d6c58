//! What a machine that calls is to do: a decision over what is known, without
//! I/O, and the rules for the names it may get.

use api::messages::machine::ImageChoice;
use image_format::image::ImageRecord;
use inventory::MachineFacts;
use time::OffsetDateTime;

use crate::db::{KnownMachine, RunStanding, StoredRun};
use crate::error::Refusal;

/// What a machine is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nobody has let it in.
    Wait,
    /// It is let in, but image or name are open.
    Ask,
    /// Its disk holds what was ordered.
    Nothing,
    /// Its open run goes on.
    TakeUp,
    /// A new run.
    Start,
}

/// Decides for a machine whose latest run is `latest`; `approved`: a person
/// compared the code of this very conversation.
pub(crate) fn decide(
    machine: &KnownMachine,
    latest: Option<&StoredRun>,
    approved: bool,
) -> Decision {
    let permitted = approved || machine.unattended;
    // An order to deploy again makes every earlier run history.
    let latest = latest.filter(|_| !machine.ordered).map(|run| &run.standing);
    match latest {
        Some(RunStanding::DiskTakesOver | RunStanding::Succeeded) => Decision::Nothing,
        Some(RunStanding::Open) if permitted => Decision::TakeUp,
        // What failed once unattended must not erase a disk in a loop.
        Some(RunStanding::Failed(_)) if !approved => Decision::Wait,
        _ if !permitted => Decision::Wait,
        // A capture needs no name, and asks nothing that could be answered with
        // an apply.
        _ if machine.capture.is_some() => Decision::Start,
        _ if machine.image.is_some() && machine.name.is_some() => Decision::Start,
        _ => Decision::Ask,
    }
}

/// Longest label of a host name (RFC 1123 2.1, RFC 1035 2.3.4).
const LONGEST_LABEL: usize = 63;

/// Refuses names no host can have: one label of RFC 1123.
pub(crate) fn check_host_name(name: &str) -> Result<(), Refusal> {
    let inner = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let ends = !name.starts_with('-') && !name.ends_with('-');
    let digits = name.bytes().all(|byte| byte.is_ascii_digit());
    if inner && ends && !digits && (1..=LONGEST_LABEL).contains(&name.len()) {
        Ok(())
    } else {
        Err(Refusal::HostName {
            name: name.chars().take(80).collect(),
        })
    }
}

/// A name to suggest for a machine: by its serial number or first adapter.
pub(crate) fn suggested_name(facts: &MachineFacts) -> String {
    let address = || facts.addresses.first().map(ToString::to_string);
    let source = facts.serial.clone().or_else(address).unwrap_or_default();
    let letters: Vec<char> = source
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    // Fifteen letters in all: longer ones cannot be a Windows computer's name.
    let tail: String = letters
        .iter()
        .skip(letters.len().saturating_sub(12))
        .collect();
    if tail.is_empty() {
        "pc".to_owned()
    } else {
        format!("pc-{tail}")
    }
}

/// An image as a choice for people.
pub(crate) fn image_choice(record: &ImageRecord) -> ImageChoice {
    let system = record.system.as_ref().map(|system| system.name.as_str());
    let system = system
        .filter(|name| !name.is_empty())
        .unwrap_or("unknown system");
    let gigabytes = record.logical_size.div_ceil(100_000_000);
    ImageChoice {
        name: record.name.clone(),
        description: format!(
            "{system}, captured {}, {}.{} GB",
            date(record.captured),
            gigabytes / 10,
            gigabytes % 10
        ),
    }
}

/// Seconds since 1970 as a date in UTC; as a number where no calendar has it.
fn date(seconds: u64) -> String {
    let moment = i64::try_from(seconds).map(OffsetDateTime::from_unix_timestamp);
    match moment {
        Ok(Ok(moment)) => moment.date().to_string(),
        _ => seconds.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use api::messages::run::{CaptureWish, Work};
    use image_format::Profile;
    use image_format::ids::ImageId;
    use inventory::{Identity, MachineId};
    use task_sequences::Sequence;

    use super::*;

    fn machine() -> KnownMachine {
        KnownMachine {
            id: MachineId::new([1; 16]),
            name: Some("pc-1".into()),
            identity: Identity::default(),
            facts: None,
            image: Some("debian".into()),
            capture: None,
            disk: None,
            replace: false,
            unattended: false,
            ordered: false,
        }
    }

    fn run(standing: RunStanding) -> StoredRun {
        let record = ImageRecord {
            image: ImageId::new([1; 32]),
            name: "debian".into(),
            sequence: 1,
            captured: 0,
            parent: None,
            system: None,
            logical_size: 0,
            entries: 0,
            profile: None,
            source: None,
            witnesses: None,
        };
        StoredRun {
            assignment: api::messages::run::Assignment {
                run: "r".into(),
                machine: MachineId::new([1; 16]),
                name: "pc-1".into(),
                work: Work::Apply {
                    image: record.image,
                    record: Box::new(record),
                    replace: false,
                },
                sequence: Sequence::image_only(),
                disk: None,
            },
            key: api::PublicKey::new([0; 32]),
            started: 0,
            last: 0,
            standing,
            system: None,
            receipt: false,
        }
    }

    #[test]
    fn nobody_starts_without_approval_or_an_order_to_do_so() {
        let waiting = machine();
        assert_eq!(decide(&waiting, None, false), Decision::Wait);
        assert_eq!(decide(&waiting, None, true), Decision::Start);
        let unattended = KnownMachine {
            unattended: true,
            ..machine()
        };
        assert_eq!(decide(&unattended, None, false), Decision::Start);
        let open = KnownMachine {
            image: None,
            ..machine()
        };
        assert_eq!(decide(&open, None, false), Decision::Wait);
        assert_eq!(decide(&open, None, true), Decision::Ask);
    }

    #[test]
    fn a_capture_needs_no_name_and_waits_for_a_person_like_an_apply() {
        let ordered = KnownMachine {
            name: None,
            image: None,
            capture: Some(CaptureWish {
                name: "office".into(),
                profile: Profile::Fast,
                paranoid: false,
            }),
            ..machine()
        };
        assert_eq!(decide(&ordered, None, false), Decision::Wait);
        assert_eq!(decide(&ordered, None, true), Decision::Start);
        let failed = run(RunStanding::Failed("disk gone".into()));
        let unattended = KnownMachine {
            unattended: true,
            ..ordered
        };
        assert_eq!(decide(&unattended, None, false), Decision::Start);
        assert_eq!(decide(&unattended, Some(&failed), false), Decision::Wait);
    }

    #[test]
    fn an_open_run_is_taken_up_by_whoever_is_let_in() {
        let open = run(RunStanding::Open);
        assert_eq!(decide(&machine(), Some(&open), false), Decision::Wait);
        assert_eq!(decide(&machine(), Some(&open), true), Decision::TakeUp);
        let unattended = KnownMachine {
            unattended: true,
            ..machine()
        };
        assert_eq!(decide(&unattended, Some(&open), false), Decision::TakeUp);
    }

    #[test]
    fn a_failed_run_needs_a_person_even_unattended() {
        let failed = run(RunStanding::Failed("disk gone".into()));
        let unattended = KnownMachine {
            unattended: true,
            ..machine()
        };
        assert_eq!(decide(&unattended, Some(&failed), false), Decision::Wait);
        assert_eq!(decide(&unattended, Some(&failed), true), Decision::Start);
        let ordered = KnownMachine {
            ordered: true,
            ..unattended
        };
        assert_eq!(decide(&ordered, Some(&failed), false), Decision::Start);
    }

    #[test]
    fn a_finished_machine_has_nothing_to_do_until_it_is_ordered_again() {
        for standing in [RunStanding::DiskTakesOver, RunStanding::Succeeded] {
            let done = run(standing);
            let unattended = KnownMachine {
                unattended: true,
                ..machine()
            };
            assert_eq!(decide(&unattended, Some(&done), true), Decision::Nothing);
            let ordered = KnownMachine {
                ordered: true,
                ..unattended
            };
            assert_eq!(decide(&ordered, Some(&done), false), Decision::Start);
        }
    }

    #[test]
    fn host_names_are_labels_of_rfc_1123() {
        for good in ["a", "pc-1", "3com", &"a".repeat(63)] {
            assert!(check_host_name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a-",
            "a.b",
            "a_b",
            "12",
            "\u{e4}",
            "a b",
            &"a".repeat(64),
        ] {
            assert!(check_host_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_suggested_name_is_always_a_host_name() {
        for serial in [
            None,
            Some("SN 12/3"),
            Some("///"),
            Some("PF2X1ABCDEFGHIJKLMNOP"),
        ] {
            let facts = MachineFacts {
                serial: serial.map(str::to_owned),
                ..Default::default()
            };
            assert!(
                check_host_name(&suggested_name(&facts)).is_ok(),
                "{serial:?}"
            );
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(951_782_400), "2000-02-29");
        assert_eq!(date(1_767_225_599), "2025-12-31");
    }
}

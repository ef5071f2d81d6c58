//! What firmware, systems, machines and servers say of themselves and to each other.

use std::fmt::Debug;

use api::messages::machine::{Hello, Standing};
use api::messages::run::{Assignment, EventList};
use api::{PublicKey, Receipt};
use inventory::OsFacts;
use inventory::smbios::SystemNames;
use serde::Serialize;
use serde::de::DeserializeOwned;
use task_sequences::{Next, Phase, RunState, Sequence};

/// Reads JSON and checks that writing and reading it again changes nothing.
fn there_and_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(input: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(input).ok()?;
    let text = serde_json::to_vec(&value).expect("what was read can be written");
    let again: T = serde_json::from_slice(&text).expect("what was written can be read");
    assert_eq!(again, value);
    Some(value)
}

/// Names come from the table, trimmed and no longer than it.
pub(super) fn smbios(input: &[u8]) {
    let names = SystemNames::from_table(input);
    let texts = [names.serial, names.vendor, names.product];
    for text in texts.iter().flatten() {
        assert!(!text.is_empty() && text.trim() == text);
        // A byte that is not UTF-8 becomes a character of three.
        assert!(text.len() <= 3 * input.len());
    }
    if let Some(uuid) = names.uuid {
        assert!(uuid.len() == 36 && uuid.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit()));
    }
}

/// A system's words stand in its file.
pub(super) fn os_release(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let facts = OsFacts::from_os_release(&text);
    for value in [&facts.id, &facts.version, &facts.name] {
        assert!(value.len() <= text.len() && !value.contains('\n'));
    }
    assert!(facts.architecture.is_empty(), "os-release does not tell it");
}

/// A run that can be replayed is the sum of its parts.
pub(super) fn events(input: &[u8]) {
    let Some(list) = there_and_back::<EventList>(input) else {
        return;
    };
    for sequence in [Sequence::image_only(), Sequence::capture_only()] {
        replay(&sequence, &list);
    }
}

fn replay(sequence: &Sequence, list: &EventList) {
    let Ok(state) = RunState::replay(sequence, &list.events) else {
        return;
    };
    assert_eq!(state.next_number(), list.events.len() as u64);
    let (last, before) = match list.events.split_last() {
        Some(parts) => parts,
        None => return,
    };
    let mut parts = RunState::replay(sequence, before).expect("a part of a run is a run");
    assert!(parts.end().is_none(), "nothing follows the end");
    parts
        .record(sequence, last)
        .expect("the last event was accepted before");
    assert_eq!(parts, state);
    if state.succeeded() {
        assert!(state.proven());
        let next = state.next(sequence, Phase::Installed);
        assert_eq!(next, Next::Finished);
    }
}

/// A sequence's first step is what a fresh run of it does.
pub(super) fn sequence(input: &[u8]) {
    let Some(sequence) = there_and_back::<Sequence>(input) else {
        return;
    };
    let state = RunState::new(&sequence);
    let first = sequence.steps().into_iter().next();
    match (state.next(&sequence, Phase::BootEnvironment), first) {
        (Next::Do(step), Some(first)) => assert_eq!(step, first),
        (Next::Leave(phase), Some(first)) => assert_eq!(phase, first.phase),
        (next, first) => assert!(next == Next::Finished && first.is_none()),
    }
}

/// What a machine says of itself survives being written.
pub(super) fn hello(input: &[u8]) {
    there_and_back::<Hello>(input);
}

/// An assignment is believed from nobody but its signer.
pub(super) fn standing(input: &[u8]) {
    there_and_back::<Assignment>(input);
    if let Some(Standing::Assigned { assignment, .. }) = there_and_back(input) {
        let stranger = PublicKey::new([7; 32]);
        assert!(assignment.open("assignment", &stranger).is_err());
    }
}

/// A receipt that verifies does so for one key only, and not with another run.
pub(super) fn receipt(input: &[u8]) {
    let Some(receipt) = there_and_back::<Receipt>(input) else {
        return;
    };
    let stranger = PublicKey::new([7; 32]);
    let proven = receipt.verify(None).is_ok();
    if receipt.verify(Some(&stranger)).is_ok() {
        assert_eq!(receipt.confirmed.as_ref().map(|by| by.key), Some(stranger));
    }
    let mut changed = receipt;
    changed.statement.run.push('x');
    assert!(changed.check_claim().is_err() || !proven);
    assert!(changed.verify(None).is_err(), "a changed receipt verifies");
}

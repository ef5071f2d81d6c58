//! Whatever stops a capture, the share opens and every committed image is whole.

mod kit;

use image_format::ingest::IngestError;
use image_format::share::Share;
use image_format::store::{Fault, MemoryStore};
use image_format::upkeep::check::check;

/// Captures version 2 beside version 1 with a fault; what is left is looked at.
fn stop(fault: Fault) -> MemoryStore {
    let store = MemoryStore::new();
    kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    store.set_fault(Some(fault));
    let result = kit::ingest(&store, "pc", &kit::files(2));
    let stopped = matches!(
        result,
        Err(IngestError::Store(_) | IngestError::Index(_) | IngestError::Commit(_))
    );
    // The last operation ends the lease: then it is committed.
    assert!(stopped || result.is_ok(), "{fault:?}");
    store.restarted()
}

fn operations() -> u64 {
    let store = MemoryStore::new();
    kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    store.set_fault(None);
    kit::ingest(&store, "pc", &kit::files(2)).unwrap();
    store.operations()
}

#[test]
fn capture_stopped_at_any_operation_leaves_every_committed_image_whole() {
    let operations = operations();
    assert!(operations >= 6, "{operations}");
    for at in 0..operations {
        for fault in [Fault::Before(at), Fault::After(at)] {
            let store = stop(fault);
            let share = Share::open(&store).unwrap();
            let committed = match fault {
                Fault::Before(at) => at + 1 >= operations,
                Fault::After(at) => at + 2 >= operations,
            };
            assert_eq!(
                share.history("pc").len(),
                if committed { 2 } else { 1 },
                "{fault:?}"
            );
            for record in share.history("pc") {
                let manifest = share.manifest(&record.image).unwrap();
                share.jobs(&manifest).unwrap();
            }
            assert_eq!(check(&store).unwrap().findings, [], "{fault:?}");
        }
    }
}

#[test]
fn capture_after_a_crash_succeeds_and_uses_again_what_was_indexed() {
    for at in 0..operations() {
        let store = stop(Fault::Before(at));
        let before = Share::open(&store).unwrap().history("pc").len() as u64;
        let record = kit::ingest(&store, "pc", &kit::files(2)).unwrap();
        assert_eq!(record.sequence, before + 1);
        assert_eq!(check(&store).unwrap().findings, []);
    }
}

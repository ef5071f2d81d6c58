//! A lease counts as long as its process may live, and no longer.

mod kit;

use std::fs;
use std::time::Duration;

use image_format::store::{DirStore, Store};
use image_format::upkeep::gc::{GcOptions, gc};
use image_format::upkeep::leases::Lease;

#[test]
fn lease_of_a_process_that_is_gone_holds_up_nobody_and_others_do() {
    let dir = tempfile::tempdir().unwrap();
    let store = DirStore::init(dir.path()).unwrap();
    kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    let Some(holder) = store.holder() else { return };
    let lease = Lease::take(&store, "capture").unwrap();
    let place = dir.path().join(format!("leases/{}.json", lease.id()));
    let text = fs::read_to_string(&place).unwrap();
    let at_once = GcOptions {
        grace: Duration::ZERO,
        ..GcOptions::default()
    };
    assert_eq!(gc(&store, &at_once).unwrap().leases.len(), 1, "it lives");
    let began = format!("\"started\": {}", holder.started);
    assert!(text.contains(&began), "{text}");
    let other = "\"boot\": \"another\"";
    let boot = format!("\"boot\": \"{}\"", holder.boot);
    let earlier = format!("\"started\": {}", holder.started - 1);
    let gone = text.replace(&began, &earlier);
    fs::write(&place, gone.replace(&boot, other)).unwrap();
    assert_eq!(
        gc(&store, &at_once).unwrap().leases.len(),
        1,
        "of another boot"
    );
    fs::write(&place, &gone).unwrap();
    assert!(gc(&store, &at_once).unwrap().leases.is_empty());
    assert!(!place.exists());
}

//! A store that answers questions gets the same image as one whose index is read.

#[path = "kit/answering.rs"]
mod answering;
#[allow(dead_code)]
mod kit;

use std::time::Duration;

use answering::Answering;
use image_format::share::Share;
use image_format::store::{MemoryStore, Object, Run, Store, Trashed};
use image_format::upkeep::check::check;
use image_format::upkeep::gc::{GcOptions, gc};
use image_format::upkeep::names;
use kit::{File, files, ingest, noise};

/// Many small files, as most trees are.
fn many(seed: u64, count: u64) -> Vec<File> {
    let file = |number: u64| {
        let bytes = noise(seed + number, 2000);
        (format!("f{number:05}.so"), vec![Some(bytes)])
    };
    (0..count).map(file).collect()
}

fn refs(store: &MemoryStore) -> Vec<Vec<u8>> {
    let refs = store.list_refs().unwrap();
    refs.iter().map(|at| store.read_ref(at).unwrap()).collect()
}

#[test]
fn the_image_the_packs_and_the_ref_are_those_of_a_folder() {
    let (folder, server) = (MemoryStore::new(), MemoryStore::new());
    for version in 1..4 {
        let asked = Answering::new(&server);
        let one = ingest(&folder, "x", &files(version)).unwrap();
        let other = ingest(&asked, "x", &files(version)).unwrap();
        assert_eq!(one, other);
    }
    assert_eq!(folder.list_packs().unwrap(), server.list_packs().unwrap());
    assert_eq!(refs(&folder), refs(&server));
    assert_eq!(check(&server).unwrap().findings, []);
}

#[test]
fn questions_come_in_batches_and_the_index_is_never_read() {
    let server = MemoryStore::new();
    ingest(&server, "x", &many(0, 3000)).unwrap();
    let asked = Answering::new(&server);
    ingest(&asked, "x", &many(1000, 3000)).unwrap();
    let (questions, chunks) = asked.questions();
    assert!(chunks >= 3000, "{chunks}");
    assert!(questions <= 3 + chunks / 256, "{questions} for {chunks}");
    assert_eq!(asked.index_reads(), 0);
    let share = Share::open_asking(&asked).unwrap();
    let record = share.history("x").last().unwrap();
    let entries = share.entries(&record.image, 0).unwrap();
    let entries: Vec<_> = entries.map(Result::unwrap).collect();
    assert_eq!(entries.len(), 3001);
    assert!(share.has(&entries[7].content).unwrap());
    assert!(share.index().segments().is_empty());
    assert_eq!(asked.index_reads(), 0);
    let (after, _) = asked.questions();
    assert!(after - questions < 12, "{}", after - questions);
}

#[test]
fn what_is_in_the_trash_is_stored_again_and_what_goes_there_later_is_moved_back() {
    let server = MemoryStore::new();
    ingest(&server, "x", &many(0, 300)).unwrap();
    let run = Run {
        begun: 1,
        number: 2,
    };
    let throw_away = || {
        for id in server.list_packs().unwrap() {
            let object = Object::Pack(id);
            server.condemn(&Trashed { run, object }).unwrap();
        }
    };
    throw_away();
    let packs = server.list_trash().unwrap().len();
    ingest(&Answering::new(&server), "y", &many(0, 300)).unwrap();
    assert!(server.list_packs().unwrap().len() >= packs);
    // Thrown away between the answer and the ref.
    let asked = Answering::new(&server);
    asked.after_question(1, &throw_away);
    ingest(&asked, "z", &many(0, 300)).unwrap();
    assert_eq!(check(&server).unwrap().findings, []);
    let share = Share::open(&server).unwrap();
    for chunk in share.image_chunks(&share.find("z").unwrap()).unwrap() {
        share.chunk(&chunk).unwrap();
    }
}

#[test]
fn the_lease_is_taken_before_the_first_question() {
    let server = MemoryStore::new();
    ingest(&server, "x", &many(0, 300)).unwrap();
    let share = Share::open(&server).unwrap();
    names::delete(&server, &names::chosen(&share, "x", true).unwrap()).unwrap();
    let options = GcOptions {
        grace: Duration::ZERO,
        ..GcOptions::default()
    };
    let collect = || drop(gc(&server, &options).unwrap());
    let asked = Answering::new(&server);
    // A collection that sees no lease would destroy what was just said to be there.
    asked.after_question(0, &collect);
    asked.after_question(1, &collect);
    ingest(&asked, "y", &many(0, 300)).unwrap();
    assert_eq!(check(&server).unwrap().findings, []);
    let share = Share::open(&server).unwrap();
    for chunk in share.image_chunks(&share.find("y").unwrap()).unwrap() {
        share.chunk(&chunk).unwrap();
    }
}

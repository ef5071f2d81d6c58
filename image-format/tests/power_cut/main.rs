//! The power is cut at every change and every sync that a share in a directory
//! makes: it opens, every image whose capture had returned is whole, and garbage
//! collection leaves no orphan.

mod cut;
mod disk;
mod history;
#[allow(dead_code)]
#[path = "../kit/mod.rs"]
mod kit;
mod look;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use cut::Cut;
use disk::Disk;
use history::{HISTORY, Promises, Step};

/// What is looked at after the power was cut at this place.
fn cuts(place: u64) -> [Cut; 5] {
    [
        Cut::Lost,
        Cut::Kept,
        Cut::Names,
        Cut::Mixed(place * 2),
        Cut::Mixed(place * 2 + 1),
    ]
}

/// Cuts the power at every operation of a step; says at how many.
fn cut_everywhere(step: Step, before: &Disk, promises: &Promises, places: u64) -> u64 {
    for number in 0.. {
        let disk = before.as_it_is();
        disk.stop_at(number);
        let taken = history::take(step, &disk);
        let mut promises = promises.clone();
        match taken {
            Ok(()) => promises.keep(step),
            Err(_) => promises.doubt(step),
        }
        if !disk.is_off() {
            return number;
        }
        let place = format!("{step:?} was cut at operation {number}");
        for cut in cuts(places + number) {
            look_after(cut, &disk, &promises, &place);
        }
        if history::open(&disk.as_it_is()).is_ok() {
            let (disk, promises) = history::go_on(step, disk.as_it_is(), promises);
            let place = format!("{place}, and the power later");
            look_after(Cut::Lost, &disk, &promises, &place);
            look_after(Cut::Mixed(places + number), &disk, &promises, &place);
        }
    }
    unreachable!()
}

fn look_after(cut: Cut, disk: &Disk, promises: &Promises, place: &str) {
    let left = disk.after(cut);
    if promises.images.is_empty() && history::open(&left).is_err() {
        // No share yet: whoever makes one empties the folder and begins again.
        return;
    }
    let look = || look::assert_sound(&left, promises);
    if let Err(panic) = catch_unwind(AssertUnwindSafe(look)) {
        eprintln!("{place}: {cut:?}");
        resume_unwind(panic);
    }
}

fn play(has_links: bool) {
    let disk = Disk::new(has_links);
    let mut promises = Promises::default();
    let mut places = 0;
    for step in HISTORY {
        let here = cut_everywhere(step, &disk, &promises, places);
        eprintln!("{step:?}: {here}");
        history::take(step, &disk).unwrap();
        promises.keep(step);
        places += here;
    }
    eprintln!("{places} places");
}

#[test]
fn share_whose_power_is_cut_anywhere_keeps_every_committed_image() {
    play(true);
}

#[test]
fn so_does_one_on_a_file_system_without_hard_links() {
    play(false);
}

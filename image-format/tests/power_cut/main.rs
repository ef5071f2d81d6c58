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

/// Plays the history, once to its end and once to every place in it.
struct Play {
    /// Changes and syncs at which the power was cut so far.
    places: u64,
    /// Shares that were looked at.
    looked: u64,
    /// How many mixtures of what was not durable are looked at.
    mixtures: u64,
}

impl Play {
    fn play(mut self, disk: &Disk) -> Self {
        let mut promises = Promises::default();
        for step in HISTORY {
            self.cut_everywhere(step, disk, &promises);
            history::take(step, disk).unwrap();
            promises.keep(step);
        }
        self
    }

    /// Cuts the power at every operation of a step.
    fn cut_everywhere(&mut self, step: Step, before: &Disk, promises: &Promises) {
        for number in 0.. {
            let disk = before.as_it_is();
            disk.stop_at(number);
            let taken = history::take(step, &disk);
            if !disk.is_off() {
                return;
            }
            let mut promises = promises.clone();
            match taken {
                Ok(()) => promises.keep(step),
                Err(_) => promises.doubt(step),
            }
            let place = format!("{step:?} was cut at operation {number}");
            self.look_at_cuts(&disk, &promises, &place);
            if history::open(&disk.as_it_is()).is_ok() {
                let (disk, promises) = history::go_on(step, disk.as_it_is(), promises);
                let place = format!("{place}, and the power later");
                self.look_after(Cut::Lost, &disk, &promises, &place);
            }
            self.places += 1;
        }
    }

    fn look_at_cuts(&mut self, disk: &Disk, promises: &Promises, place: &str) {
        for cut in [Cut::Lost, Cut::Kept, Cut::Names] {
            self.look_after(cut, disk, promises, place);
        }
        for mixture in 0..self.mixtures {
            let cut = Cut::Mixed(self.places * self.mixtures + mixture);
            self.look_after(cut, disk, promises, place);
        }
    }

    fn look_after(&mut self, cut: Cut, disk: &Disk, promises: &Promises, place: &str) {
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
        self.looked += 1;
    }
}

fn play(has_links: bool, mixtures: u64) {
    let play = Play {
        places: 0,
        looked: 0,
        mixtures,
    };
    let Play { places, looked, .. } = play.play(&Disk::new(has_links));
    println!("{places} places, {looked} shares");
    assert!(places > 500 && looked > 3 * places, "{places}, {looked}");
}

#[test]
fn share_whose_power_is_cut_anywhere_keeps_every_committed_image() {
    play(true, 2);
}

#[test]
fn so_does_one_on_a_file_system_without_hard_links() {
    play(false, 1);
}

//! What an apply tells while it works, and how its threads tell it.

use std::sync::mpsc::Sender;

use image_format::store::BlockPlace;

/// The steps of an apply, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Whatever boots is destroyed.
    Destroy,
    /// File system structures are written.
    Metadata,
    /// What lies there already is looked for.
    Reuse,
    /// Blocks are fetched, verified and written.
    Blocks,
    /// Everything is read back and compared.
    Verify,
    /// What makes the disk boot is written and read back.
    Seal,
}

/// Something that happened during an apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplyEvent {
    /// An earlier apply of this very plan was interrupted here.
    Resumed {
        /// The run that apply belonged to.
        run: String,
    },
    /// A phase begins.
    Started {
        /// Which.
        phase: Phase,
        /// Bytes it will go through, 0 where nobody can tell.
        total: u64,
    },
    /// A phase went on.
    Progress {
        /// Which.
        phase: Phase,
        /// Bytes done.
        done: u64,
        /// Bytes it will go through.
        total: u64,
    },
    /// Contents found at their place, not to be fetched.
    Kept {
        /// Bytes on the disk.
        bytes: u64,
    },
    /// A block came damaged and is asked for again.
    Refetched {
        /// The block.
        place: BlockPlace,
    },
}

/// What the working threads send to the thread that watches.
pub(super) enum Note {
    Start(Phase, u64),
    Add(u64),
    Kept(u64),
    Refetched(BlockPlace),
}

/// The working threads' end: cheap to call, never in anyone's way.
pub(super) struct Progress<'s> {
    notes: &'s Sender<Note>,
}

impl<'s> Progress<'s> {
    pub(super) fn new(notes: &'s Sender<Note>) -> Self {
        Self { notes }
    }

    pub(super) fn start(&self, phase: Phase, total: u64) {
        self.tell(Note::Start(phase, total));
    }

    pub(super) fn add(&self, bytes: u64) {
        self.tell(Note::Add(bytes));
    }

    pub(super) fn kept(&self, bytes: u64) {
        self.tell(Note::Kept(bytes));
    }

    pub(super) fn refetched(&self, place: &BlockPlace) {
        self.tell(Note::Refetched(*place));
    }

    fn tell(&self, note: Note) {
        // Nobody listening is no reason to stop writing a disk.
        let _ = self.notes.send(note);
    }
}

/// Progress is told in steps of at least this many bytes.
const STEP: u64 = 256 << 10;

/// Turns notes into events on the watching thread, small steps into larger
/// ones: whoever watches may send each event over a wire.
#[derive(Default)]
pub(super) struct Teller {
    current: Option<Current>,
}

/// The phase that is going on.
struct Current {
    phase: Phase,
    done: u64,
    told: u64,
    total: u64,
}

impl Teller {
    pub(super) fn event(&mut self, note: Note) -> Option<ApplyEvent> {
        match note {
            Note::Start(phase, total) => {
                self.current = Some(Current {
                    phase,
                    done: 0,
                    told: 0,
                    total,
                });
                Some(ApplyEvent::Started { phase, total })
            }
            Note::Add(bytes) => {
                let now = self.current.as_mut()?;
                now.done = now.done.saturating_add(bytes);
                let step = STEP.max(now.total / 1000);
                if now.done - now.told < step && now.done != now.total {
                    return None;
                }
                now.told = now.done;
                let (phase, done, total) = (now.phase, now.done, now.total);
                Some(ApplyEvent::Progress { phase, done, total })
            }
            Note::Kept(bytes) => Some(ApplyEvent::Kept { bytes }),
            Note::Refetched(place) => Some(ApplyEvent::Refetched { place }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_steps_are_told_together_and_the_end_always() {
        let mut teller = Teller::default();
        assert!(teller.event(Note::Add(1)).is_none());
        let (phase, total) = (Phase::Verify, 2 * STEP + 3);
        assert!(teller.event(Note::Start(phase, total)).is_some());
        assert!(teller.event(Note::Add(STEP - 1)).is_none());
        let told = Some(ApplyEvent::Progress {
            phase,
            done: STEP,
            total,
        });
        assert_eq!(teller.event(Note::Add(1)), told);
        assert!(teller.event(Note::Add(3)).is_none());
        let told = Some(ApplyEvent::Progress {
            phase,
            done: total,
            total,
        });
        assert_eq!(teller.event(Note::Add(STEP)), told);
    }
}

//! What a deployment does, in which order, and what happened.
//!
//! A [`Sequence`] is a tree of groups and steps as data; nothing here can touch
//! a machine. A run *is* its list of [`Event`]s: [`RunState::replay`] adds them
//! up, and [`RunState::next`] says what comes next. The agent, the server and
//! whoever watches read the same events; a reboot is a replay.

pub mod event;
pub mod run;
pub mod sequence;

pub use event::{Event, EventError, EventKind};
pub use run::{Next, RunState, StepOutcome};
pub use sequence::{Action, Node, Phase, Sequence, Step};

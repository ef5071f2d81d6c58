//! The routes as machines and operators use them, in one process.

mod caller;
mod enrolment;
mod images;
mod runs;
mod wire;
mod world;

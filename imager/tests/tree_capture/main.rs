//! Directories captured as they are: everything POSIX knows, in order, again
//! and again, while they change. Needs root, as a capture of a system does.

mod again;
mod changing;
mod extracted;
mod faithful;
mod kit;

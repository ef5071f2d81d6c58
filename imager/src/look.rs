//! Looking inside an image without applying it: one file of a million costs
//! two small reads, two versions are compared where they differ.
//!
//! [`Tree`] finds names, [`contents`] reads files, [`diff`] compares two trees,
//! [`extract`] copies files out.

mod below;
pub mod contents;
pub mod diff;
pub mod extract;
mod follow;
mod links;
pub mod recent;
mod refusal;
mod tree;

pub use below::Below;
pub use follow::Last;
pub use links::Links;
pub use refusal::LookError;
pub use tree::Tree;

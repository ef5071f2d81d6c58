//! What keeps a share healthy.

pub mod check;

//! The bodies, by who speaks.

pub mod image;
pub mod machine;
pub mod operator;
pub mod run;
pub mod share;
pub mod store;

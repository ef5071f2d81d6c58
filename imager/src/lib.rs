//! How a disk becomes an image and an image a disk.
//!
//! [`disk`] is bytes at offsets; [`table`] and [`volume`] give them meaning, pure
//! over that trait; [`survey`] says what a disk holds before anything is planned;
//! [`look`] shows what is in an image without applying it.

pub mod apply;
pub mod builders;
pub mod capture;
pub mod disk;
pub mod look;
mod near;
pub mod plan;
pub mod readers;
pub mod scratch;
pub mod survey;
pub mod table;
pub mod tree;
pub mod verify;
pub mod volume;

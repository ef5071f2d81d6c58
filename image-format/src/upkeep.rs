//! What keeps a share healthy.
//!
//! * [`check`]: is every image whole?
//! * [`gc`]: what no image needs goes
//! * [`leases`]: who is at work, so that nothing goes that he needs
//! * [`names`]: an image gets another name, a name is given up
//! * [`optimize`]: the same images in fewer bytes
//! * [`reindex`]: the index is made again from the packs
//! * [`repair`]: what is damaged is taken out of use, so that a capture stores it again
//! * [`stats`]: what takes room, and what shares it

pub mod check;
pub mod gc;
pub mod leases;
mod mark;
pub mod names;
pub mod optimize;
pub mod reindex;
pub mod repair;
pub mod stats;
mod tables;

//! From entries and a size to a layout.
//!
//! The order is always the same: what the tree asks for (`tree`), where the
//! volume's own structures go (`geometry`), where everything else goes
//! (`place`), and at last the bytes of all of it (`assemble`).

mod assemble;
mod builder;
mod checks;
mod contents;
mod extents;
mod fit;
mod geometry;
mod inodes;
mod items;
mod names;
mod place;
mod shape;
mod space;
mod superblocks;
mod tree;

pub use builder::Ext4Builder;
pub(super) use geometry::has_backup;

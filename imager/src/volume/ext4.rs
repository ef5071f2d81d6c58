//! ext4 without a mount: a reader of existing volumes and a builder of new ones.
//!
//! Facts of the format are from the kernel's `Documentation/filesystems/ext4`
//! and from what `e2fsck` of e2fsprogs 1.47 accepts. `codec` is bytes and
//! values, `read` goes from a disk to entries, `build` from entries to a layout.

mod build;
mod codec;
mod fault;
mod read;

pub use build::Ext4Builder;
pub use read::open;

/// The inode flags an entry keeps, in the words of `FS_IOC_GETFLAGS`.
pub(crate) use codec::inode::FLAGS_KEPT;

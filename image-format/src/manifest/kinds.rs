//! The numbers that stand for kinds in the columns of a leaf.

// Of an entry.
pub(super) const DIRECTORY: u8 = 0;
pub(super) const FILE: u8 = 1;
pub(super) const SYMLINK: u8 = 2;
pub(super) const CHAR_DEVICE: u8 = 3;
pub(super) const BLOCK_DEVICE: u8 = 4;
pub(super) const FIFO: u8 = 5;
pub(super) const SOCKET: u8 = 6;
pub(super) const RAW_VOLUME: u8 = 7;

// Of contents.
pub(super) const EMPTY: u8 = 0;
pub(super) const INLINE: u8 = 1;
pub(super) const PIECES: u8 = 2;
pub(super) const LISTS: u8 = 3;

// Of a row of pieces.
pub(super) const HOLE: u8 = 0;
pub(super) const CHUNK: u8 = 1;
pub(super) const LIST: u8 = 2;
pub(super) const LIST_LENGTH: u8 = 3;

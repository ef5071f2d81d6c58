//! Where everything of a volume goes in a directory: folders by number, names,
//! descriptors.

mod folders;
mod open;
mod rows;
mod unopened;
pub(crate) mod writeback;

pub use folders::PlaceError;
pub(crate) use folders::{FolderId, Folders, ROOT, Trail, known};
pub(crate) use open::{Descriptors, beneath, device_of, open_root, text};
pub(crate) use rows::{Deposit, FileRow, Rows, Temper};
pub(crate) use unopened::Unopened;

//! What a machine boots into: loaders, kernel and the two stages of the Linux
//! boot environment, and the unit that goes on in the installed system.
//!
//! A boot tree is built from a distribution's own signed packages and our
//! agent ([`linux::build`]), checked without trusting the builder ([`check`]),
//! and read and written by [`media`], the only module that touches the system.

pub mod authenticode;
pub mod check;
pub mod first_run;
pub mod linux;
pub mod media;
pub mod tree;

pub use check::{Finding, check};
pub use linux::build::{BuildError, Inputs, build, wanted};
pub use linux::modules::{Module, Modules, ModulesError, Stage, TABLE_PATH};
pub use linux::package::{Package, PackageError};
pub use linux::record::{BootConfig, BootRecord, CONFIG_PATH, Hex32, Pin, RECORD_NAME};
pub use tree::{Node, Tree, TreeError};

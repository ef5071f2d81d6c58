//! The Linux boot environment: a distribution's signed loaders and kernel, and
//! beside them two archives of our own with the agent and the kernel's modules.

pub mod build;
pub mod cpio;
pub mod elf;
pub mod expand;
pub mod kernel;
pub mod modules;
pub mod package;
pub mod record;

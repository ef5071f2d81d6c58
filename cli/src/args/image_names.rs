//! `mimeo image tag` and `mimeo image delete`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

/// `mimeo image tag`.
#[derive(Debug, ClapArgs)]
pub(crate) struct TagArgs {
    /// Image: its name, name@version, or the first digits of its id
    pub(crate) image: String,
    /// One more name for it; an image of that name stays, as an older version
    pub(crate) name: String,
    /// The share
    #[arg(long, value_name = "DIR")]
    pub(crate) share: PathBuf,
    /// Sign with the Ed25519 key in this file (PKCS#8)
    #[arg(long, value_name = "FILE")]
    pub(crate) sign: Option<PathBuf>,
}

/// `mimeo image delete`.
#[derive(Debug, ClapArgs)]
pub(crate) struct DeleteArgs {
    /// Image: name@version, or its name where it has one version only
    #[arg(value_name = "NAME[@VERSION]")]
    pub(crate) image: String,
    /// Delete all versions of the name
    #[arg(long)]
    pub(crate) all: bool,
    /// The share
    #[arg(long, value_name = "DIR")]
    pub(crate) share: PathBuf,
}

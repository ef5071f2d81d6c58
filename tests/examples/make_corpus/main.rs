//! Makes the corpora of the fuzz targets: small inputs as our own encoders and
//! the usual tools write them. Run it after a format has changed:
//! `cargo run --release -p lab --example make_corpus`.

mod boot;
mod codec;
mod disks;
mod image;
mod single;
mod wire;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Where the corpora lie.
pub(crate) struct Corpus {
    root: PathBuf,
}

impl Corpus {
    /// Keeps an input of a target under a file name.
    pub(crate) fn put(&self, target: &str, file: &str, bytes: &[u8]) -> Result<()> {
        ensure!(
            lab::fuzz::target(target).is_some(),
            "no target is named {target}"
        );
        ensure!(
            bytes.len() <= 64 << 10,
            "{target}/{file} has {} bytes",
            bytes.len()
        );
        let folder = self.root.join(target);
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let path = folder.join(file);
        fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))
    }
}

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let corpus = Corpus { root };
    let work = tempfile::tempdir().context("making a folder to work in")?;
    image::make(&corpus).context("making blocks, packs and manifests")?;
    disks::make(&corpus, work.path()).context("making tables and volumes")?;
    wire::make(&corpus).context("taking packets from captures")?;
    boot::make(&corpus, work.path()).context("making boot files")?;
    words::make(&corpus).context("making messages")
}

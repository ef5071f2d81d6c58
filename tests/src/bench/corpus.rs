//! The trees that are measured: made once, kept among the build results.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::bench::measure::census;
use crate::bench::row::{Row, Tree};
use crate::bench::synthetic;
use crate::command::{command, run};
use crate::table::table;

/// The script that makes trees from packages.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/corpora.sh");

/// The trees of a run.
#[derive(Debug)]
pub struct Corpora {
    trees: Vec<(Tree, PathBuf)>,
}

impl Corpora {
    /// Makes what `rows` need and `folder` lacks; `given` stands for both
    /// system and desktop.
    ///
    /// # Errors
    /// When a tree cannot be made.
    pub fn prepare(folder: &Path, given: Option<&Path>, rows: &[&Row]) -> Result<Self> {
        let mut trees = Vec::new();
        for &tree in rows.iter().flat_map(|row| row.trees) {
            if trees.iter().all(|(known, _)| *known != tree) {
                trees.push((tree, provide(folder, given, tree)?));
            }
        }
        Ok(Self { trees })
    }

    /// Where a tree of the run lies.
    pub fn path(&self, tree: Tree) -> &Path {
        let found = self.trees.iter().find(|(known, _)| *known == tree);
        found.map_or(Path::new("/nonexistent"), |(_, path)| path)
    }

    /// The trees, their files and bytes.
    pub fn report(&self) -> String {
        let line = |(tree, path): &(Tree, PathBuf)| {
            let (files, bytes) = census(path).unwrap_or_default();
            vec![
                tree.name().to_owned(),
                files.to_string(),
                format!("{} MB", bytes / 1_000_000),
                path.display().to_string(),
            ]
        };
        let rows: Vec<Vec<String>> = self.trees.iter().map(line).collect();
        table(&["tree", "files", "bytes", "place"], &rows)
    }
}

fn provide(folder: &Path, given: Option<&Path>, tree: Tree) -> Result<PathBuf> {
    let path = folder.join(tree.name());
    match (tree, given) {
        (Tree::System | Tree::Desktop, Some(given)) => {
            ensure!(given.is_dir(), "{} is no folder", given.display());
            given.canonicalize().context("finding the given tree")
        }
        (Tree::System | Tree::Desktop | Tree::Updated, _) => from_packages(folder, path),
        (Tree::Machine, _) => {
            let system = provide(folder, given, Tree::System)?;
            synthetic::once(path, |new| synthetic::machine(new, &system))
        }
        (Tree::Edited, _) => {
            let machine = provide(folder, given, Tree::Machine)?;
            synthetic::once(path, |new| synthetic::edited(new, &machine))
        }
        (Tree::Million, _) => synthetic::once(path, synthetic::million),
        (Tree::Sparse, _) => synthetic::once(path, synthetic::sparse),
    }
}

/// The script writes a tree's list when the tree is whole.
fn from_packages(folder: &Path, path: PathBuf) -> Result<PathBuf> {
    if !path.with_extension("list").exists() {
        println!("making trees from Debian packages in {}", folder.display());
        run(command(&["sh", SCRIPT]).arg(folder)).context("making trees from packages")?;
    }
    Ok(path)
}

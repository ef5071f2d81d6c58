//! Packages and boot trees on disk: the only module here that touches the
//! system.

pub mod apt;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::linux::build::wanted;
use crate::linux::package::{Package, PackageError};
use crate::linux::record::RECORD_NAME;
use crate::tree::{Node, Tree, TreeError};

/// Debian's kernel package has 108 MB; nothing that boots is ten times that.
const LARGEST_FILE: u64 = 1 << 30;

/// Why packages or a tree could not be read or written.
#[derive(Debug, Error)]
pub enum MediaError {
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Too large to be what it should be.
    #[error("{path}: has more than {LARGEST_FILE} bytes, this is not part of a boot tree")]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// A package that cannot be opened.
    #[error("{path}: {source}")]
    Package {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: PackageError,
    },
    /// A folder without packages.
    #[error("{0}: holds no .deb files")]
    NoPackages(PathBuf),
    /// A name that no boot tree has.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A boot tree on disk is flat.
    #[error("{0} cannot be written: a boot tree on disk holds only files")]
    NotFlat(String),
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> MediaError {
    let path = path.to_owned();
    move |source| MediaError::Io { path, source }
}

/// Opens every `.deb` in a folder, sorted by name.
///
/// Nobody's signature is checked here: who made the folder answers for it. The
/// record of the boot tree lists the hashes.
pub fn read_packages(folder: &Path) -> Result<Vec<Package>, MediaError> {
    let files: Vec<PathBuf> = list(folder)?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect();
    if files.is_empty() {
        return Err(MediaError::NoPackages(folder.to_owned()));
    }
    open_packages(&files)
}

/// Opens these packages.
pub fn open_packages(files: &[PathBuf]) -> Result<Vec<Package>, MediaError> {
    let open = |path: &PathBuf| {
        let bytes = read_file(path)?;
        Package::open(&bytes, wanted).map_err(|source| MediaError::Package {
            path: path.clone(),
            source,
        })
    };
    files.iter().map(open).collect()
}

/// The files of a folder as a tree; folders in it are left out.
pub fn read_tree(folder: &Path) -> Result<Tree, MediaError> {
    let mut tree = Tree::new();
    for path in list(folder)? {
        if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
            // Files half written by an interrupted build.
            if path.is_file() && !name.starts_with('.') {
                tree.file(name, 0o644, read_file(&path)?)?;
            }
        }
    }
    Ok(tree)
}

/// Writes a flat tree into a folder, each file whole or not at all, the record
/// last: while it is old, the tree does not pass its check.
pub fn write_tree(folder: &Path, tree: &Tree) -> Result<(), MediaError> {
    fs::create_dir_all(folder).map_err(io_error(folder))?;
    let (record, files): (Vec<_>, Vec<_>) = tree.iter().partition(|(name, _)| *name == RECORD_NAME);
    for (name, node) in files.into_iter().chain(record) {
        match node {
            Node::File { bytes, .. } if !name.contains('/') => replace(folder, name, bytes)?,
            _ => return Err(MediaError::NotFlat(name.to_owned())),
        }
    }
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io_error(folder))
}

/// Writes beside, syncs, renames.
fn replace(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), MediaError> {
    let temporary = folder.join(format!(".{name}.new"));
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, folder.join(name))
    };
    write().map_err(io_error(&temporary))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, MediaError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(io_error(folder))? {
        paths.push(entry.map_err(io_error(folder))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Reads a file of a bounded length.
fn read_file(path: &Path) -> Result<Vec<u8>, MediaError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io_error(path))?;
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(io_error(path))?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= LARGEST_FILE => Ok(bytes),
        _ => Err(MediaError::TooLarge {
            path: path.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_tree_comes_back_from_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut tree = Tree::new();
        tree.file("vmlinuz", 0o644, b"kernel".to_vec()).unwrap();
        tree.file(RECORD_NAME, 0o644, b"{}".to_vec()).unwrap();
        write_tree(folder.path(), &tree).unwrap();
        write_tree(folder.path(), &tree).unwrap();
        fs::write(folder.path().join(".vmlinuz.new"), b"half").unwrap();
        assert_eq!(read_tree(folder.path()).unwrap(), tree);
    }

    #[test]
    fn a_folder_without_packages_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            read_packages(folder.path()),
            Err(MediaError::NoPackages(_))
        ));
    }
}

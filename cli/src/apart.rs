//! A share is kept apart from what is captured and from where images go: the
//! one would take the share into itself, the other would destroy it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Refuses a path that is the share or lies in it. A share of a server lies nowhere here.
pub(crate) fn outside(path: &Path, share: &Path, doing: &str) -> Result<()> {
    match lies_in(path, share) {
        true => bail!("{} is the share or lies in it: {doing}", path.display()),
        false => Ok(()),
    }
}

/// Whether `path` is `folder` or lies in it, by whatever names and mounts; of a
/// path that is not there, the nearest folder above that is.
pub(crate) fn lies_in(path: &Path, folder: &Path) -> bool {
    let number = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.dev(), found.ino()))
    };
    let Some(folder) = number(folder) else {
        return false;
    };
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = whole.ancestors().find_map(|at| at.canonicalize().ok());
    let there: PathBuf = there.unwrap_or(whole);
    there.ancestors().any(|at| number(at) == Some(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_lies_in_a_folder_whatever_it_is_called() {
        let dir = tempfile::tempdir().unwrap();
        let share = dir.path().join("share");
        std::fs::create_dir_all(share.join("packs")).unwrap();
        std::fs::create_dir(dir.path().join("share-2")).unwrap();
        std::os::unix::fs::symlink(&share, dir.path().join("link")).unwrap();
        for inside in [
            "share",
            "share/packs",
            "link/packs",
            "share/not/there",
            "share-2/../share",
        ] {
            assert!(lies_in(&dir.path().join(inside), &share), "{inside}");
        }
        for outside in ["", "share-2", "share-2/packs", "not/there"] {
            assert!(!lies_in(&dir.path().join(outside), &share), "{outside}");
        }
        assert!(!lies_in(&share, Path::new("https://server/main")));
    }
}

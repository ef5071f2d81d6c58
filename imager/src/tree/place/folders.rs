//! Folders by number, in little room: a million of them must fit.

use thiserror::Error;

/// A folder's number; a folder has a higher one than the folder it lies in.
pub(crate) type FolderId = u32;

/// The target itself.
pub(crate) const ROOT: FolderId = 0;

/// Names together take no more: their places have four bytes.
const NAMES_MOST: usize = u32::MAX as usize;

/// What a reader of images should have refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// A path that could lead out of the target, or is out of order.
    #[error(
        "path {path} cannot be placed: its folder does not stand before it, or a name in it is none"
    )]
    Path {
        /// The path.
        path: String,
    },
    /// More names than can be numbered.
    #[error("the names of this image are too many: more than four billion bytes")]
    TooMany,
}

/// Names one after another, each with its length in front.
#[derive(Debug, Default)]
pub(crate) struct Names {
    bytes: Vec<u8>,
}

impl Names {
    /// Keeps a name of at most 65535 bytes and answers where.
    pub(crate) fn push(&mut self, name: &[u8]) -> Result<u32, PlaceError> {
        let at = u32::try_from(self.bytes.len()).map_err(|_| PlaceError::TooMany)?;
        let length = u16::try_from(name.len()).map_err(|_| PlaceError::TooMany)?;
        if self.bytes.len().saturating_add(name.len()) > NAMES_MOST {
            return Err(PlaceError::TooMany);
        }
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(name);
        Ok(at)
    }

    /// The name kept at `at`; empty where there is none.
    pub(crate) fn get(&self, at: u32) -> &[u8] {
        let at = at as usize;
        let length = self.bytes.get(at..at.saturating_add(2));
        let length = length
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u16::from_le_bytes);
        self.bytes
            .get(at + 2..at + 2 + usize::from(length))
            .unwrap_or_default()
    }
}

/// All folders: whose child, called how.
#[derive(Debug)]
pub(crate) struct Folders {
    rows: Vec<(FolderId, u32)>,
    pub(crate) names: Names,
}

impl Folders {
    /// Only the target itself.
    pub(crate) fn new() -> Self {
        Self {
            rows: vec![(ROOT, 0)],
            names: Names::default(),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// A folder called `name` in `parent`.
    pub(crate) fn push(&mut self, parent: FolderId, name: &[u8]) -> Result<FolderId, PlaceError> {
        let id = u32::try_from(self.rows.len()).map_err(|_| PlaceError::TooMany)?;
        let name = self.names.push(name)?;
        self.rows.push((parent, name));
        Ok(id)
    }

    /// The folder it lies in, and its name there; `None` for the target itself.
    pub(crate) fn place(&self, id: FolderId) -> Option<(FolderId, &[u8])> {
        let (parent, name) = self.rows.get(id as usize)?;
        (id != ROOT).then(|| (*parent, self.names.get(*name)))
    }

    /// Its path in the volume.
    pub(crate) fn path(&self, id: FolderId) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = id;
        while let Some((parent, name)) = self.place(at) {
            names.push(name);
            at = parent;
        }
        names.reverse();
        names.join(&b'/')
    }

    /// The path of `name` in a folder.
    pub(crate) fn path_of(&self, id: FolderId, name: &[u8]) -> Vec<u8> {
        let mut path = self.path(id);
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend(name);
        path
    }
}

/// Finds the folder of each path while paths come in their order.
///
/// Paths rise bytewise, so `a`, `a-b`, `a-b/c`, `a/d` is a possible order. A
/// folder is done with once a path came that no path in it can follow; those not
/// done with form a stack.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    open: Vec<(Vec<u8>, FolderId)>,
}

impl Trail {
    /// The folder `path` lies in and its name there; `None` when that folder did
    /// not come before, or the name could lead elsewhere.
    pub(crate) fn parent<'p>(&mut self, path: &'p [u8]) -> Option<(FolderId, &'p [u8])> {
        while self
            .open
            .last()
            .is_some_and(|(dir, _)| !may_follow(dir, path))
        {
            self.open.pop();
        }
        let cut = path.iter().rposition(|&byte| byte == b'/');
        let (parent, name) = match cut {
            Some(cut) => (path.get(..cut)?, path.get(cut + 1..)?),
            None => (&[][..], path),
        };
        let strange = path.starts_with(b"/")
            || name.is_empty()
            || name == b"."
            || name == b".."
            || name.contains(&0);
        if strange {
            return None;
        }
        let found = self.open.iter().rev().find(|(dir, _)| dir == parent);
        found.map(|(_, id)| (*id, name))
    }

    /// A folder that came; the target itself has the empty path.
    pub(crate) fn enter(&mut self, path: &[u8], id: FolderId) {
        self.open.push((path.to_vec(), id));
    }
}

/// Whether a path in `dir` may still come when `path` has come.
fn may_follow(dir: &[u8], path: &[u8]) -> bool {
    dir.is_empty()
        || path
            .strip_prefix(dir)
            .is_some_and(|rest| rest.first().is_none_or(|&byte| byte <= b'/'))
}

/// What stands for a name in a folder: 16 bytes instead of the name.
pub(crate) fn known(folder: FolderId, name: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&folder.to_le_bytes());
    hasher.update(name);
    let mut short = [0; 16];
    hasher.finalize_xof().fill(&mut short);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_found_also_after_a_neighbour_that_sorts_between() {
        let mut trail = Trail::default();
        trail.enter(b"", ROOT);
        assert_eq!(trail.parent(b"a"), Some((ROOT, &b"a"[..])));
        trail.enter(b"a", 1);
        assert_eq!(trail.parent(b"a-b"), Some((ROOT, &b"a-b"[..])));
        trail.enter(b"a-b", 2);
        assert_eq!(trail.parent(b"a-b/c"), Some((2, &b"c"[..])));
        assert_eq!(trail.parent(b"a/d"), Some((1, &b"d"[..])));
        assert_eq!(trail.parent(b"b"), Some((ROOT, &b"b"[..])));
    }

    #[test]
    fn a_name_that_leads_elsewhere_has_no_place() {
        let mut trail = Trail::default();
        trail.enter(b"", ROOT);
        for path in [&b".."[..], b".", b"", b"x/y", b"a\0b", b"/etc"] {
            assert_eq!(trail.parent(path), None, "{}", path.escape_ascii());
        }
    }

    #[test]
    fn paths_are_put_together_again() {
        let mut folders = Folders::new();
        let usr = folders.push(ROOT, b"usr").unwrap();
        let lib = folders.push(usr, b"lib").unwrap();
        assert_eq!(folders.path(lib), b"usr/lib");
        assert_eq!(folders.path_of(lib, b"x"), b"usr/lib/x");
        assert_eq!(folders.path_of(ROOT, b"x"), b"x");
    }
}

//! A path as people type it becomes the entry it leads to.

use image_format::entry::{Entry, Kind, printable};

use super::LookError;
use super::refusal::kind_word;

/// What happens to a symbolic link at the end of a path; those on the way are
/// always followed, inside the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// What it leads to is meant.
    Follow,
    /// The link itself is meant.
    Keep,
}

/// As many as Linux follows.
const MAX_LINKS: u32 = 40;

/// Walks `path` from the root; `entry` answers what has exactly a given path.
/// The whole path is looked up first: links on the way are rare.
pub(super) fn follow(path: &[u8], last: Last, entry: &mut Lookup<'_>) -> Result<Entry, LookError> {
    let mut left: Vec<Vec<u8>> = components(path).rev().collect();
    let mut links = 0;
    if left.iter().all(|part| part != b"..") {
        let plain: Vec<&[u8]> = left.iter().rev().map(Vec::as_slice).collect();
        if let Some(found) = entry(&plain.join(&b'/'))?
            && (last == Last::Keep || !matches!(found.kind, Kind::Symlink(_)))
        {
            return Ok(found);
        }
    }
    let mut here = root(entry)?;
    while let Some(part) = left.pop() {
        if !matches!(here.kind, Kind::Directory) {
            return Err(LookError::NotAFolder {
                path: here.display_path(),
                kind: kind_word(&here.kind),
            });
        }
        if part == b".." {
            let above = here.parent().unwrap_or_default().to_vec();
            here = at(entry, &above)?;
            continue;
        }
        let next = at(entry, &joined(&here.path, &part))?;
        match &next.kind {
            Kind::Symlink(target) if !left.is_empty() || last == Last::Follow => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(LookError::TooManyLinks {
                        path: shown(path),
                        limit: MAX_LINKS,
                    });
                }
                left.extend(components(target).rev());
                if target.first() == Some(&b'/') {
                    here = root(entry)?;
                }
            }
            _ => here = next,
        }
    }
    Ok(here)
}

type Lookup<'l> = dyn FnMut(&[u8]) -> Result<Option<Entry>, LookError> + 'l;

fn root(entry: &mut Lookup<'_>) -> Result<Entry, LookError> {
    at(entry, b"")
}

fn at(entry: &mut Lookup<'_>, path: &[u8]) -> Result<Entry, LookError> {
    entry(path)?.ok_or_else(|| LookError::NotThere { path: shown(path) })
}

/// Components that mean something, in order.
fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    path.split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .map(<[u8]>::to_vec)
}

fn joined(folder: &[u8], name: &[u8]) -> Vec<u8> {
    match folder {
        [] => name.to_vec(),
        _ => [folder, name].join(&b'/'),
    }
}

fn shown(path: &[u8]) -> String {
    let start = path.iter().position(|&byte| byte != b'/');
    let rest = path.get(start.unwrap_or(path.len())..).unwrap_or_default();
    format!("/{}", printable(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Vec<Entry> {
        let link = |path: &str, to: &str| Entry::new(path, Kind::Symlink(to.into()));
        vec![
            Entry::new("", Kind::Directory),
            link("bin", "usr/bin"),
            link("loop", "/loop"),
            link("out", "../../../usr"),
            Entry::new("usr", Kind::Directory),
            Entry::new("usr/bin", Kind::Directory),
            link("usr/bin/sh", "/bin/dash"),
            Entry::new("usr/bin/dash", Kind::File),
        ]
    }

    fn leads(path: &str, last: Last) -> Result<String, LookError> {
        let tree = tree();
        let found = follow(path.as_bytes(), last, &mut |path| {
            Ok(tree.iter().find(|entry| entry.path == path).cloned())
        });
        found.map(|entry| entry.display_path())
    }

    #[test]
    fn paths_lead_where_they_would_inside_the_system() {
        for (path, expected) in [
            ("/", "/"),
            ("", "/"),
            ("bin/sh", "/usr/bin/dash"),
            ("/usr/./bin//dash", "/usr/bin/dash"),
            ("/usr/bin/../../../bin/dash", "/usr/bin/dash"),
            ("out/bin/sh", "/usr/bin/dash"),
        ] {
            assert_eq!(leads(path, Last::Follow).unwrap(), expected, "{path}");
        }
        assert_eq!(leads("/bin/sh", Last::Keep).unwrap(), "/usr/bin/sh");
        assert_eq!(leads("bin", Last::Keep).unwrap(), "/bin");
    }

    #[test]
    fn what_is_not_there_is_named_and_loops_end() {
        let words = |path: &str| leads(path, Last::Follow).unwrap_err().to_string();
        assert!(words("usr/none").contains("/usr/none"));
        assert!(words("usr/bin/dash/x").contains("is a file, not a folder"));
        assert!(words("loop").contains("symbolic links"));
    }
}

//! What is left out of a capture, by patterns as `.gitignore` has them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use thiserror::Error;

/// Files a system makes anew, whatever directory is captured: paging and
/// hibernation of Windows.
const ALWAYS: [&str; 3] = ["/pagefile.sys", "/hiberfil.sys", "/swapfile.sys"];
/// What an operating system fills while it runs. Only in the root of one: a
/// folder called `dev` or `run` among somebody's documents is kept.
const OF_A_SYSTEM: [&str; 12] = [
    "/proc/*",
    "/sys/*",
    "/dev/*",
    "/run/*",
    "/tmp/*",
    "/var/tmp/*",
    "/var/cache/apt/archives/*.deb",
    "/swapfile",
    "/swap.img",
    "/lost+found/",
    "/home/lost+found/",
    "/boot/lost+found/",
];

/// A pattern that cannot be used.
#[derive(Debug, Error)]
#[error("the exclude pattern {pattern:?} cannot be used")]
pub struct PatternError {
    /// The pattern.
    pub pattern: String,
    /// Why.
    pub source: ignore::Error,
}

/// Patterns, of which the last that matches decides; `!` in front takes in again.
#[derive(Debug, Clone)]
pub struct Excludes {
    matcher: Gitignore,
}

impl Excludes {
    /// Patterns relative to the captured directory, one each; comments and
    /// empty lines are passed over.
    ///
    /// # Errors
    /// The first pattern that is none.
    pub fn new<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Result<Self, PatternError> {
        let mut builder = GitignoreBuilder::new("");
        let refuse = |pattern: &str, source| PatternError {
            pattern: pattern.to_owned(),
            source,
        };
        for pattern in patterns {
            builder
                .add_line(None, pattern)
                .map_err(|source| refuse(pattern, source))?;
        }
        let matcher = builder.build().map_err(|source| refuse("*", source))?;
        Ok(Self { matcher })
    }

    /// What is left out unless somebody asks for everything. `system_root`:
    /// the directory is the root of an operating system.
    pub fn defaults(system_root: bool) -> impl Iterator<Item = &'static str> {
        let of_a_system = OF_A_SYSTEM.into_iter().filter(move |_| system_root);
        ALWAYS.into_iter().chain(of_a_system)
    }

    /// Whether the entry at `path` (without a slash at either end) is left out.
    pub fn matches(&self, path: &[u8], is_directory: bool) -> bool {
        !self.matcher.is_empty()
            && self
                .matcher
                .matched(Path::new(OsStr::from_bytes(path)), is_directory)
                .is_ignore()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excludes(patterns: &[&str]) -> Excludes {
        Excludes::new(patterns.iter().copied()).unwrap()
    }

    #[test]
    fn patterns_mean_what_they_mean_to_git() {
        let some = excludes(&[
            "# a comment",
            "",
            "*.o",
            "/build",
            "cache/",
            "!keep.o",
            "/a/*",
        ]);
        assert!(some.matches(b"x/y.o", false));
        assert!(!some.matches(b"x/keep.o", false), "the last one decides");
        assert!(some.matches(b"build", true));
        assert!(!some.matches(b"x/build", true), "only in front");
        assert!(some.matches(b"x/cache", true));
        assert!(!some.matches(b"x/cache", false), "only a directory");
        assert!(some.matches(b"a/b", false));
        assert!(!some.matches(b"a", true));
        assert!(some.matches(b"\xff\xfe.o", false), "names need not be text");
        assert!(!some.matches(b"", true), "the root stays");
        assert!(Excludes::new(["a[z-b]"]).is_err());
    }

    #[test]
    fn a_folder_of_documents_is_not_taken_for_a_system() {
        let system: Vec<_> = Excludes::defaults(true).collect();
        let system = excludes(&system);
        assert!(system.matches(b"dev/null", false));
        assert!(!system.matches(b"dev", true));
        assert!(system.matches(b"lost+found", true));
        assert!(system.matches(b"var/cache/apt/archives/x_1.deb", false));
        let documents: Vec<_> = Excludes::defaults(false).collect();
        let documents = excludes(&documents);
        assert!(!documents.matches(b"dev/letter.odt", false));
        assert!(documents.matches(b"pagefile.sys", false));
    }
}

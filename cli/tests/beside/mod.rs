//! A folder with a share in it, and the program run on that share.

use std::path::PathBuf;
use std::process::{Command, Output};

use image_format::DirStore;

/// A share called `share`, and room for other things beside it.
pub(crate) struct Beside {
    folder: tempfile::TempDir,
}

impl Beside {
    /// The share is empty.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        DirStore::init(&folder.path().join("share")).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mimeo"));
        command.args(words).arg("--share").arg(self.path("share"));
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// What it prints; it must succeed.
    pub(crate) fn says(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }
}

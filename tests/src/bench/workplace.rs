//! The folder a row is measured in, and what its scripts are told.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::bench::corpus::Corpora;
use crate::bench::measure::{self, Sample};
use crate::bench::row::{Caches, Ground, Row, Tool};
use crate::command::{run, sh};

/// Mounts `$disk` where nobody else sees it, does `$work` on it and unmounts:
/// the mount ends with the script, however that ends.
const ON_FRESH_EXT4: &str = r#"unshare --mount --propagation private bash -e -o pipefail -c '
mount -o loop "$disk" "$target"
eval "$work"
umount "$target"'"#;

/// Inode tables and journal are written now: left to the kernel they would be
/// written while somebody is measured.
const MAKE_EXT4: &str = r#"rm -f "$disk"
truncate --size 8G "$disk"
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$disk""#;

/// One bench at a time works here.
#[derive(Debug)]
pub struct Workplace<'a> {
    folder: PathBuf,
    mimeo: &'a Path,
    corpora: &'a Corpora,
    _lock: File,
}

impl<'a> Workplace<'a> {
    /// Takes `folder` and clears what an earlier run left.
    ///
    /// # Errors
    /// When another bench is at work there.
    pub fn claim(folder: &Path, mimeo: &'a Path, corpora: &'a Corpora) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let lock = File::create(folder.with_extension("lock"))?;
        if lock.try_lock().is_err() {
            bail!("another bench is at work in {}", folder.display());
        }
        clear(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            mimeo,
            corpora,
            _lock: lock,
        })
    }

    /// Does what the tool needs once before its first run.
    ///
    /// # Errors
    /// When its script fails.
    pub fn prepare(&self, row: &Row, tool: &Tool) -> Result<()> {
        fs::create_dir_all(self.own(tool, "kept"))?;
        fs::create_dir_all(self.own(tool, "new"))?;
        fs::create_dir_all(self.folder.join("target"))?;
        self.unmeasured(row, tool, tool.prepare)
            .context("preparing")
    }

    /// Runs the tool once and clears its `$new`.
    ///
    /// # Errors
    /// When one of its scripts fails.
    pub fn measure(&self, row: &Row, tool: &Tool) -> Result<Sample> {
        let new = self.own(tool, "new");
        clear(&new)?;
        self.unmeasured(row, tool, tool.before)
            .context("before the run")?;
        if row.ground == Ground::FreshExt4 {
            self.unmeasured(row, tool, MAKE_EXT4)?;
        }
        measure::settle(row.caches == Caches::Dropped)?;
        let before = self.stored(tool)?;
        let script = match row.ground {
            Ground::Folder => tool.run,
            Ground::FreshExt4 => ON_FRESH_EXT4,
        };
        let notes = self.folder.join("notes");
        let mut sample = measure::script(script, &notes, |command| self.tell(row, tool, command))?;
        // A store that was tidied may have shrunk.
        sample.stored = self.stored(tool)?.saturating_sub(before);
        clear(&new)?;
        Ok(sample)
    }

    /// Removes everything the row left.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn clear(&self) -> Result<()> {
        clear(&self.folder)
    }

    fn unmeasured(&self, row: &Row, tool: &Tool, script: &str) -> Result<()> {
        let mut command = measure::bash(script);
        self.tell(row, tool, &mut command);
        run(&mut command)?;
        Ok(())
    }

    fn stored(&self, tool: &Tool) -> Result<u64> {
        Ok(measure::bytes(&self.own(tool, "new"))? + measure::bytes(&self.own(tool, "kept"))?)
    }

    fn own(&self, tool: &Tool, kind: &str) -> PathBuf {
        let name = tool.name.replace(|one: char| !one.is_alphanumeric(), "-");
        self.folder.join(name).join(kind)
    }

    /// The variables of [`Tool`], and what keeps the peers from asking.
    fn tell(&self, row: &Row, tool: &Tool, command: &mut Command) {
        for (index, &tree) in row.trees.iter().enumerate() {
            let path = self.corpora.path(tree);
            command.env(tree.name(), path);
            if index == 0 {
                command.env("tree", path);
            }
        }
        let home = self.own(tool, "home");
        command
            .env("mimeo", self.mimeo)
            .env("new", self.own(tool, "new"))
            .env("kept", self.own(tool, "kept"))
            .env("row", &self.folder)
            .env("disk", self.folder.join("disk"))
            .env("target", self.folder.join("target"))
            .env("work", tool.run)
            .env("BORG_BASE_DIR", &home)
            .env("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes")
            .env("RESTIC_CACHE_DIR", &home)
            .env("RESTIC_PASSWORD", "bench")
            .env("LC_ALL", "C.UTF-8");
    }
}

/// Makes the folder an empty one. `rm` is as fast as it gets with a million files.
fn clear(folder: &Path) -> Result<()> {
    sh(&["rm", "-rf", "--one-file-system", &folder.to_string_lossy()])?;
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))
}

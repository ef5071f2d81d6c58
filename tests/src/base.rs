//! What every room starts from, made once: the share with the reference
//! image, the server's key, and the boot tree that pins it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::{command, run};
use crate::disk::fingerprint;
use crate::programs::Programs;
use crate::reference;

/// The server's address in every room.
pub const SERVER: &str = "10.77.0.1";
/// The name the reference image is captured under.
pub const IMAGE: &str = "debian-ref";

/// Shared by all rooms; nobody changes it.
#[derive(Debug, Clone)]
pub struct Base {
    /// The programs.
    pub programs: Programs,
    /// The reference disk.
    pub reference: PathBuf,
    /// Deployment share with [`IMAGE`] in it.
    pub share: PathBuf,
    /// Boot tree.
    pub boot: PathBuf,
    /// The server's state folder with its key, before any machine came.
    pub state: PathBuf,
}

/// Makes the base in a folder of this process's own; `say` hears each step.
///
/// # Errors
/// The command that failed and what it said.
pub fn prepare(programs: &Programs, folder: &Path, say: &mut dyn FnMut(&str)) -> Result<Base> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("clearing {}", folder.display()))?;
    }
    fs::create_dir_all(folder)?;
    let cache = programs.target.join("lab");
    say("reference machine: Debian 12 from packages, on a 3 GiB disk");
    let reference = reference::disk(&cache)?;
    let base = Base {
        programs: programs.clone(),
        reference,
        share: folder.join("share"),
        boot: folder.join("boot"),
        state: folder.join("state"),
    };
    say("capture: the reference disk into a new deployment share");
    base.capture()?;
    say("boot environment: composed from the distribution's signed packages");
    base.build_boot(folder, &cache.join("packages"))?;
    Ok(base)
}

impl Base {
    /// A command of the operator's program.
    pub fn mimeo(&self) -> std::process::Command {
        command(&[&self.programs.mimeo.to_string_lossy()])
    }

    /// The same with a copy of its share in `share`, which may be written to.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn with_own_share(&self, share: &Path) -> Result<Self> {
        if share.exists() {
            fs::remove_dir_all(share).with_context(|| format!("clearing {}", share.display()))?;
        }
        if let Some(folder) = share.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut copy = command(&["cp", "-a", "--reflink=auto"]);
        run(copy.arg(&self.share).arg(share))?;
        Ok(Self {
            share: share.to_owned(),
            ..self.clone()
        })
    }

    /// A copy of the reference disk.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn copy_of_reference(&self, disk: &Path) -> Result<PathBuf> {
        let mut copy = command(&["cp", "--sparse=always"]);
        run(copy.arg(&self.reference).arg(disk))?;
        Ok(disk.to_owned())
    }

    /// What `mimeo image ...` says of the share.
    ///
    /// # Errors
    /// What it said when it failed.
    pub fn image(&self, words: &[&str]) -> Result<String> {
        let mut look = self.mimeo();
        look.arg("image")
            .args(words)
            .arg("--share")
            .arg(&self.share);
        run(&mut look)
    }

    /// The id of the newest image of a name.
    ///
    /// # Errors
    /// When there is none.
    pub fn image_id(&self, name: &str) -> Result<String> {
        let records: Vec<serde_json::Value> =
            serde_json::from_str(&self.image(&["list", "--json"])?)?;
        let of_name = records.iter().find(|record| record["name"] == name);
        let id = of_name.and_then(|record| record["image"].as_str());
        Ok(id.with_context(|| format!("no image {name}"))?.to_owned())
    }

    fn capture(&self) -> Result<()> {
        let before = fingerprint(&self.reference)?;
        run(self.mimeo().args(["share", "init"]).arg(&self.share))?;
        let mut capture = self.mimeo();
        capture
            .arg("capture")
            .arg(&self.reference)
            .arg("--share")
            .arg(&self.share);
        run(capture.args(["--name", IMAGE]))?;
        let after = fingerprint(&self.reference)?;
        anyhow::ensure!(before == after, "the capture changed its source");
        Ok(())
    }

    fn build_boot(&self, folder: &Path, packages: &Path) -> Result<()> {
        let config = folder.join("mimeo.toml");
        fs::write(
            &config,
            self.config(
                &self.state,
                "[dhcp]\ninterface = \"eth0\"\nmode = \"off\"\n",
            ),
        )?;
        let mut build = self.mimeo();
        build.args(["boot", "build", "--config"]).arg(&config);
        build.arg("--agent").arg(&self.programs.agent);
        run(build
            .arg("--cache")
            .arg(packages)
            .arg("--out")
            .arg(&self.boot))?;
        run(self.mimeo().args(["boot", "check"]).arg(&self.boot))?;
        Ok(())
    }

    /// A server's configuration with its state in `state`.
    pub fn config(&self, state: &Path, dhcp: &str) -> String {
        format!(
            "[server]\naddress = \"{SERVER}\"\nhttps_port = 8443\nhttp_port = 80\nstate = {:?}\nshare = {:?}\nboot = {:?}\n\n{dhcp}",
            state, self.share, self.boot
        )
    }
}

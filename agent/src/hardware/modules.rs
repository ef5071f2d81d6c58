//! Drivers: what the devices here ask for, loaded from the boot environment.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::system::finit_module;
use winpe_assets::{Module, Modules, TABLE_PATH};

/// Rounds of looking for devices: a driver (a bus, a hub) brings new devices,
/// and they ask for drivers. Deeper chains do not exist.
const ROUNDS: usize = 6;
/// Depth of the device tree below `/sys/devices`.
const DEPTH: usize = 24;

/// The drivers of this environment and which of them are in.
pub(crate) struct Drivers {
    table: Modules,
    tried: BTreeSet<String>,
    complaints: Vec<String>,
}

impl Drivers {
    /// Reads the table that travels with the environment.
    pub(crate) fn open() -> Result<Self> {
        let path = Path::new("/").join(TABLE_PATH);
        let bytes = fs::read(&path).with_context(|| format!("{} is missing", path.display()))?;
        let table = Modules::parse(&bytes)?;
        Ok(Self {
            table,
            tried: BTreeSet::new(),
            complaints: Vec::new(),
        })
    }

    /// Loads what the devices ask for, as far as its file is here yet, until
    /// no more devices turn up.
    pub(crate) fn load_for_devices(&mut self) {
        for _ in 0..ROUNDS {
            let before = self.tried.len();
            for modalias in modaliases(Path::new("/sys/devices")) {
                let wanted: Vec<String> = self
                    .table
                    .for_modalias(&modalias)
                    .iter()
                    .map(|m| m.name.clone())
                    .collect();
                wanted.iter().for_each(|name| self.load(name));
            }
            if self.tried.len() == before {
                return;
            }
            // Devices behind a new driver appear a moment later.
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }

    /// Loads a module by name with all it needs. One that is not here yet may
    /// come with the second stage and is tried again then.
    pub(crate) fn load(&mut self, name: &str) {
        let here = |module: &Module| file(module).exists();
        if self.tried.contains(name) || self.table.get(name).is_some_and(|module| !here(module)) {
            return;
        }
        let order: Vec<Module> = match self.table.load_order(name) {
            Ok(order) => order
                .into_iter()
                .filter(|module| here(module))
                .cloned()
                .collect(),
            Err(error) => {
                self.tried.insert(name.to_owned());
                self.complaints.push(error.to_string());
                return;
            }
        };
        for module in order {
            if self.tried.insert(module.name.clone())
                && let Err(error) = insert(&file(&module))
            {
                self.complaints
                    .push(format!("driver {}: {error}", module.name));
            }
        }
    }

    /// What could not be loaded since the last question. Much of it is harmless:
    /// a driver that finds no device it can use says so by an error.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }
}

fn file(module: &Module) -> PathBuf {
    Path::new("/").join(&module.path)
}

fn insert(path: &Path) -> Result<()> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    match finit_module(&file, c"", 0) {
        // In the kernel already, under this or another name.
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What each device below `folder` says of itself, each text once.
fn modaliases(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            // Links lead elsewhere in the same tree.
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() && depth < DEPTH {
                open.push((entry.path(), depth + 1));
            } else if entry.file_name() == "modalias"
                && let Ok(text) = fs::read_to_string(entry.path())
            {
                found.insert(text.trim().to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_is_asked_once_and_links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("pci/a", "pci:v1"),
            ("pci/b", "pci:v1"),
            ("pci/a/usb", "usb:v2"),
        ] {
            fs::create_dir_all(root.path().join(path)).unwrap();
            fs::write(root.path().join(path).join("modalias"), format!("{text}\n")).unwrap();
        }
        std::os::unix::fs::symlink(root.path(), root.path().join("pci/loop")).unwrap();
        let found: Vec<_> = modaliases(root.path()).into_iter().collect();
        assert_eq!(found, ["pci:v1", "usb:v2"]);
    }
}

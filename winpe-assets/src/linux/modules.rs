//! Which kernel modules a boot environment has, which device wants which, and
//! in which order they load.
//!
//! The table is made when the environment is built, from what each module says
//! about itself, and travels in the first stage as [`TABLE_PATH`]; depmod and
//! modprobe are not needed on either side.

mod glob;
pub mod modinfo;
pub mod select;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where the table lies in the first stage.
pub const TABLE_PATH: &str = "lib/mimeo/modules.json";

/// The table of 500 modules takes 1 MB.
const LONGEST_TABLE: usize = 32 << 20;
const FORMAT: u32 = 1;

/// The stage of the boot environment that a module travels in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// In the initramfs that the loader fetches.
    First,
    /// In the archive that the agent fetches.
    Second,
}

/// One module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Its name as the kernel says it: underscores, no suffix.
    pub name: String,
    /// Path from the root of the boot environment, without leading slash.
    pub path: String,
    /// Where it travels.
    pub stage: Stage,
    /// Names that must be loaded before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends: Vec<String>,
    /// Names that should be loaded before it; it works without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// Names that should be loaded after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Patterns of the modaliases it serves, and its other names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Firmware files it may ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firmware: Vec<String>,
}

/// Why a table cannot be used.
#[derive(Debug, Error)]
pub enum ModulesError {
    /// Not a table of this version.
    #[error("the table of kernel modules ({TABLE_PATH}) cannot be read: {0}")]
    Table(String),
    /// Asked for a module that is not there.
    #[error("kernel module {name} is neither in this boot environment nor built into its kernel")]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// A module needs one that is not there.
    #[error(
        "kernel module {name} needs {missing}, which is not in this boot environment; build it anew"
    )]
    Missing {
        /// The module.
        name: String,
        /// What it needs.
        missing: String,
    },
}

/// The table of modules, in the kernel's own order of preference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modules {
    kernel: String,
    modules: Vec<Module>,
    builtin: BTreeSet<String>,
    by_name: BTreeMap<String, usize>,
}

/// The table as JSON.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    kernel: String,
    modules: Vec<Module>,
    builtin: BTreeSet<String>,
}

impl Modules {
    /// A table for `kernel` (`uname -r`) with what is built into it.
    #[must_use]
    pub fn new(kernel: String, modules: Vec<Module>, builtin: BTreeSet<String>) -> Self {
        let by_name = modules
            .iter()
            .enumerate()
            .map(|(index, module)| (module.name.clone(), index))
            .collect();
        Self {
            kernel,
            modules,
            builtin,
            by_name,
        }
    }

    /// Reads the table as [`Self::encode`] wrote it.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModulesError> {
        if bytes.len() > LONGEST_TABLE {
            return Err(ModulesError::Table(format!(
                "{} bytes are too many",
                bytes.len()
            )));
        }
        let stored: Stored = serde_json::from_slice(bytes)
            .map_err(|error| ModulesError::Table(error.to_string()))?;
        if stored.format != FORMAT {
            let found = stored.format;
            return Err(ModulesError::Table(format!(
                "format {found}, expected {FORMAT}"
            )));
        }
        Ok(Self::new(stored.kernel, stored.modules, stored.builtin))
    }

    /// The table as bytes; the same table gives the same bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let stored = Stored {
            format: FORMAT,
            kernel: self.kernel.clone(),
            modules: self.modules.clone(),
            builtin: self.builtin.clone(),
        };
        // Strings and numbers only: serialising them cannot fail.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// `uname -r` of the kernel these modules belong to.
    #[must_use]
    pub fn kernel(&self) -> &str {
        &self.kernel
    }

    /// All modules, in the kernel's order.
    #[must_use]
    pub fn all(&self) -> &[Module] {
        &self.modules
    }

    /// The module of this name; `-` and `_` are the same.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Module> {
        self.by_name
            .get(&canonical(name))
            .and_then(|&index| self.modules.get(index))
    }

    /// Is a module of this name part of the kernel itself?
    #[must_use]
    pub fn is_builtin(&self, name: &str) -> bool {
        self.builtin.contains(&canonical(name))
    }

    /// The modules that serve a device's `modalias`, preferred first.
    #[must_use]
    pub fn for_modalias(&self, modalias: &str) -> Vec<&Module> {
        let serves = |module: &&Module| {
            module
                .aliases
                .iter()
                .any(|pattern| glob::matches(pattern, modalias))
        };
        self.modules.iter().filter(serves).collect()
    }

    /// What to load for the module `name`, first to last, itself included.
    /// Empty when it is built in.
    pub fn load_order(&self, name: &str) -> Result<Vec<&Module>, ModulesError> {
        let name = canonical(name);
        let Some(&wanted) = self.by_name.get(&name) else {
            return match self.builtin.contains(&name) {
                true => Ok(Vec::new()),
                false => Err(ModulesError::Unknown { name }),
            };
        };
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        // A stack of our own: a table's chain of needs may be of any length.
        let mut stack = vec![(wanted, false)];
        while let Some((index, ready)) = stack.pop() {
            let Some(module) = self.modules.get(index) else {
                continue;
            };
            if ready {
                order.push(module);
            } else if seen.insert(index) {
                stack.extend(self.soft(&module.after));
                stack.push((index, true));
                stack.extend(self.hard(module)?);
                stack.extend(self.soft(&module.before));
            }
        }
        Ok(order)
    }

    /// Those of `names` that are modules here.
    fn soft(&self, names: &[String]) -> impl Iterator<Item = (usize, bool)> {
        names
            .iter()
            .rev()
            .filter_map(|name| self.by_name.get(name))
            .map(|&index| (index, false))
    }

    /// The needs of `module`; an error when one is neither module nor built in.
    fn hard(&self, module: &Module) -> Result<Vec<(usize, bool)>, ModulesError> {
        let mut needs = Vec::new();
        for name in module.depends.iter().rev() {
            match self.by_name.get(name) {
                Some(&index) => needs.push((index, false)),
                None if self.builtin.contains(name) => {}
                None => {
                    let (name, missing) = (module.name.clone(), name.clone());
                    return Err(ModulesError::Missing { name, missing });
                }
            }
        }
        Ok(needs)
    }
}

/// A module's name as the kernel says it.
fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(name: &str, depends: &[&str], before: &[&str], aliases: &[&str]) -> Module {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Module {
            name: name.to_owned(),
            path: format!("lib/modules/6/{name}.ko"),
            stage: Stage::First,
            depends: owned(depends),
            before: owned(before),
            after: Vec::new(),
            aliases: owned(aliases),
            firmware: Vec::new(),
        }
    }

    fn table() -> Modules {
        let modules = vec![
            module("mdio", &["built"], &[], &[]),
            module("phy", &["mdio"], &[], &[]),
            module("realtek", &["phy"], &[], &[]),
            module(
                "r8169",
                &["phy", "mdio"],
                &["realtek"],
                &["pci:v000010ECd00008168sv*sd*bc*sc*i*"],
            ),
            module("loop_a", &["loop_b"], &[], &[]),
            module("loop_b", &["loop_a"], &[], &[]),
            module("orphan", &["nowhere"], &[], &[]),
        ];
        Modules::new("6".to_owned(), modules, ["built".to_owned()].into())
    }

    #[test]
    fn every_need_is_loaded_before_the_module_and_once() {
        let table = table();
        let order: Vec<_> = table
            .load_order("r8169")
            .unwrap()
            .iter()
            .map(|module| module.name.as_str())
            .collect();
        assert_eq!(order, ["mdio", "phy", "realtek", "r8169"]);
    }

    #[test]
    fn a_circle_of_needs_ends() {
        assert_eq!(table().load_order("loop-a").unwrap().len(), 2);
    }

    #[test]
    fn a_missing_need_is_named_and_a_builtin_module_needs_nothing() {
        let table = table();
        let missing = table.load_order("orphan");
        assert!(
            matches!(missing, Err(ModulesError::Missing { missing, .. }) if missing == "nowhere")
        );
        assert!(table.load_order("built").unwrap().is_empty());
        assert!(matches!(
            table.load_order("no"),
            Err(ModulesError::Unknown { .. })
        ));
    }

    #[test]
    fn a_modalias_finds_its_module() {
        let table = table();
        let found = table.for_modalias("pci:v000010ECd00008168sv00001462sd00007C37bc02sc00i00");
        assert_eq!(
            found
                .iter()
                .map(|module| module.name.as_str())
                .collect::<Vec<_>>(),
            ["r8169"]
        );
    }

    #[test]
    fn a_table_comes_back_from_its_bytes_and_a_cut_one_does_not() {
        let bytes = table().encode();
        assert_eq!(Modules::parse(&bytes).unwrap(), table());
        for length in 0..bytes.len() {
            assert!(Modules::parse(&bytes[..length]).is_err(), "cut at {length}");
        }
    }
}

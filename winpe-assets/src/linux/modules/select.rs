//! Chooses modules of a kernel package for the two stages, with all they need.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::modinfo::Modinfo;
use super::{Module, Modules, Stage, canonical, glob};
use crate::linux::elf::ElfError;
use crate::linux::expand::{ExpandError, expand};

/// The largest module of Debian's kernel (amdgpu) has 30 MB.
const LARGEST_MODULE: usize = 128 << 20;

/// What somebody wants of a kernel's modules.
#[derive(Debug, Clone, Copy)]
pub struct Wishes<'a> {
    /// Modules by name; those the kernel does not have are reported.
    pub names: &'a [&'a str],
    /// Folders below `kernel/`: every module in them and below.
    pub folders: &'a [&'a str],
}

/// Why modules could not be chosen.
#[derive(Debug, Error)]
pub enum SelectError {
    /// A module's file is damaged.
    #[error("kernel module {path}: {source}")]
    Expand {
        /// Path in the package.
        path: String,
        /// What the decoder says.
        source: ExpandError,
    },
    /// A module is not what it should be.
    #[error("kernel module {path}: {source}")]
    Elf {
        /// Path in the package.
        path: String,
        /// What is wrong with it.
        source: ElfError,
    },
    /// A module needs one the package does not have.
    #[error("kernel module {name} needs {missing}, which the kernel package does not hold")]
    Missing {
        /// The module.
        name: String,
        /// What it needs.
        missing: String,
    },
    /// The package has no list of built-in modules.
    #[error("the kernel package holds no lib/modules/{release}/modules.builtin")]
    NoBuiltin {
        /// `uname -r` of the kernel.
        release: String,
    },
}

/// The chosen modules.
#[derive(Debug)]
pub struct Chosen {
    /// Their table.
    pub table: Modules,
    /// Their content by the name in the table: uncompressed, signature kept.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Wished for by name, but neither module nor built in.
    pub absent: Vec<String>,
}

/// Chooses from the files of a kernel package. A module wished for in both
/// stages, or needed by the first, is in the first. `companions` are names to
/// load before a module that asks for them only at run time.
pub fn choose<'a>(
    release: &'a str,
    files: impl Iterator<Item = (&'a str, &'a [u8])>,
    first: Wishes<'_>,
    second: Wishes<'_>,
    companions: &[(&str, &[&str])],
) -> Result<Chosen, SelectError> {
    let mut kernel = Kernel::read(release, files)?;
    let mut absent = BTreeSet::new();
    let first = kernel.names(first, &mut absent);
    let second = kernel.names(second, &mut absent);
    for (_, names) in companions {
        let names = names.iter().map(|name| canonical(name));
        kernel.load_all(
            names
                .filter(|name| kernel.packed.contains_key(name))
                .collect(),
        )?;
    }
    kernel.load_all(first.iter().chain(&second).cloned().collect())?;
    kernel.resolve_soft(companions);
    let first = kernel.closure(&first);
    // Companions of modules nobody chose are not wanted either.
    let all: BTreeSet<_> = first.union(&kernel.closure(&second)).cloned().collect();
    Ok(kernel.finish(&first, &all, absent))
}

/// A kernel package, module files by canonical name.
struct Kernel<'a> {
    release: &'a str,
    /// Path below `lib/modules/RELEASE/`, and the file as packed.
    packed: BTreeMap<String, (&'a str, &'a [u8])>,
    builtin: BTreeSet<String>,
    /// Place in `modules.order`.
    rank: BTreeMap<String, usize>,
    loaded: BTreeMap<String, (Vec<u8>, Modinfo)>,
}

impl<'a> Kernel<'a> {
    fn read(
        release: &'a str,
        files: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, SelectError> {
        let prefix = format!("lib/modules/{release}/");
        let (mut packed, mut builtin, mut rank) = (BTreeMap::new(), None, BTreeMap::new());
        for (path, bytes) in files {
            let below = path.strip_prefix("usr/").unwrap_or(path);
            let Some(below) = below.strip_prefix(&prefix) else {
                continue;
            };
            match below {
                "modules.builtin" => builtin = Some(module_names(bytes).collect()),
                "modules.order" => {
                    rank = module_names(bytes)
                        .enumerate()
                        .map(|(at, name)| (name, at))
                        .collect();
                }
                _ => {
                    if let Some(name) = module_name(below) {
                        packed.insert(name, (below, bytes));
                    }
                }
            }
        }
        let builtin = builtin.ok_or_else(|| SelectError::NoBuiltin {
            release: release.to_owned(),
        })?;
        Ok(Self {
            release,
            packed,
            builtin,
            rank,
            loaded: BTreeMap::new(),
        })
    }

    /// The wished modules that exist; others go to `absent` unless built in.
    fn names(&self, wishes: Wishes<'_>, absent: &mut BTreeSet<String>) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for name in wishes.names.iter().map(|name| canonical(name)) {
            if self.packed.contains_key(&name) {
                names.insert(name);
            } else if !self.builtin.contains(&name) {
                absent.insert(name);
            }
        }
        let inside = |path: &str| {
            wishes.folders.iter().any(|folder| {
                let rest = path
                    .strip_prefix("kernel/")
                    .and_then(|path| path.strip_prefix(folder));
                rest.is_some_and(|rest| rest.starts_with('/'))
            })
        };
        let in_folders = self.packed.iter().filter(|(_, (path, _))| inside(path));
        names.extend(in_folders.map(|(name, _)| name.clone()));
        names
    }

    /// Unpacks these modules and all that they need.
    fn load_all(&mut self, mut wanted: Vec<String>) -> Result<(), SelectError> {
        while let Some(name) = wanted.pop() {
            if self.loaded.contains_key(&name) {
                continue;
            }
            let Some(&(path, packed)) = self.packed.get(&name) else {
                continue;
            };
            let bytes = expand(packed, LARGEST_MODULE).map_err(|source| SelectError::Expand {
                path: path.to_owned(),
                source,
            })?;
            let info = Modinfo::read(&bytes).map_err(|source| SelectError::Elf {
                path: path.to_owned(),
                source,
            })?;
            let lost =
                |need: &&String| !self.packed.contains_key(*need) && !self.builtin.contains(*need);
            if let Some(missing) = info.depends.iter().find(lost) {
                return Err(SelectError::Missing {
                    name,
                    missing: missing.clone(),
                });
            }
            wanted.extend(
                info.depends
                    .iter()
                    .chain(&info.before)
                    .chain(&info.after)
                    .cloned(),
            );
            self.loaded.insert(name, (bytes, info));
        }
        Ok(())
    }

    /// Replaces the names in soft dependencies by modules that are here: a
    /// soft dependency may name an alias (`crypto-crc32c`).
    fn resolve_soft(&mut self, companions: &[(&str, &[&str])]) {
        let serving = |wanted: &String| -> Vec<String> {
            if self.loaded.contains_key(wanted) {
                return vec![wanted.clone()];
            }
            let serves = |info: &Modinfo| {
                info.aliases
                    .iter()
                    .any(|alias| glob::matches(alias, wanted))
            };
            let found = self.loaded.iter().filter(|(_, (_, info))| serves(info));
            found.map(|(name, _)| name.clone()).collect()
        };
        let mut resolved = Vec::new();
        for (name, (_, info)) in &self.loaded {
            let mut before: Vec<String> = info.before.iter().flat_map(&serving).collect();
            let after = info.after.iter().flat_map(&serving).collect();
            let of_this = companions
                .iter()
                .filter(|(module, _)| canonical(module) == *name);
            let companions = of_this
                .flat_map(|(_, names)| *names)
                .map(|name| canonical(name));
            before.extend(companions.filter(|name| self.loaded.contains_key(name)));
            resolved.push((name.clone(), before, after));
        }
        for (name, before, after) in resolved {
            if let Some((_, info)) = self.loaded.get_mut(&name) {
                info.before = before;
                info.after = after;
            }
        }
    }

    /// These modules and all that they need, hard and soft.
    fn closure(&self, names: &BTreeSet<String>) -> BTreeSet<String> {
        let mut closed = BTreeSet::new();
        let mut open: Vec<&String> = names.iter().collect();
        while let Some(name) = open.pop() {
            if let Some((_, info)) = self.loaded.get(name)
                && closed.insert(name.clone())
            {
                open.extend(info.depends.iter().chain(&info.before).chain(&info.after));
            }
        }
        closed
    }

    fn finish(
        self,
        first: &BTreeSet<String>,
        all: &BTreeSet<String>,
        absent: BTreeSet<String>,
    ) -> Chosen {
        let (mut modules, mut files) = (Vec::new(), BTreeMap::new());
        for (name, (bytes, info)) in self.loaded {
            let Some((path, _)) = self.packed.get(&name).filter(|_| all.contains(&name)) else {
                continue;
            };
            let bare = path.trim_end_matches(".xz").trim_end_matches(".zst");
            let stage = if first.contains(&name) {
                Stage::First
            } else {
                Stage::Second
            };
            files.insert(name.clone(), bytes);
            modules.push(Module {
                path: format!("lib/modules/{}/{bare}", self.release),
                name,
                stage,
                depends: info.depends,
                before: info.before,
                after: info.after,
                aliases: info.aliases,
                firmware: info.firmware,
            });
        }
        let rank = |module: &Module| self.rank.get(&module.name).copied().unwrap_or(usize::MAX);
        modules.sort_by_key(rank);
        let table = Modules::new(self.release.to_owned(), modules, self.builtin);
        Chosen {
            table,
            files,
            absent: absent.into_iter().collect(),
        }
    }
}

/// `kernel/fs/ext4/ext4.ko.xz` -> `ext4`.
fn module_name(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let file = file
        .strip_suffix(".xz")
        .or_else(|| file.strip_suffix(".zst"))
        .unwrap_or(file);
    file.strip_suffix(".ko").map(canonical)
}

/// The names in `modules.builtin` or `modules.order`: one path a line.
fn module_names(text: &[u8]) -> impl Iterator<Item = String> {
    text.split(|&byte| byte == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok())
        .filter_map(module_name)
}

#[cfg(test)]
mod tests {
    use super::super::modinfo::sample;
    use super::*;

    fn chosen(first: &[&str], second_folders: &[&str]) -> Result<Chosen, SelectError> {
        let files = [
            (
                "lib/modules/6/modules.builtin",
                b"kernel/a/virtio_pci.ko\n".to_vec(),
            ),
            (
                "lib/modules/6/modules.order",
                b"kernel/n/nic.ko\nkernel/l/phy.ko\n".to_vec(),
            ),
            (
                "lib/modules/6/kernel/n/nic.ko",
                sample("alias=pci:v1*|depends=phy,virtio_pci|firmware=n.fw|"),
            ),
            ("lib/modules/6/kernel/l/phy.ko", sample("depends=|")),
            (
                "lib/modules/6/kernel/f/ext.ko",
                sample("depends=phy|softdep=pre: crypto-crc|"),
            ),
            (
                "lib/modules/6/kernel/f/crc-soft.ko",
                sample("alias=crypto-crc|depends=|"),
            ),
            ("lib/modules/6/kernel/z/extra.ko", sample("depends=|")),
            (
                "lib/modules/6/kernel/b/broken.ko",
                sample("depends=nowhere|"),
            ),
        ];
        choose(
            "6",
            files.iter().map(|(path, bytes)| (*path, bytes.as_slice())),
            Wishes {
                names: first,
                folders: &[],
            },
            Wishes {
                names: &[],
                folders: second_folders,
            },
            &[("nic", &["extra"])],
        )
    }

    #[test]
    fn needs_and_companions_travel_with_the_stage_that_needs_them() {
        let chosen = chosen(&["nic", "virtio-pci", "no-such"], &["f"]).unwrap();
        let stage = |name: &str| chosen.table.get(name).map(|module| module.stage);
        assert_eq!(stage("nic"), Some(Stage::First));
        assert_eq!(stage("phy"), Some(Stage::First));
        assert_eq!(stage("extra"), Some(Stage::First));
        assert_eq!(stage("ext"), Some(Stage::Second));
        assert_eq!(chosen.absent, ["no_such"]);
        assert_eq!(chosen.table.all()[0].name, "nic");
    }

    #[test]
    fn a_soft_need_on_an_alias_finds_its_module() {
        let chosen = chosen(&[], &["f"]).unwrap();
        assert_eq!(chosen.table.get("ext").unwrap().before, ["crc_soft"]);
        assert!(chosen.table.get("extra").is_none(), "companion of nobody");
    }

    #[test]
    fn a_module_whose_need_is_nowhere_is_an_error() {
        assert!(matches!(
            chosen(&["broken"], &[]),
            Err(SelectError::Missing { .. })
        ));
    }
}

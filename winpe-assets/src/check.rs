//! Is this boot tree whole? Looks at nothing but the files: what the record
//! promises, what the first stage pins, what firmware will ask for.

use std::fmt;

use crate::authenticode::signature;
use crate::linux::build::{GRUB, INITRD, KERNEL, SHIM, STAGE2, UNDIONLY};
use crate::linux::modules::modinfo::Modinfo;
use crate::linux::modules::{Module, Modules, Stage, TABLE_PATH};
use crate::linux::record::{BootConfig, BootRecord, CONFIG_PATH, Pin, RECORD_NAME};
use crate::linux::{cpio, elf, expand, kernel};
use crate::tree::{Node, Tree};

/// GRUB fetches 2 to 3 MB/s: beyond this a machine waits more than 5 seconds.
const LARGEST_INITRD: usize = 15_000_000;
/// The second stage and what it unpacks to share 512 MB with the agent.
const LARGEST_STAGE2: usize = 64_000_000;
const LARGEST_UNPACKED: usize = 256 << 20;

const REBUILD: &str = "run `mimeo boot build` again";
const RESTORE: &str = "the file was changed after the build: run `mimeo boot build` again";
const OTHER_PACKAGES: &str = "take loaders and kernel from the distribution's signed packages";

/// Something about a boot tree that keeps a machine from booting safely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which file of the tree, or file within a stage.
    pub file: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do.
    pub remedy: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {}; {}",
            self.file, self.problem, self.remedy
        )
    }
}

/// Everything wrong with `tree`; an empty list is a good tree.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Findings::default();
    for name in [SHIM, GRUB, UNDIONLY, KERNEL, INITRD, STAGE2] {
        if tree.bytes(name).is_none() {
            findings.add(name, "is missing".to_owned(), REBUILD);
        }
    }
    check_signatures(tree, &mut findings);
    let record = match tree.bytes(RECORD_NAME).map(BootRecord::parse) {
        Some(Ok(record)) => record,
        Some(Err(error)) => return findings.and(RECORD_NAME, error.to_string(), REBUILD),
        None => return findings.and(RECORD_NAME, "is missing".to_owned(), REBUILD),
    };
    check_record(tree, &record, &mut findings);
    let first = unpack(tree, INITRD, LARGEST_INITRD, &mut findings);
    let second = unpack(tree, STAGE2, LARGEST_STAGE2, &mut findings);
    if let Some(first) = &first {
        check_first(tree, first, &record, &mut findings);
        check_modules(first, second.as_ref(), &record, &mut findings);
    }
    findings.0
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, file: &str, problem: String, remedy: &'static str) {
        self.0.push(Finding {
            file: file.to_owned(),
            problem,
            remedy,
        });
    }

    fn and(mut self, file: &str, problem: String, remedy: &'static str) -> Vec<Finding> {
        self.add(file, problem, remedy);
        self.0
    }
}

fn check_signatures(tree: &Tree, findings: &mut Findings) {
    for name in [SHIM, GRUB, KERNEL] {
        if let Some(Err(error)) = tree.bytes(name).map(signature) {
            findings.add(name, error.to_string(), OTHER_PACKAGES);
        }
    }
}

/// The record against the files and the files against the record.
fn check_record(tree: &Tree, record: &BootRecord, findings: &mut Findings) {
    for (name, pin) in &record.files {
        match tree.bytes(name) {
            Some(bytes) if pin.fits(bytes) => {}
            Some(bytes) => {
                let found = Pin::of(bytes);
                let problem = format!(
                    "has {} bytes with BLAKE3 {}, the record says {} with {}",
                    found.size, found.blake3, pin.size, pin.blake3
                );
                findings.add(name, problem, RESTORE);
            }
            None => findings.add(name, "is in the record but not there".to_owned(), REBUILD),
        }
    }
    for name in [SHIM, GRUB, UNDIONLY, KERNEL, INITRD, STAGE2] {
        if tree.bytes(name).is_some() && !record.files.contains_key(name) {
            findings.add(name, "is not in the record".to_owned(), REBUILD);
        }
    }
    let release = tree.bytes(KERNEL).and_then(kernel::release);
    if let Some(release) = release.filter(|&release| release != record.kernel) {
        let problem = format!("is {release}, the modules are for {}", record.kernel);
        findings.add(KERNEL, problem, REBUILD);
    }
}

/// A stage as a tree.
fn unpack(tree: &Tree, name: &str, limit: usize, findings: &mut Findings) -> Option<Tree> {
    let packed = tree.bytes(name)?;
    if packed.len() > limit {
        let problem = format!("has {} bytes, more than {limit}", packed.len());
        findings.add(
            name,
            problem,
            "leave out firmware packages or --all-network",
        );
    }
    let plain = match expand::expand(packed, LARGEST_UNPACKED) {
        Ok(plain) => plain,
        Err(error) => {
            findings.add(name, error.to_string(), REBUILD);
            return None;
        }
    };
    match cpio::read(&plain) {
        Ok(stage) => Some(stage),
        Err(error) => {
            findings.add(name, error.to_string(), REBUILD);
            None
        }
    }
}

/// The agent and whom it is told to trust.
fn check_first(tree: &Tree, first: &Tree, record: &BootRecord, findings: &mut Findings) {
    match first.get("init") {
        Some(Node::File { mode, bytes }) => {
            if mode & 0o111 == 0 {
                findings.add("/init", "cannot be executed".to_owned(), REBUILD);
            }
            if let Err(error) = elf::check_static(bytes) {
                findings.add("/init", error.to_string(), "give a static mimeo-agent");
            }
            if !record.agent.fits(bytes) {
                findings.add(
                    "/init",
                    "is not the agent in the record".to_owned(),
                    REBUILD,
                );
            }
        }
        _ => findings.add(
            "/init",
            "is missing from the first stage".to_owned(),
            REBUILD,
        ),
    }
    let config = match first.bytes(CONFIG_PATH).map(BootConfig::parse) {
        Some(Ok(config)) => config,
        Some(Err(error)) => return findings.add(CONFIG_PATH, error.to_string(), REBUILD),
        None => {
            return findings.add(
                CONFIG_PATH,
                "is missing from the first stage".to_owned(),
                REBUILD,
            );
        }
    };
    if (config.server, config.server_key) != (record.server, record.server_key) {
        findings.add(
            CONFIG_PATH,
            "names another server or key than the record".to_owned(),
            REBUILD,
        );
    }
    if config.kernel != record.kernel {
        findings.add(
            CONFIG_PATH,
            format!("is for kernel {}", config.kernel),
            REBUILD,
        );
    }
    if tree
        .bytes(STAGE2)
        .is_some_and(|bytes| !config.stage2.fits(bytes))
    {
        findings.add(
            STAGE2,
            "is not the one the first stage accepts".to_owned(),
            REBUILD,
        );
    }
}

/// The table of modules against the modules.
fn check_modules(
    first: &Tree,
    second: Option<&Tree>,
    record: &BootRecord,
    findings: &mut Findings,
) {
    let table = match first.bytes(TABLE_PATH).map(Modules::parse) {
        Some(Ok(table)) => table,
        Some(Err(error)) => return findings.add(TABLE_PATH, error.to_string(), REBUILD),
        None => {
            return findings.add(
                TABLE_PATH,
                "is missing from the first stage".to_owned(),
                REBUILD,
            );
        }
    };
    if table.kernel() != record.kernel {
        findings.add(
            TABLE_PATH,
            format!("is for kernel {}", table.kernel()),
            REBUILD,
        );
    }
    for module in table.all() {
        let stage = match module.stage {
            Stage::First => Some(first),
            Stage::Second => second,
        };
        if let Some(stage) = stage {
            check_module(module, stage, &table, findings);
        }
    }
}

fn check_module(module: &Module, stage: &Tree, table: &Modules, findings: &mut Findings) {
    match stage.bytes(&module.path).map(Modinfo::read) {
        Some(Ok(info)) if info.signed => {}
        Some(Ok(_)) => findings.add(
            &module.path,
            "carries no signature: it does not load under Secure Boot".to_owned(),
            OTHER_PACKAGES,
        ),
        Some(Err(error)) => findings.add(&module.path, error.to_string(), REBUILD),
        None => findings.add(
            &module.path,
            "is in the table but not in its stage".to_owned(),
            REBUILD,
        ),
    }
    match table.load_order(&module.name) {
        Ok(order) if module.stage == Stage::First => {
            if let Some(late) = order.iter().find(|need| need.stage == Stage::Second) {
                let problem = format!("needs {}, which comes with the second stage", late.name);
                findings.add(&module.path, problem, REBUILD);
            }
        }
        Ok(_) => {}
        Err(error) => findings.add(&module.path, error.to_string(), REBUILD),
    }
}

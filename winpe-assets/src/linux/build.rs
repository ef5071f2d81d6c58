//! Packages and an agent to a boot tree: signed loaders and kernel as they
//! are, and the two stages of our own. Same inputs, same bytes.

mod stages;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::SocketAddr;

use thiserror::Error;

use super::cpio::{self, CpioError};
use super::elf::{self, ElfError};
use super::expand::{SMALL, SMALLEST, compress};
use super::kernel;
use super::modules::select::{Chosen, SelectError, choose};
use super::modules::{Stage, TABLE_PATH};
use super::package::Package;
pub use super::record::STAGE2;
use super::record::{
    BootConfig, BootRecord, CONFIG_PATH, Hex32, PackageRecord, Pin, RECORD_NAME, RecordError,
};
use crate::tree::{Node, Tree, TreeError};

/// Names of the files of a boot tree.
pub const SHIM: &str = "shimx64.efi";
/// GRUB as shim asks for it.
pub const GRUB: &str = "grubx64.efi";
/// iPXE for BIOS machines.
pub const UNDIONLY: &str = "undionly.kpxe";
/// iPXE for UEFI machines without Secure Boot.
pub const IPXE: &str = "ipxe.efi";
/// The kernel.
pub const KERNEL: &str = "vmlinuz";
/// The first stage.
pub const INITRD: &str = "initrd.img";
/// The list of what lies in both stages.
pub const CONTENTS: &str = "contents.txt";

/// Where the packages hold the loaders; the first place that exists is taken.
/// `true`: the tree is useless without it.
const LOADERS: &[(&str, bool, &str, &[&str])] = &[
    (
        SHIM,
        true,
        "shim-signed",
        &["usr/lib/shim/shimx64.efi.signed"],
    ),
    // The netboot build: it looks for its configuration on the server.
    (
        GRUB,
        true,
        "grub-efi-amd64-signed",
        &["usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"],
    ),
    (UNDIONLY, true, "ipxe", &["usr/lib/ipxe/undionly.kpxe"]),
    (
        IPXE,
        false,
        "ipxe",
        &["usr/lib/ipxe/ipxe.efi", "usr/lib/ipxe/ipxe-amd64.efi"],
    ),
];

const KERNEL_PREFIX: &str = "boot/vmlinuz-";
const FIRMWARE: [&str; 2] = ["usr/lib/firmware/", "lib/firmware/"];

/// Folders the agent mounts on or writes to.
const FOLDERS: &[&str] = &[
    "dev",
    "proc",
    "sys",
    "run",
    "tmp",
    "mnt",
    "root",
    "etc/mimeo",
];

/// Why no boot tree came out.
#[derive(Debug, Error)]
pub enum BuildError {
    /// A file that a package should hold is not there.
    #[error("no package holds {what}; add the package {package} (Debian 13 or later)")]
    Missing {
        /// The file wanted.
        what: &'static str,
        /// Who usually has it.
        package: &'static str,
    },
    /// Which kernel?
    #[error("the packages hold {0:?}: give exactly one kernel package")]
    Kernels(Vec<String>),
    /// The agent cannot be /init.
    #[error("the agent cannot be the first program of the boot environment: {0}")]
    Agent(#[from] ElfError),
    /// Its modules.
    #[error(transparent)]
    Modules(#[from] SelectError),
    /// A driver without which most machines cannot reach the server.
    #[error("kernel {kernel} has no driver {name}: this is not a general-purpose kernel package")]
    Essential {
        /// `uname -r`.
        kernel: String,
        /// The missing module.
        name: &'static str,
    },
    /// Two files want one place.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The archive of a stage.
    #[error(transparent)]
    Archive(#[from] CpioError),
    /// The compressor.
    #[error("compressing a stage: {0}")]
    Compress(#[from] std::io::Error),
    /// The records.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// What a boot tree is made of.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// Kernel, shim, GRUB, iPXE; optionally firmware. See [`wanted`].
    pub packages: &'a [Package],
    /// The static program that becomes `/init`.
    pub agent: &'a [u8],
    /// The server's Ed25519 public key.
    pub server_key: Hex32,
    /// The server's address, by number.
    pub server: SocketAddr,
    /// All network adapters in the first stage.
    pub wide: bool,
}

/// Which files of a package a boot tree can use: the filter for [`Package::open`].
#[must_use]
pub fn wanted(path: &str) -> bool {
    let folders = [
        "lib/modules/",
        "lib/firmware/",
        "lib/shim/",
        "lib/grub/x86_64-efi-signed/",
        "lib/ipxe/",
    ];
    let below = path.strip_prefix("usr/").unwrap_or(path);
    path.starts_with(KERNEL_PREFIX) || folders.iter().any(|folder| below.starts_with(folder))
}

/// Builds the tree: loaders, kernel, stages, list and record.
pub fn build(inputs: &Inputs<'_>) -> Result<Tree, BuildError> {
    elf::check_static(inputs.agent)?;
    let (package, release, image) = find_kernel(inputs.packages)?;
    let mut tree = Tree::new();
    for (name, required, package, places) in LOADERS {
        match places
            .iter()
            .find_map(|place| inputs.packages.iter().find_map(|from| from.file(place)))
        {
            Some(bytes) => tree.file(name, 0o644, bytes.to_vec())?,
            None if *required => {
                return Err(BuildError::Missing {
                    what: name,
                    package,
                });
            }
            None => {}
        }
    }
    tree.file(KERNEL, 0o644, image.to_vec())?;

    let first = if inputs.wide {
        stages::FIRST_WIDE
    } else {
        stages::FIRST
    };
    let mut chosen = choose(
        release,
        package.files(),
        first,
        stages::SECOND,
        stages::COMPANIONS,
    )?;
    for name in stages::ESSENTIAL {
        if chosen.table.get(name).is_none() && !chosen.table.is_builtin(name) {
            return Err(BuildError::Essential {
                kernel: release.to_owned(),
                name,
            });
        }
    }
    let (stages, firmware_missing) = fill(&mut chosen, inputs.packages)?;
    let [mut first, second] = stages;
    let packed = compress(&cpio::write(&second)?, SMALL)?;
    let config = BootConfig::new(
        inputs.server,
        inputs.server_key,
        release.to_owned(),
        Pin::of(&packed),
    );
    complete_first(&mut first, inputs.agent, &config, chosen.table.encode())?;
    tree.file(INITRD, 0o644, compress(&cpio::write(&first)?, SMALLEST)?)?;
    tree.file(STAGE2, 0o644, packed)?;
    tree.file(CONTENTS, 0o644, contents(&first, &second).into_bytes())?;

    let record = record(inputs, &chosen, firmware_missing, &tree);
    tree.file(RECORD_NAME, 0o644, record.encode()?)?;
    Ok(tree)
}

/// The one package with a kernel, its release, and the kernel.
fn find_kernel(packages: &[Package]) -> Result<(&Package, &str, &[u8]), BuildError> {
    let mut found = Vec::new();
    for package in packages {
        for (path, bytes) in package.files() {
            if let Some(release) = path.strip_prefix(KERNEL_PREFIX) {
                found.push((package, release, bytes));
            }
        }
    }
    match found.as_slice() {
        [] => Err(BuildError::Missing {
            what: KERNEL,
            package: "linux-image-amd64",
        }),
        // The file's own word counts; its name only serves those that have none.
        &[(package, release, bytes)] => {
            Ok((package, kernel::release(bytes).unwrap_or(release), bytes))
        }
        many => Err(BuildError::Kernels(
            many.iter()
                .map(|(package, _, _)| package.name.clone())
                .collect(),
        )),
    }
}

/// Modules and their firmware into the two stages; firmware nobody has.
fn fill(chosen: &mut Chosen, packages: &[Package]) -> Result<([Tree; 2], Vec<String>), BuildError> {
    let (mut first, mut second) = (Tree::new(), Tree::new());
    let (mut laid, mut missing) = (BTreeSet::new(), BTreeSet::new());
    // First-stage modules first: firmware that both want belongs to them.
    for stage in [Stage::First, Stage::Second] {
        let into = if stage == Stage::First {
            &mut first
        } else {
            &mut second
        };
        for module in chosen
            .table
            .all()
            .iter()
            .filter(|module| module.stage == stage)
        {
            if let Some(bytes) = chosen.files.remove(&module.name) {
                into.file(&module.path, 0o644, bytes)?;
            }
            for name in &module.firmware {
                match find_firmware(packages, name) {
                    Some(bytes) if laid.insert(name.clone()) => {
                        into.file(&format!("lib/firmware/{name}"), 0o644, bytes.to_vec())?;
                    }
                    Some(_) => {}
                    None => {
                        missing.insert(name.clone());
                    }
                }
            }
        }
    }
    Ok(([first, second], missing.into_iter().collect()))
}

fn find_firmware<'a>(packages: &'a [Package], name: &str) -> Option<&'a [u8]> {
    let places = FIRMWARE.map(|folder| format!("{folder}{name}"));
    packages
        .iter()
        .find_map(|package| places.iter().find_map(|place| package.file(place)))
}

/// What makes the first stage a system: program, trust, table, device nodes.
fn complete_first(
    first: &mut Tree,
    agent: &[u8],
    config: &BootConfig,
    table: Vec<u8>,
) -> Result<(), BuildError> {
    for folder in FOLDERS {
        first.put(folder, Node::Folder { mode: 0o755 })?;
    }
    // The kernel opens /dev/console before /init has mounted anything.
    first.put(
        "dev/console",
        Node::Device {
            mode: 0o600,
            major: 5,
            minor: 1,
        },
    )?;
    first.put(
        "dev/null",
        Node::Device {
            mode: 0o666,
            major: 1,
            minor: 3,
        },
    )?;
    first.file("init", 0o755, agent.to_vec())?;
    first.file(CONFIG_PATH, 0o644, config.encode()?)?;
    first.file(TABLE_PATH, 0o644, table)?;
    // A static program resolves "localhost" only with these two.
    first.file(
        "etc/hosts",
        0o644,
        b"127.0.0.1 localhost\n::1 localhost\n".to_vec(),
    )?;
    first.file("etc/nsswitch.conf", 0o644, b"hosts: files\n".to_vec())?;
    Ok(())
}

/// One line a file: stage, length, hash, path.
fn contents(first: &Tree, second: &Tree) -> String {
    let mut text = String::from("# stage  bytes  blake3  path\n");
    for (number, tree) in [(1, first), (2, second)] {
        for (path, bytes) in tree.files() {
            let hash = Hex32::hash(bytes);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{number} {:>9} {hash} {path}", bytes.len());
        }
    }
    text
}

fn record(
    inputs: &Inputs<'_>,
    chosen: &Chosen,
    firmware_missing: Vec<String>,
    tree: &Tree,
) -> BootRecord {
    let names = |stage| {
        let of_stage = chosen
            .table
            .all()
            .iter()
            .filter(move |module| module.stage == stage);
        of_stage
            .map(|module| module.name.clone())
            .collect::<Vec<_>>()
    };
    let mut packages: Vec<_> = inputs
        .packages
        .iter()
        .map(|package| PackageRecord {
            name: package.name.clone(),
            version: package.version.clone(),
            sha256: package.sha256.clone(),
        })
        .collect();
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    let files: BTreeMap<_, _> = tree
        .files()
        .map(|(name, bytes)| (name.to_owned(), Pin::of(bytes)))
        .collect();
    BootRecord {
        format: BootRecord::FORMAT,
        built_by: format!("mimeo {}", env!("CARGO_PKG_VERSION")),
        kernel: chosen.table.kernel().to_owned(),
        server: inputs.server,
        server_key: inputs.server_key,
        agent: Pin::of(inputs.agent),
        files,
        packages,
        first_stage: names(Stage::First),
        second_stage: names(Stage::Second),
        absent: chosen.absent.clone(),
        firmware_missing,
    }
}

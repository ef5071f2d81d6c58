//! `mimeo boot`: makes what machines boot into, and checks it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use winpe_assets::linux::build::{INITRD, STAGE2};
use winpe_assets::media::{self, apt};
use winpe_assets::{BootRecord, Hex32, Inputs, Package, RECORD_NAME, Tree, build, check};

/// A static agent has some megabytes.
const LARGEST_AGENT: u64 = 256 << 20;

/// Build or check the boot files.
#[derive(Debug, Args)]
pub(crate) struct BootArgs {
    #[command(subcommand)]
    order: Order,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// Compose loaders, kernel and initramfs from the distribution's signed packages
    ///
    /// The packages are fetched with this machine's apt, which checks them
    /// against the Debian archive key ring, or taken from a folder. Nothing is
    /// installed. The same packages, agent, key and address give the same bytes.
    Build(Box<BuildArgs>),
    /// Check that boot files are whole, signed and fit together
    Check(CheckArgs),
}

#[derive(Debug, Args)]
struct BuildArgs {
    /// Folder the boot files go to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The static program mimeo-agent
    #[arg(long, value_name = "FILE")]
    agent: PathBuf,
    /// The server's configuration: its key (made at first need) and address
    #[arg(long, value_name = "FILE", required_unless_present_all = ["server_key", "server"])]
    config: Option<PathBuf>,
    /// File with the server's Ed25519 public key in hexadecimal
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "config",
        requires = "server"
    )]
    server_key: Option<PathBuf>,
    /// The server's address, by number: there is no resolver in the boot environment
    #[arg(
        long,
        value_name = "ADDR:PORT",
        conflicts_with = "config",
        requires = "server_key"
    )]
    server: Option<SocketAddr>,
    /// Take the packages (.deb) from this folder; their signatures are not checked
    #[arg(long, value_name = "DIR", conflicts_with_all = ["suite", "mirror", "cache", "firmware"])]
    packages: Option<PathBuf>,
    /// Debian release to fetch from
    #[arg(long, value_name = "NAME", default_value = "trixie")]
    suite: String,
    /// Archive to fetch from, instead of the one this machine's apt uses
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Where fetched packages are kept
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Also fetch this firmware package and use what the drivers ask for (repeatable)
    #[arg(long, value_name = "PACKAGE")]
    firmware: Vec<String>,
    /// Put all network drivers into the first stage, not only the common ones
    #[arg(long)]
    all_network: bool,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// Folder with the boot files
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Carries out `mimeo boot ...`.
pub(crate) fn run(args: BootArgs) -> anyhow::Result<()> {
    match args.order {
        Order::Build(args) => run_build(&args),
        Order::Check(args) => run_check(&args.folder),
    }
}

fn run_build(args: &BuildArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    let (server_key, server) = whose(args)?;
    let agent = read_agent(&args.agent)?;
    let packages = read_packages(args).context("collecting the packages")?;
    for package in &packages {
        println!("package  {} {}", package.name, package.version);
    }
    let tree = build(&Inputs {
        packages: &packages,
        agent: &agent,
        server_key,
        server,
        wide: args.all_network,
    })
    .context("building the boot files")?;
    // Nothing that fails its own check replaces files that work.
    refuse_findings(&tree)?;
    media::write_tree(&args.out, &tree).context("writing the boot files")?;
    print_summary(&tree)?;
    println!(
        "written  {} in {} s",
        args.out.display(),
        started.elapsed().as_secs()
    );
    Ok(())
}

fn run_check(folder: &Path) -> anyhow::Result<()> {
    let tree = media::read_tree(folder).context("reading the boot files")?;
    refuse_findings(&tree)?;
    print_summary(&tree)?;
    println!("all is well");
    Ok(())
}

fn refuse_findings(tree: &Tree) -> anyhow::Result<()> {
    let findings = check(tree);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("the boot files have 1 finding"),
        count => bail!("the boot files have {count} findings"),
    }
}

fn print_summary(tree: &Tree) -> anyhow::Result<()> {
    let record = tree
        .bytes(RECORD_NAME)
        .context("the boot files have no record")?;
    let record = BootRecord::parse(record)?;
    println!("kernel   {}", record.kernel);
    println!("server   {} with key {}", record.server, record.server_key);
    for (name, modules) in [
        (INITRD, &record.first_stage),
        (STAGE2, &record.second_stage),
    ] {
        let size = record.files.get(name).map_or(0, |pin| pin.size);
        println!(
            "stage    {name}: {size} bytes, {} kernel modules",
            modules.len()
        );
    }
    if !record.absent.is_empty() {
        println!(
            "absent   this kernel does not have: {}",
            record.absent.join(" ")
        );
    }
    if !record.firmware_missing.is_empty() {
        let count = record.firmware_missing.len();
        println!(
            "firmware {count} files that drivers may ask for are not included ({RECORD_NAME} lists them)"
        );
    }
    Ok(())
}

/// The key to pin and the address to speak to.
fn whose(args: &BuildArgs) -> anyhow::Result<(Hex32, SocketAddr)> {
    if let (Some(key), Some(server)) = (&args.server_key, args.server) {
        return Ok((read_key(key)?, server));
    }
    let path = args
        .config
        .as_deref()
        .context("either --config or --server-key and --server")?;
    let config = server::Config::load(path)?;
    let key = server::public_key(&config)?.to_string().parse()?;
    Ok((
        key,
        SocketAddr::new(config.server.address.into(), config.server.https_port),
    ))
}

fn read_key(path: &Path) -> anyhow::Result<Hex32> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("reading the server's key from {}", path.display()))?;
    let key = text
        .trim()
        .parse()
        .with_context(|| format!("reading the server's key from {}", path.display()))?;
    Ok(key)
}

fn read_agent(path: &Path) -> anyhow::Result<Vec<u8>> {
    let naming = || format!("reading the agent from {}", path.display());
    let length = std::fs::metadata(path).with_context(naming)?.len();
    if length > LARGEST_AGENT {
        bail!(
            "{} has {length} bytes: this is not the agent",
            path.display()
        );
    }
    std::fs::read(path).with_context(naming)
}

fn read_packages(args: &BuildArgs) -> anyhow::Result<Vec<Package>> {
    if let Some(folder) = &args.packages {
        return Ok(media::read_packages(folder)?);
    }
    let cache = match &args.cache {
        Some(cache) => cache.clone(),
        None => default_cache()?,
    };
    let source = apt::Source {
        suite: args.suite.clone(),
        mirror: args.mirror.clone(),
        extra: args.firmware.clone(),
    };
    let files = apt::fetch(&source, &cache)?;
    Ok(media::open_packages(&files)?)
}

/// The user's cache folder, after the XDG base directory specification.
fn default_cache() -> anyhow::Result<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|folder| folder.join("mimeo/boot"))
        .context("finding a place for fetched packages: neither XDG_CACHE_HOME nor HOME is set; give --cache DIR")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        boot: BootArgs,
    }

    const BUILD: [&str; 10] = [
        "mimeo",
        "build",
        "--out",
        "o",
        "--agent",
        "a",
        "--server-key",
        "k",
        "--server",
        "192.0.2.1:8443",
    ];

    fn parse(more: &[&str]) -> Result<Program, clap::Error> {
        Program::try_parse_from(BUILD.iter().chain(more))
    }

    #[test]
    fn a_folder_of_packages_and_a_mirror_exclude_each_other() {
        assert!(parse(&[]).is_ok());
        assert!(parse(&["--packages", "p"]).is_ok());
        assert!(parse(&["--packages", "p", "--mirror", "u"]).is_err());
    }

    #[test]
    fn a_server_by_name_is_refused() {
        let mut words = BUILD;
        words[9] = "server.example:8443";
        assert!(Program::try_parse_from(words).is_err());
    }

    #[test]
    fn a_key_that_is_not_32_bytes_is_refused_with_the_files_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "ab\n").unwrap();
        assert!(format!("{:#}", read_key(&path).unwrap_err()).contains("64 hexadecimal digits"));
        std::fs::write(&path, format!("{}\n", "ab".repeat(32))).unwrap();
        assert_eq!(read_key(&path).unwrap(), Hex32([0xab; 32]));
    }

    #[test]
    fn checking_an_empty_folder_fails() {
        let folder = tempfile::tempdir().unwrap();
        assert!(run_check(folder.path()).is_err());
    }
}

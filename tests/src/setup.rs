//! What the lab needs on the machine it runs on, and how it gets there.

use anyhow::{Result, bail};

use crate::command::{command, run};

/// Debian packages the demo and the tests use.
pub const PACKAGES: [&str; 11] = [
    "qemu-system-x86",
    "ovmf",
    "ipxe-qemu",
    "iproute2",
    "mmdebstrap",
    "e2fsprogs",
    "dosfstools",
    "mtools",
    "gdisk",
    "dnsmasq-base",
    "debian-archive-keyring",
];

/// Installs what is missing of [`PACKAGES`] when root may; otherwise says the
/// one line to run.
///
/// # Errors
/// When something is missing and cannot be installed, or when not root: the
/// lab makes network namespaces.
pub fn prepare() -> Result<()> {
    let missing = missing_packages();
    if !is_root() {
        let install = match missing.is_empty() {
            true => String::new(),
            false => format!("\n  sudo apt-get install --yes {}", missing.join(" ")),
        };
        bail!(
            "the lab makes network namespaces and needs root; run{install}\n  sudo --preserve-env=PATH,HOME cargo xtask ..."
        );
    }
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing)
}

/// Installs Debian packages; waits for an apt that is at work.
///
/// # Errors
/// What apt said.
pub fn install(packages: &[&str]) -> Result<()> {
    println!("installing {}", packages.join(" "));
    run(&mut command(&["apt-get", "update", "-qq"]))?;
    let mut install = command(&[
        "apt-get",
        "install",
        "--yes",
        "-qq",
        "--no-install-recommends",
        "--option=DPkg::Lock::Timeout=300",
    ]);
    run(install
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive"))?;
    Ok(())
}

fn missing_packages() -> Vec<&'static str> {
    let installed = |package: &&str| {
        let query = [
            "dpkg-query",
            "--show",
            "--showformat=${db:Status-Status}",
            *package,
        ];
        run(&mut command(&query)).is_ok_and(|status| status == "installed")
    };
    PACKAGES
        .iter()
        .copied()
        .filter(|package| !installed(package))
        .collect()
}

/// Whether this process is root.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    })
}

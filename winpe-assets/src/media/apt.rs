//! Fetches the packages with apt, which checks them against the archive's key
//! ring. Its lists and cache are its own: nothing of the host's apt changes,
//! and nothing is installed.

use std::ffi::OsStr;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

use thiserror::Error;

use super::{MediaError, list, open_packages};

/// Where Debian's key ring lies, on Debian and on its derivatives.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Names the kernel package of the day.
const KERNEL_META: &str = "linux-image-amd64";
/// The loaders.
const LOADERS: [&str; 3] = ["shim-signed", "grub-efi-amd64-signed", "ipxe"];

/// Why the packages could not be fetched.
#[derive(Debug, Error)]
pub enum FetchError {
    /// Without keys nothing that arrives can be believed.
    #[error(
        "{KEYRING} is not there: install the package debian-archive-keyring, or give the packages with --packages"
    )]
    NoKeyring,
    /// No mirror is configured here.
    #[error(
        "apt on this machine knows no archive: give --mirror URL, or the packages with --packages"
    )]
    NoMirror,
    /// A word that does not belong into a sources list.
    #[error("{what} {value:?} holds characters that no {what} has")]
    Word {
        /// Suite, mirror or package.
        what: &'static str,
        /// What was given.
        value: String,
    },
    /// apt is not there or cannot be started.
    #[error(
        "{program} cannot be started ({source}): fetch the packages on a Debian machine and give them with --packages"
    )]
    Start {
        /// The program.
        program: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// apt said no.
    #[error("{command} failed: {message}")]
    Apt {
        /// What was run.
        command: String,
        /// The last lines it said.
        message: String,
    },
    /// The meta package names no kernel.
    #[error("package {KERNEL_META} depends on {0:?}, where a kernel package was expected")]
    NoKernel(String),
    /// Reading or writing the cache.
    #[error(transparent)]
    Media(#[from] MediaError),
}

/// What to fetch from where.
#[derive(Debug, Clone)]
pub struct Source {
    /// The release: `trixie` or later (its GRUB speaks HTTP).
    pub suite: String,
    /// URL of the archive; without it, that of the host's own apt.
    pub mirror: Option<String>,
    /// More packages, such as firmware; they may be non-free.
    pub extra: Vec<String>,
}

/// Fetches into `cache` and returns the `.deb` files. What is there already is
/// not fetched again.
pub fn fetch(source: &Source, cache: &Path) -> Result<Vec<PathBuf>, FetchError> {
    if !Path::new(KEYRING).exists() {
        return Err(FetchError::NoKeyring);
    }
    check_word("suite", &source.suite)?;
    for package in &source.extra {
        check_word("package", package)?;
    }
    let apt = Apt::prepare(source, cache)?;
    apt.run(&["update"], cache)?;
    let meta = apt.download(KERNEL_META)?;
    let depends = open_packages(&[meta])?
        .pop()
        .map(|meta| meta.depends)
        .unwrap_or_default();
    let kernel = kernel_name(&depends).ok_or_else(|| FetchError::NoKernel(depends.clone()))?;
    let extra = source.extra.iter().map(String::as_str);
    [kernel]
        .into_iter()
        .chain(LOADERS)
        .chain(extra)
        .map(|name| apt.download(name))
        .collect()
}

/// `linux-image-6.12.107+deb13-amd64 (= 6.12.107-1)` -> its first word.
fn kernel_name(depends: &str) -> Option<&str> {
    let names = depends
        .split([',', '|'])
        .filter_map(|one| one.split_whitespace().next());
    names
        .into_iter()
        .find(|name| name.starts_with("linux-image-") && check_word("package", name).is_ok())
}

/// Letters, digits and the few signs of names and URLs: nothing that could end
/// a line of a sources list or start an option.
fn check_word(what: &'static str, value: &str) -> Result<(), FetchError> {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || "+-._~:/@%".contains(sign);
    let start = value.starts_with(|sign: char| sign.is_ascii_alphanumeric());
    if start && value.chars().all(plain) {
        return Ok(());
    }
    Err(FetchError::Word {
        what,
        value: value.to_owned(),
    })
}

/// apt with a configuration of its own.
struct Apt {
    config: PathBuf,
    packages: PathBuf,
}

impl Apt {
    fn prepare(source: &Source, cache: &Path) -> Result<Self, FetchError> {
        let io_error = |path: &Path, source| MediaError::Io {
            path: path.to_owned(),
            source,
        };
        let cache = std::path::absolute(cache).map_err(|error| io_error(cache, error))?;
        // The configuration is text in quotes, one value a line.
        if cache.to_string_lossy().contains(['"', '\n', ';']) {
            let value = cache.to_string_lossy().into_owned();
            return Err(FetchError::Word {
                what: "cache folder",
                value,
            });
        }
        let packages = cache.join(&source.suite);
        for folder in [
            &packages,
            &cache.join("lists/partial"),
            &cache.join("archives/partial"),
        ] {
            fs::create_dir_all(folder).map_err(|error| io_error(folder, error))?;
        }
        let write = |name: &str, text: &str| {
            let path = cache.join(name);
            fs::write(&path, text).map_err(|error| io_error(&path, error))?;
            Ok::<_, MediaError>(path)
        };
        let list = sources(source, host_sites()?)?;
        let list = write("sources.list", &list)?;
        let status = write("status", "")?;
        let config = write("apt.conf", &configuration(&cache, &list, &status))?;
        Ok(Self { config, packages })
    }

    fn run(&self, arguments: &[&str], folder: &Path) -> Result<(), FetchError> {
        run(
            "apt-get",
            arguments,
            &[("APT_CONFIG", self.config.as_os_str())],
            folder,
        )
        .map(drop)
    }

    /// Fetches one package and returns its file.
    fn download(&self, package: &str) -> Result<PathBuf, FetchError> {
        let prefix = format!("{package}_");
        self.run(&["download", package], &self.packages)?;
        // Older versions may lie beside it; apt has just written or kept ours.
        let version = self.candidate(package)?;
        let of_package = |path: &PathBuf| {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            // apt writes a colon in a version as %3a.
            name.strip_prefix(&prefix)
                .is_some_and(|rest| rest.replace("%3a", ":").starts_with(&format!("{version}_")))
        };
        let found = list(&self.packages)?.into_iter().find(of_package);
        found.ok_or_else(|| FetchError::Apt {
            command: format!("apt-get download {package}"),
            message: format!("it wrote no {prefix}{version}_*.deb"),
        })
    }

    /// The version apt would choose.
    fn candidate(&self, package: &str) -> Result<String, FetchError> {
        let environment = [("APT_CONFIG", self.config.as_os_str())];
        let text = run(
            "apt-cache",
            &["policy", package],
            &environment,
            &self.packages,
        )?;
        let version = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("Candidate:"));
        Ok(version.unwrap_or_default().trim().to_owned())
    }
}

/// The site of the archive and that of its security updates, as the host has them.
struct Sites {
    main: Option<String>,
    security: Option<String>,
}

fn host_sites() -> Result<Sites, FetchError> {
    let arguments = [
        "indextargets",
        "--format",
        "$(SITE) $(RELEASE)",
        "Created-By: Packages",
    ];
    let text = run("apt-get", &arguments, &[], Path::new("/"))?;
    let mut sites = Sites {
        main: None,
        security: None,
    };
    for (site, release) in text.lines().filter_map(|line| line.split_once(' ')) {
        let slot = if release.contains("-security") {
            &mut sites.security
        } else {
            &mut sites.main
        };
        slot.get_or_insert_with(|| site.to_owned());
    }
    Ok(sites)
}

/// The private sources list. Security updates come from the host's site for
/// them; a mirror of one's own is expected to carry what it should.
fn sources(source: &Source, host: Sites) -> Result<String, FetchError> {
    let (main, security) = match &source.mirror {
        Some(mirror) => (mirror.clone(), None),
        None => (host.main.ok_or(FetchError::NoMirror)?, host.security),
    };
    let components = if source.extra.is_empty() {
        "main"
    } else {
        "main non-free-firmware"
    };
    let mut text = String::new();
    let mut add = |site: &str, suite: &str| {
        check_word("mirror", site)?;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "deb [arch=amd64 signed-by={KEYRING}] {site} {suite} {components}"
        );
        Ok::<_, FetchError>(())
    };
    add(&main, &source.suite)?;
    if let Some(site) = security {
        add(&site, &format!("{}-security", source.suite))?;
    }
    Ok(text)
}

fn configuration(cache: &Path, list: &Path, status: &Path) -> String {
    let cache = cache.display();
    format!(
        "Dir::Etc::sourcelist \"{}\";\nDir::Etc::sourceparts \"-\";\nDir::Etc::preferences \"-\";\n\
         Dir::Etc::preferencesparts \"-\";\n\
         Dir::State::lists \"{cache}/lists\";\nDir::State::status \"{}\";\n\
         Dir::Cache \"{cache}\";\nDir::Cache::archives \"{cache}/archives\";\n\
         APT::Architecture \"amd64\";\nAPT::Sandbox::User \"\";\nAcquire::Languages \"none\";\n\
         Acquire::AllowInsecureRepositories \"false\";\nAPT::Get::AllowUnauthenticated \"false\";\n",
        list.display(),
        status.display(),
    )
}

/// Runs a program to its end; its output, or its last lines as the error.
fn run(
    program: &'static str,
    arguments: &[&str],
    environment: &[(&str, &OsStr)],
    folder: &Path,
) -> Result<String, FetchError> {
    let output = Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .env("LC_ALL", "C")
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| FetchError::Start { program, source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = errors.lines().filter(|line| !line.is_empty()).collect();
    let last = lines
        .get(lines.len().saturating_sub(4)..)
        .unwrap_or_default();
    Err(FetchError::Apt {
        command: format!("{program} {}", arguments.join(" ")),
        message: last.join(" | "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(mirror: Option<&str>, extra: &[&str]) -> Source {
        Source {
            suite: "trixie".to_owned(),
            mirror: mirror.map(str::to_owned),
            extra: extra.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    fn host() -> Sites {
        Sites {
            main: Some("http://a/debian".to_owned()),
            security: Some("http://a/sec".to_owned()),
        }
    }

    #[test]
    fn the_hosts_mirror_and_security_site_are_used_and_signed_by_the_key_ring() {
        let text = sources(&source(None, &[]), host()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with("http://a/debian trixie main"));
        assert!(lines[1].ends_with("http://a/sec trixie-security main"));
        assert!(
            lines
                .iter()
                .all(|line| line.contains("signed-by=/usr/share/keyrings/"))
        );
    }

    #[test]
    fn a_mirror_of_ones_own_replaces_both_sites() {
        let text = sources(&source(Some("http://b"), &["firmware-realtek"]), host()).unwrap();
        assert!(text.ends_with("http://b trixie main non-free-firmware\n"));
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn nothing_can_be_smuggled_into_the_sources_list() {
        for value in ["", "-o", "a b", "a\nb", "a]b", "\"a", "$(SITE)"] {
            assert!(check_word("mirror", value).is_err(), "{value:?}");
        }
        assert!(sources(&source(Some("http://a\ndeb http://b"), &[]), host()).is_err());
    }

    #[test]
    fn the_meta_package_names_the_kernel() {
        let depends = "linux-image-6.12.107+deb13-amd64 (= 6.12.107-1), other";
        assert_eq!(
            kernel_name(depends),
            Some("linux-image-6.12.107+deb13-amd64")
        );
        assert_eq!(kernel_name("initramfs-tools"), None);
    }
}

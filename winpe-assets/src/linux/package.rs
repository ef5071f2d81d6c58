//! A distribution's package to files: `.deb` is an ar archive with a control
//! tar and a data tar (deb(5)). Bytes in, files out: nothing is run, and
//! nothing is installed.

use std::collections::BTreeMap;
use std::io::Read;

use ring::digest::{SHA256, digest};
use thiserror::Error;

use super::expand::reader;

const AR_MAGIC: &[u8] = b"!<arch>\n";
const AR_HEADER: usize = 60;
const AR_SIZE: std::ops::Range<usize> = 48..58;
const AR_END: &[u8] = b"`\n";
/// A package has three members; a few more are tolerated, as deb(5) asks.
const MOST_MEMBERS: usize = 16;
/// The control file is a page of text.
const LONGEST_CONTROL: u64 = 1 << 20;
/// A kernel with all its modules has about 5000 files.
const MOST_FILES: usize = 100_000;
/// Together: the kernel package unpacks to 120 MiB, with debug data it would be 1 GiB.
const MOST_BYTES: u64 = 1 << 30;
/// Paths inside a package beyond this are nobody's boot file.
const LONGEST_PATH: usize = 4096;

/// Why a package could not be opened.
#[derive(Debug, Error)]
pub enum PackageError {
    /// Not an ar archive, or cut short.
    #[error("not a Debian package: {reason} at offset {at}")]
    Archive {
        /// Byte offset in the file.
        at: usize,
        /// What was expected there.
        reason: &'static str,
    },
    /// A member that must be there is missing.
    #[error("package has no {0}; Debian's packages have one compressed with xz or zstd")]
    Missing(&'static str),
    /// A tar member cannot be read.
    #[error("package member {member} is damaged: {source}")]
    Damaged {
        /// `control.tar` or `data.tar`.
        member: &'static str,
        /// What the decoder says.
        source: std::io::Error,
    },
    /// It holds more than any boot package does.
    #[error("package unpacks to more than {limit} {what}: this is not a boot package")]
    TooLarge {
        /// The bound.
        limit: u64,
        /// Bytes or files.
        what: &'static str,
    },
}

/// An opened package.
#[derive(Debug, Clone)]
pub struct Package {
    /// `Package:` of its control file.
    pub name: String,
    /// `Version:` of its control file.
    pub version: String,
    /// `Depends:` of its control file, empty when it has none.
    pub depends: String,
    /// SHA-256 of the whole file, hexadecimal: what the archive's index lists.
    pub sha256: String,
    files: BTreeMap<String, Vec<u8>>,
    links: BTreeMap<String, String>,
}

impl Package {
    /// Opens a package and keeps the regular files whose path (without a
    /// leading `./`) `wanted` accepts.
    pub fn open(bytes: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Self, PackageError> {
        let members = members(bytes)?;
        let member = |prefix: &'static str| {
            members
                .iter()
                .find(|(name, _)| matches!(name.strip_prefix(prefix), Some("" | ".xz" | ".zst")))
                .map(|(_, content)| *content)
                .ok_or(PackageError::Missing(prefix))
        };
        let control = read_control(member("control.tar")?)?;
        let field = |name: &str| control_field(&control, name).unwrap_or_default();
        let (files, links) = read_data(member("data.tar")?, wanted)?;
        Ok(Self {
            name: field("Package"),
            version: field("Version"),
            depends: field("Depends"),
            sha256: hexadecimal(digest(&SHA256, bytes).as_ref()),
            files,
            links,
        })
    }

    /// The file at `path`; a symbolic link there is followed once.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        if let Some(bytes) = self.files.get(path) {
            return Some(bytes);
        }
        let target = follow(path, self.links.get(path)?)?;
        self.files.get(&target).map(Vec::as_slice)
    }

    /// All kept files, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }
}

/// The path a link at `path` points at; `None` when it leaves the package.
fn follow(path: &str, target: &str) -> Option<String> {
    let mut names: Vec<&str> = match target.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => path.split('/').collect(),
    };
    names.pop();
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()?),
            name => names.push(name),
        }
    }
    Some(names.join("/"))
}

/// Lower-case hexadecimal digits.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Splits an ar archive into its members.
fn members(bytes: &[u8]) -> Result<Vec<(String, &[u8])>, PackageError> {
    let wrong = |at, reason| PackageError::Archive { at, reason };
    if !bytes.starts_with(AR_MAGIC) {
        return Err(wrong(0, "no ar magic"));
    }
    let mut members = Vec::new();
    let mut at = AR_MAGIC.len();
    while at < bytes.len() {
        if members.len() == MOST_MEMBERS {
            return Err(wrong(at, "too many members"));
        }
        let header = bytes
            .get(at..)
            .and_then(|rest| rest.get(..AR_HEADER))
            .ok_or(wrong(at, "cut member header"))?;
        if !header.ends_with(AR_END) {
            return Err(wrong(at, "no end of member header"));
        }
        let text = |range| {
            header
                .get(range)
                .and_then(|field| std::str::from_utf8(field).ok())
        };
        let size: usize = text(AR_SIZE)
            .and_then(|digits| digits.trim_end().parse().ok())
            .ok_or(wrong(at, "no member size"))?;
        let name = text(0..16).ok_or(wrong(at, "no member name"))?;
        let name = name.trim_end().trim_end_matches('/').to_owned();
        let start = at + AR_HEADER;
        let content = bytes
            .get(start..)
            .and_then(|rest| rest.get(..size))
            .ok_or(wrong(start, "cut member"))?;
        members.push((name, content));
        // Members start at even offsets.
        at = start + size + size % 2;
    }
    Ok(members)
}

/// The text of `./control`.
fn read_control(member: &[u8]) -> Result<String, PackageError> {
    let damaged = |source| PackageError::Damaged {
        member: "control.tar",
        source,
    };
    let stream = reader(member).map_err(damaged)?.take(MOST_BYTES);
    for entry in tar::Archive::new(stream).entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        if inner_path(&entry.path_bytes()).as_deref() == Some("control") {
            let mut text = String::new();
            entry
                .take(LONGEST_CONTROL)
                .read_to_string(&mut text)
                .map_err(damaged)?;
            return Ok(text);
        }
    }
    Err(PackageError::Missing("control file"))
}

/// A field of a control file; continuation lines are joined.
fn control_field(control: &str, name: &str) -> Option<String> {
    let mut lines = control.lines();
    let first = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let mut value = first.trim().to_owned();
    for line in lines.take_while(|line| line.starts_with([' ', '\t'])) {
        value.push(' ');
        value.push_str(line.trim());
    }
    Some(value)
}

type Data = (BTreeMap<String, Vec<u8>>, BTreeMap<String, String>);

/// Wanted regular files and all symbolic links of the data tar.
fn read_data(member: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Data, PackageError> {
    let damaged = |source| PackageError::Damaged {
        member: "data.tar",
        source,
    };
    let mut stream = tar::Archive::new(reader(member).map_err(damaged)?.take(MOST_BYTES));
    let (mut files, mut links) = Data::default();
    for (count, entry) in stream.entries().map_err(damaged)?.enumerate() {
        if count == MOST_FILES {
            let limit = u64::try_from(MOST_FILES).unwrap_or(u64::MAX);
            return Err(PackageError::TooLarge {
                limit,
                what: "files",
            });
        }
        let mut entry = entry.map_err(damaged)?;
        let Some(path) = inner_path(&entry.path_bytes()) else {
            continue;
        };
        if entry.header().entry_type().is_symlink() {
            let target = entry.link_name_bytes().unwrap_or_default();
            if let Ok(target) = String::from_utf8(target.into_owned()) {
                links.insert(path, target);
            }
        } else if entry.header().entry_type().is_file() && wanted(&path) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(damaged)?;
            files.insert(path, bytes);
        }
    }
    // tar stops quietly at a stream that ends early; the decoder does not.
    let mut rest = stream.into_inner();
    std::io::copy(&mut rest, &mut std::io::sink()).map_err(damaged)?;
    match rest.limit() {
        0 => Err(PackageError::TooLarge {
            limit: MOST_BYTES,
            what: "bytes",
        }),
        _ => Ok((files, links)),
    }
}

/// A path as the rest of the crate writes it; `None` for what leaves the package.
fn inner_path(path: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(path).ok()?;
    let path = path.strip_prefix("./").unwrap_or(path);
    let sane = path.len() <= LONGEST_PATH
        && path.split('/').all(|name| !matches!(name, "" | "." | ".."))
        && !path.contains('\0');
    sane.then(|| path.to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A package made of `files`, for the tests of this crate.
    pub(crate) fn sample(name: &str, depends: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
        let control = format!("Package: {name}\nVersion: 1.0\nDepends: {depends}\n");
        let control = tarball(&[("./control", control.as_bytes())]);
        let control = super::super::expand::compress(&control, 1).unwrap();
        let data = tarball(files);
        let mut package = AR_MAGIC.to_vec();
        for (name, content) in [
            ("debian-binary", b"2.0\n".as_slice()),
            ("control.tar.zst", &control),
            ("data.tar", &data),
        ] {
            let size = content.len();
            package.extend(
                format!(
                    "{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
                    0, 0, 0, 100_644
                )
                .bytes(),
            );
            package.extend_from_slice(content);
            package.resize(package.len().next_multiple_of(2), b'\n');
        }
        package
    }

    fn tarball(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            archive.append(&header, *bytes).unwrap();
        }
        archive.into_inner().unwrap()
    }

    #[test]
    fn control_fields_and_wanted_files_come_out() {
        let bytes = sample(
            "demo",
            "other (= 1)",
            &[("./boot/a", b"A"), ("./usr/b", b"B")],
        );
        let package = Package::open(&bytes, |path| path.starts_with("boot/")).unwrap();
        assert_eq!(package.name, "demo");
        assert_eq!(package.version, "1.0");
        assert_eq!(package.depends, "other (= 1)");
        assert_eq!(package.file("boot/a"), Some(b"A".as_slice()));
        assert_eq!(package.files().count(), 1);
        assert_eq!(package.sha256.len(), 64);
    }

    #[test]
    fn paths_that_leave_the_package_are_left_out() {
        let bytes = sample(
            "demo",
            "",
            &[("../etc/passwd", b"A"), ("/abs", b"B"), ("./ok", b"C")],
        );
        let package = Package::open(&bytes, |_| true).unwrap();
        assert_eq!(
            package.files().map(|(path, _)| path).collect::<Vec<_>>(),
            ["ok"]
        );
    }

    #[test]
    fn a_cut_or_damaged_package_never_panics() {
        let bytes = sample("demo", "", &[("./a", b"A")]);
        for length in 0..bytes.len() {
            let _ = Package::open(&bytes[..length], |_| true);
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            let _ = Package::open(&damaged, |_| true);
        }
    }

    #[test]
    fn links_stay_inside_the_package() {
        assert_eq!(follow("a/b/c", "d").as_deref(), Some("a/b/d"));
        assert_eq!(follow("a/b/c", "../d").as_deref(), Some("a/d"));
        assert_eq!(follow("a/b/c", "/d/e").as_deref(), Some("d/e"));
        assert_eq!(follow("a/b", "../../d"), None);
    }

    #[test]
    fn continuation_lines_belong_to_their_field() {
        let control = "Package: a\nDepends: b,\n c\nVersion: 2\n";
        assert_eq!(control_field(control, "Depends").as_deref(), Some("b, c"));
    }
}

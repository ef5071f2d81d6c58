//! `mimeo image ls`.

use std::collections::HashMap;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use anyhow::Result;
use image_format::entry::{Content, Entry, Kind, printable};
use image_format::{Share, Store};
use imager::look::{Last, Links, LookError, Tree};

use super::tree;
use crate::args::LsArgs;
use crate::output::{JsonList, moment};

/// Lists a folder, or shows one file.
pub(super) fn run(args: &LsArgs, json: bool) -> Result<()> {
    let (share, _, tree) = tree(&args.image, args.partition)?;
    let entry = tree.find(&share, args.path.as_bytes(), Last::Keep)?;
    let mut sizes = Sizes::new(&share, &tree);
    let is_folder = entry.kind == Kind::Directory;
    if is_folder && args.recursive {
        let below = tree.below(&share, &entry.path);
        return print(below, &mut sizes, args.long, Name::Path, json);
    }
    let found = match is_folder {
        true => tree.children(&share, &entry.path)?,
        false => vec![entry],
    };
    let found = found.into_iter().map(Ok);
    print(found, &mut sizes, args.long, Name::Last, json)
}

/// Sizes of contents, also for later names of a hard link: their contents are
/// with the first name.
struct Sizes<'t> {
    share: &'t Share<Box<dyn Store>>,
    tree: &'t Tree,
    /// Read when such a name comes whose first one did not come before.
    links: Option<Links>,
    known: HashMap<u32, u64>,
}

impl<'t> Sizes<'t> {
    fn new(share: &'t Share<Box<dyn Store>>, tree: &'t Tree) -> Self {
        Self {
            share,
            tree,
            links: None,
            known: HashMap::new(),
        }
    }

    fn of(&mut self, entry: &Entry) -> Result<u64, LookError> {
        let Some(link) = entry.link.filter(|_| entry.kind == Kind::File) else {
            return Ok(entry.content.size());
        };
        let size = match (&entry.content, self.known.get(&link)) {
            (_, Some(size)) => return Ok(*size),
            (Content::Empty, None) => self.of_first(link)?,
            (content, None) => content.size(),
        };
        self.known.insert(link, size);
        Ok(size)
    }

    fn of_first(&mut self, link: u32) -> Result<u64, LookError> {
        let links = match &mut self.links {
            Some(links) => links,
            none => none.insert(Links::read(self.share, self.tree)?),
        };
        let first = links.first_name(link).unwrap_or_default();
        let first = self.tree.entry(self.share, first)?;
        Ok(first.map_or(0, |first| first.content.size()))
    }
}

/// How an entry is named.
#[derive(Clone, Copy)]
enum Name {
    /// By its path.
    Path,
    /// By its name in the folder that was asked for.
    Last,
}

/// Prints entries as they come: there may be millions.
fn print(
    entries: impl Iterator<Item = Result<Entry, LookError>>,
    sizes: &mut Sizes<'_>,
    long: bool,
    name: Name,
    json: bool,
) -> Result<()> {
    let out = std::io::BufWriter::new(std::io::stdout().lock());
    if json {
        let mut list = JsonList::begin(out)?;
        for entry in entries {
            let entry = entry?;
            list.add(&words(&entry, sizes.of(&entry)?))?;
        }
        return list.end();
    }
    let mut out = out;
    for entry in entries {
        let entry = entry?;
        let shown = match name {
            Name::Path => entry.display_path(),
            Name::Last => printable(entry.name()),
        };
        match long {
            true => writeln!(out, "{}", long_line(&entry, sizes.of(&entry)?, &shown))?,
            false => writeln!(out, "{shown}")?,
        }
    }
    Ok(out.flush()?)
}

/// An entry for programs; what is no text in its paths is escaped.
pub(super) fn words(entry: &Entry, size: u64) -> serde_json::Value {
    let mut value = serde_json::json!({
        "path": entry.display_path(),
        "kind": kind(&entry.kind),
        "mode": format!("{:04o}", entry.mode),
        "uid": entry.uid,
        "gid": entry.gid,
        "size": size,
        "modified": entry.times.modified.seconds,
    });
    if let Kind::Symlink(target) = &entry.kind {
        value["target"] = printable(target).into();
    }
    if let Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } = entry.kind {
        value["device"] = serde_json::json!([major, minor]);
    }
    if let Some(link) = entry.link {
        value["link"] = link.into();
    }
    value
}

fn kind(kind: &Kind) -> &'static str {
    match kind {
        Kind::Directory => "directory",
        Kind::File => "file",
        Kind::Symlink(_) => "symlink",
        Kind::CharDevice { .. } => "char device",
        Kind::BlockDevice { .. } => "block device",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::RawVolume => "raw volume",
    }
}

/// Mode, owner, size and time in columns that fit nearly all.
fn long_line(entry: &Entry, size: u64, shown: &str) -> String {
    let size = match entry.kind {
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            format!("{major},{minor}")
        }
        _ => size.to_string(),
    };
    let modified = u64::try_from(entry.times.modified.seconds)
        .map_or_else(|_| "before 1970".to_owned(), moment);
    let leads = match &entry.kind {
        Kind::Symlink(target) => format!(" -> {}", printable(target)),
        _ => String::new(),
    };
    format!(
        "{}  {:<11}  {size:>12}  {modified:<20}  {shown}{leads}",
        mode(entry),
        format!("{}:{}", entry.uid, entry.gid),
    )
}

/// As `ls -l` shows it: `drwxr-xr-x`.
fn mode(entry: &Entry) -> String {
    let mark = match entry.kind {
        Kind::Directory => 'd',
        Kind::File | Kind::RawVolume => '-',
        Kind::Symlink(_) => 'l',
        Kind::CharDevice { .. } => 'c',
        Kind::BlockDevice { .. } => 'b',
        Kind::Fifo => 'p',
        Kind::Socket => 's',
    };
    let mut text = String::from(mark);
    // Who, its set-id or sticky bit, and the letter for that bit.
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = entry.mode >> shift;
        let bit = |wanted: u32, letter| if bits & wanted == 0 { '-' } else { letter };
        text.push(bit(4, 'r'));
        text.push(bit(2, 'w'));
        text.push(match (entry.mode & special != 0, bits & 1 != 0) {
            (false, _) => bit(1, 'x'),
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_read_as_ls_shows_them() {
        for (kind, bits, expected) in [
            (Kind::Directory, 0o1777, "drwxrwxrwt"),
            (Kind::File, 0o4755, "-rwsr-xr-x"),
            (Kind::File, 0o2604, "-rw---Sr--"),
            (Kind::Symlink(Vec::new()), 0o777, "lrwxrwxrwx"),
        ] {
            let mut entry = Entry::new("x", kind);
            entry.mode = bits;
            assert_eq!(mode(&entry), expected);
        }
    }
}

//! What a target cannot hold, by name.

use std::collections::BTreeMap;
use std::fmt;

use crate::tree::place::text;

/// So many names are told for each kind of loss; all are counted.
const NAMED: usize = 8;

/// A kind of thing that is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// A socket's name: the program that listens makes it again.
    Socket,
    /// A device.
    Device,
    /// A named pipe.
    Fifo,
    /// A symbolic link.
    Symlink,
    /// A further name of a file.
    HardLink,
    /// The name is longer than the target takes.
    LongName,
    /// The target does not take the bytes of the name.
    Name,
    /// Another name differs in upper and lower case only.
    Case,
    /// Its folder cannot be there.
    InLostFolder,
    /// The file is longer than the target takes.
    Size,
    /// Owner or group, and with them the set-id bits.
    Owner,
    /// An extended attribute: access control list, capability, label.
    Xattr,
    /// An attribute flag.
    Flags,
    /// The time of the last change, in part.
    Time,
}

impl Loss {
    /// Sockets are lost by every way of copying; nobody is asked about them.
    pub fn refuses(self) -> bool {
        self != Self::Socket
    }

    /// What it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Socket => "sockets (made again by whoever listens)",
            Self::Device => "device nodes",
            Self::Fifo => "named pipes",
            Self::Symlink => "symbolic links",
            Self::HardLink => "further names of hard links",
            Self::LongName => "names that are too long",
            Self::Name => "names that are not text",
            Self::Case => "names that differ in case only",
            Self::InLostFolder => "entries of folders that cannot be there",
            Self::Size => "files that are too long",
            Self::Owner => "owners",
            Self::Xattr => "extended attributes",
            Self::Flags => "attribute flags",
            Self::Time => "times (range or fractions of a second)",
        }
    }
}

/// How often something is lost and where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lost {
    /// How many entries.
    pub count: u64,
    /// The first of them as people read paths, at most eight.
    pub first: Vec<String>,
}

/// Everything that is lost, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Losses {
    /// Kinds without a loss are not in it.
    pub by_kind: BTreeMap<Loss, Lost>,
}

impl Losses {
    /// Notes a loss.
    pub(crate) fn note(&mut self, loss: Loss, path: &[u8]) {
        let lost = self.by_kind.entry(loss).or_default();
        lost.count += 1;
        if lost.first.len() < NAMED {
            lost.first.push(text(path));
        }
    }

    /// Whether somebody must agree first.
    pub fn refuse(&self) -> bool {
        self.by_kind.keys().any(|loss| loss.refuses())
    }
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (loss, lost)) in self.by_kind.iter().enumerate() {
            let gap = if index == 0 { "" } else { "; " };
            let more = if lost.count > lost.first.len() as u64 {
                ", ..."
            } else {
                ""
            };
            let (count, words) = (lost.count, loss.words());
            write!(f, "{gap}{count} {words}: {}{more}", lost.first.join(", "))?;
        }
        Ok(())
    }
}

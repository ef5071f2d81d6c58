//! What a row of the bench is made of. Rows are data (`rows`); one runner
//! carries them out (`runner`).

/// One job, the tools that do it, and what is claimed of them.
#[derive(Debug)]
pub struct Row {
    /// A number, or a number and a word: "4-desktop".
    pub id: &'static str,
    /// The job in words.
    pub work: &'static str,
    /// The trees the scripts use; the first is `$tree`.
    pub trees: &'static [Tree],
    /// Where `$target` is.
    pub ground: Ground,
    /// The page cache before each run.
    pub caches: Caches,
    /// In the order in which they take turns.
    pub tools: &'static [Tool],
    /// What the run must show.
    pub claims: &'static [Claim],
}

/// A tree that is captured; in scripts its name is a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tree {
    /// A server, from Debian packages.
    System,
    /// A desktop, from Debian packages.
    Desktop,
    /// The desktop with the security updates since its release.
    Updated,
    /// A virtual machine's disk of 2 GiB.
    Machine,
    /// The same disk, one block of 4 KiB in a hundred rewritten.
    Edited,
    /// A million files of 1 KiB in a thousand folders.
    Million,
    /// One file of 50 GB, nearly all of it a hole.
    Sparse,
}

/// Where a tool writes its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// A folder.
    Folder,
    /// A file system made for this run, on a loop device; mounting and
    /// unmounting, which waits for the disk, is part of what is measured.
    /// (Creating files just after others were deleted is several times slower
    /// on ext4: a used file system would measure the tool before.)
    FreshExt4,
}

/// What the page cache holds when a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caches {
    /// What is read was read before.
    Warm,
    /// Nothing.
    Dropped,
}

/// One program at one job: scripts for bash, with these variables: `$tree` and
/// every tree by its name; `$mimeo`; `$new`, a folder that is empty before each
/// run and gone after; `$kept`, this tool's folder for the whole row; `$row`, a
/// folder all tools of the row share; `$target`, see [`Ground`].
#[derive(Debug)]
pub struct Tool {
    /// As the table names it.
    pub name: &'static str,
    /// The peer's program, nothing for our own.
    pub peer: Option<&'static str>,
    /// Once before the first run; not measured.
    pub prepare: &'static str,
    /// Before each run; not measured.
    pub before: &'static str,
    /// What is measured. The bytes by which `$new` and `$kept` grow are what
    /// it stored.
    pub run: &'static str,
}

/// A figure of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Seconds of wall time.
    Time,
    /// Bytes stored.
    Size,
    /// Bytes resident at the peak, of the largest process.
    Memory,
}

/// What a figure is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Against {
    /// One tool of the row.
    Tool(&'static str),
    /// The best of several tools of the row.
    Best(&'static [&'static str]),
    /// A figure: seconds or bytes.
    Limit(f64),
}

/// A promise: `measure` of the tool `of` is at most `reach` times the peer's.
#[derive(Debug)]
pub struct Claim {
    /// The tool's name.
    pub of: &'static str,
    /// Which figure.
    pub measure: Measure,
    /// The peer.
    pub against: Against,
    /// The largest ratio that is promised.
    pub reach: f64,
}

impl Row {
    /// Whether it needs two states of one system, which one tree cannot give.
    pub fn needs_updates(&self) -> bool {
        self.trees.contains(&Tree::Updated)
    }

    /// Whether a claim about time speaks of the tool `name`: it is then run
    /// several times.
    pub fn times(&self, name: &str) -> bool {
        let about = |claim: &Claim| claim.of == name || claim.against.names().contains(&name);
        let mut timed = self
            .claims
            .iter()
            .filter(|claim| claim.measure == Measure::Time);
        timed.any(about)
    }
}

impl Against {
    /// The tools it speaks of.
    pub fn names(&self) -> Vec<&'static str> {
        match *self {
            Self::Tool(name) => vec![name],
            Self::Best(names) => names.to_vec(),
            Self::Limit(_) => Vec::new(),
        }
    }
}

impl Tree {
    /// Its folder and its variable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Desktop => "desktop",
            Self::Updated => "updated",
            Self::Machine => "machine",
            Self::Edited => "edited",
            Self::Million => "million",
            Self::Sparse => "sparse",
        }
    }
}

//! A target run on stable Rust: its corpus, then seeded mutations of it.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Target;
use super::mutate::mutated;
use super::watched::ASKED;

/// One input takes no longer, on a machine that has other things to do too.
const PATIENCE: Duration = Duration::from_secs(10);
/// What takes so long never ends.
const ENDLESS: Duration = Duration::from_secs(60);
/// No decoder asks for more at once: the xz decoder may take 128 MiB.
const LARGEST: u64 = 192 << 20;
/// Of a failing input so much is told.
const SHOWN: usize = 4096;

/// What is being run, and since when.
static RUNNING: Mutex<Option<(String, Instant)>> = Mutex::new(None);

/// Where corpora and libFuzzer's programs lie.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The inputs of a target with their file names, sorted.
///
/// # Panics
/// Where there are none to be read: each target has some.
pub fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder().join("corpus").join(name);
    let read = |path: PathBuf| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        (file.into_owned(), bytes)
    };
    let listed = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut inputs: Vec<_> = listed.flatten().map(|entry| read(entry.path())).collect();
    inputs.sort();
    inputs
}

/// A target with its corpus.
pub struct Drive {
    target: Target,
    inputs: Vec<(String, Vec<u8>)>,
}

impl Drive {
    /// Reads the corpus.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            inputs: corpus(target.0),
        }
    }

    /// Bytes of the longest input there is.
    pub fn longest(&self) -> usize {
        let lengths = self.inputs.iter().map(|(_, input)| input.len());
        lengths.max().unwrap_or(0)
    }

    /// Runs the corpus as it is.
    ///
    /// # Errors
    /// As [`Drive::seed`].
    pub fn corpus(&self) -> Result<(), String> {
        let mut inputs = self.inputs.iter();
        inputs.try_for_each(|(file, input)| self.run(file, input))
    }

    /// Runs the mutation of this number.
    ///
    /// # Errors
    /// What went wrong, with all that is needed to run it again.
    pub fn seed(&self, seed: u64) -> Result<(), String> {
        self.run(&format!("seed {seed}"), &mutated(&self.inputs, seed))
    }

    fn run(&self, what: &str, input: &[u8]) -> Result<(), String> {
        let (name, target) = self.target;
        ASKED.store(0, Ordering::Relaxed);
        let start = Instant::now();
        *running() = Some((format!("target {name}, {what}"), start));
        let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
        *running() = None;
        let (took, asked) = (start.elapsed(), ASKED.load(Ordering::Relaxed));
        let wrong = match outcome {
            Err(_) => "its property does not hold".to_owned(),
            Ok(()) if took > PATIENCE => format!("it took {took:?}"),
            Ok(()) if asked > LARGEST => format!("it asked for {asked} bytes at once"),
            Ok(()) => return Ok(()),
        };
        let shown = input.iter().take(SHOWN);
        let hex: String = shown.map(|byte| format!("{byte:02x}")).collect();
        let length = input.len();
        Err(format!(
            "target {name}, {what}: {wrong}; the first of {length} bytes:\n{hex}"
        ))
    }
}

fn running() -> std::sync::MutexGuard<'static, Option<(String, Instant)>> {
    RUNNING
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Ends the program when an input never comes back: nothing else would say which.
pub fn watch() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let stuck = running().clone();
        if let Some((what, _)) = stuck.filter(|(_, start)| start.elapsed() > ENDLESS) {
            eprintln!("{what}: still running after {ENDLESS:?}");
            std::process::abort();
        }
    }
}

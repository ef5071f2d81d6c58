//! Every target of [`lab::fuzz`] on stable Rust: its corpus, then a fixed
//! number of seeded mutations of it. The same seed gives the same input.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use imager::readers;
use lab::fuzz::{TARGETS, Target, sparse};

/// Mutations of a target with small inputs.
const MOST_RUNS: usize = 4000;
/// Mutations of a target with large inputs.
const LEAST_RUNS: usize = 1000;
/// Bytes mutated a target, so that large inputs take no longer than small ones.
const BYTES: usize = 64 << 20;
/// One input takes no longer, on a machine that has other things to do too.
const PATIENCE: Duration = Duration::from_secs(10);
/// What takes so long never ends.
const ENDLESS: Duration = Duration::from_secs(60);
/// No decoder asks for more at once: the xz decoder may take 128 MiB.
const LARGEST: u64 = 192 << 20;
/// Of a failing input so much is printed.
const SHOWN: usize = 4096;

/// The largest piece of memory asked for since it was last set to zero.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// What is being run, and since when.
static RUNNING: Mutex<Option<(String, Instant)>> = Mutex::new(None);

struct Watched;

// SAFETY: every call is handed to the system's allocator as it is.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_max(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: the caller's promises are the system allocator's conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_max(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ASKED.fetch_max(size as u64, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The inputs of a target with their file names, sorted.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder().join("corpus").join(name);
    let read = |path: PathBuf| {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        (file, fs::read(path).unwrap())
    };
    let listed = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut inputs: Vec<_> = listed.map(|entry| read(entry.unwrap().path())).collect();
    inputs.sort();
    inputs
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, 0 when there is none.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap()
    }
}

/// Numbers that lie at the edges of what fields hold.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// One change: a bit, a byte, a number, a cut, a repetition or another input's piece.
fn mutate(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(input.len());
    match random.below(8) {
        0 | 1 => {
            let bit = random.below(8);
            input
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte ^= 1 << bit);
        }
        2 => {
            let value = random.next().to_le_bytes()[0];
            input
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte = value);
        }
        3 | 4 => {
            let edge = EDGES[random.below(EDGES.len())];
            let (little, big) = (edge.to_le_bytes(), edge.to_be_bytes());
            let width = 1 << random.below(4);
            let bytes = if random.below(2) == 0 {
                &little[..width]
            } else {
                &big[8 - width..]
            };
            input
                .iter_mut()
                .skip(at)
                .zip(bytes)
                .for_each(|(byte, edge)| *byte = *edge);
        }
        5 => input.truncate(at),
        6 => {
            let end = (at + 1 + random.below(64)).min(input.len());
            let piece = input.get(at..end).unwrap_or_default().to_vec();
            input.splice(at..at, piece);
        }
        _ => {
            let from = random.below(other.len());
            let length = 1 + random.below(256);
            let piece = other.iter().skip(from).take(length).copied();
            let over = if random.below(2) == 0 {
                at..at
            } else {
                at..(at + length).min(input.len())
            };
            input.splice(over, piece);
        }
    }
}

/// The input of this number: a corpus file with one to four changes.
fn mutated(inputs: &[(String, Vec<u8>)], seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut input = inputs[random.below(inputs.len())].1.clone();
    for _ in 0..=random.below(4) {
        let other = &inputs[random.below(inputs.len())].1;
        mutate(&mut input, other, &mut random);
    }
    input
}

/// Runs one input; panics with all that is needed to run it again.
fn run((name, target): Target, what: &str, input: &[u8]) {
    ASKED.store(0, Ordering::Relaxed);
    let start = Instant::now();
    *RUNNING.lock().unwrap() = Some((format!("target {name}, {what}"), start));
    let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
    let (took, asked) = (start.elapsed(), ASKED.load(Ordering::Relaxed));
    let wrong = match outcome {
        Err(_) => "its property does not hold".to_owned(),
        Ok(()) if took > PATIENCE => format!("it took {took:?}"),
        Ok(()) if asked > LARGEST => format!("it asked for {asked} bytes at once"),
        Ok(()) => return,
    };
    let hex: String = input
        .iter()
        .take(SHOWN)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    panic!(
        "target {name}, {what}: {wrong}; the first of {} bytes:\n{hex}",
        input.len()
    );
}

/// Ends the program when an input never comes back: nothing else would say which.
fn watch() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let running = RUNNING.lock().unwrap().clone();
        if let Some((what, _)) = running.filter(|(_, start)| start.elapsed() > ENDLESS) {
            eprintln!("{what}: still running after {ENDLESS:?}");
            std::process::abort();
        }
    }
}

fn run_all(target: Target) {
    let inputs = corpus(target.0);
    for (file, input) in &inputs {
        run(target, file, input);
    }
    let longest = inputs
        .iter()
        .map(|(_, input)| input.len())
        .max()
        .unwrap_or(0);
    let runs = (BYTES / longest.max(1)).clamp(LEAST_RUNS, MOST_RUNS);
    for seed in (0..).take(runs) {
        run(target, &format!("seed {seed}"), &mutated(&inputs, seed));
    }
}

#[test]
fn no_corpus_file_and_no_mutation_of_one_breaks_a_decoder() {
    std::thread::spawn(watch);
    for &target in TARGETS {
        let start = Instant::now();
        run_all(target);
        println!("{}: {:?}", target.0, start.elapsed());
    }
    *RUNNING.lock().unwrap() = None;
}

#[test]
fn every_target_has_a_corpus_and_a_fuzz_program_and_nothing_else_is_there() {
    let listed: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed.len(), TARGETS.len(), "a name is used twice");
    let names = |folder: PathBuf| -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap();
        let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
        entries.map(|entry| stem(entry.unwrap().path())).collect()
    };
    assert_eq!(names(folder().join("fuzz_targets")), listed);
    assert_eq!(names(folder().join("corpus")), listed);
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    for name in &listed {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} is not built"
        );
        let program = folder()
            .join("fuzz_targets")
            .join(name)
            .with_extension("rs");
        let program = fs::read_to_string(program).unwrap();
        assert!(
            program.contains(&format!("target(\"{name}\")")),
            "{name} runs another target"
        );
    }
}

#[test]
fn every_volume_in_the_corpus_is_read_to_its_last_entry() {
    for name in ["ext4", "fat", "volume"] {
        for (file, input) in corpus(name) {
            let disk = sparse::disk(&input, 512);
            let entries = readers::open(&disk).and_then(|reader| reader.entries());
            let entries = entries.unwrap_or_else(|error| panic!("{name}/{file}: {error}"));
            assert!(
                entries.len() > 10 || file == "swap",
                "{name}/{file}: {entries:?}"
            );
        }
    }
}

#[test]
fn the_corpus_is_small_and_no_folder_of_it_is_empty() {
    let mut total = 0;
    for (name, _) in TARGETS {
        let inputs = corpus(name);
        assert!(!inputs.is_empty(), "{name}");
        for (file, input) in &inputs {
            assert!(
                input.len() <= 64 << 10,
                "{name}/{file}: {} bytes",
                input.len()
            );
            total += input.len();
        }
    }
    assert!(total < 1_500_000, "{total} bytes");
}

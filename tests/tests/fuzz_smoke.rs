//! Every target of [`lab::fuzz`] on stable Rust: its corpus, then a fixed
//! number of seeded mutations of it. The same seed gives the same input.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use imager::readers;
use lab::fuzz::drive::{Drive, corpus, folder, watch};
use lab::fuzz::watched::Watched;
use lab::fuzz::{TARGETS, sparse};

/// Mutations of a target with small inputs.
const MOST_RUNS: usize = 4000;
/// Mutations of a target with large inputs.
const LEAST_RUNS: usize = 1000;
/// Bytes mutated a target, so that large inputs take no longer than small ones.
const BYTES: usize = 64 << 20;

#[global_allocator]
static ALLOCATOR: Watched = Watched;

#[test]
fn no_corpus_file_and_no_mutation_of_one_breaks_a_decoder() {
    std::thread::spawn(|| watch());
    for &target in TARGETS {
        let start = Instant::now();
        let drive = Drive::new(target);
        let runs = (BYTES / drive.longest().max(1)).clamp(LEAST_RUNS, MOST_RUNS);
        let mutations = (0..).take(runs).try_for_each(|seed| drive.seed(seed));
        if let Err(wrong) = drive.corpus().and(mutations) {
            panic!("{wrong}");
        }
        println!("{}: {:?}", target.0, start.elapsed());
    }
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

//! `cargo xtask demo` runs the main job for real; `cargo xtask test` passes
//! every test; `cargo xtask bench image` measures what is claimed about speed
//! and size; `cargo xtask soak` looks for faults for hours. Each installs what it needs when run as root.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Result, bail};
use lab::bench::options::Options;
use lab::fuzz::watched::Watched;
use lab::{base, bench, command, demo, programs, setup, soak};

/// Decoders that ask for too much memory are found out.
#[global_allocator]
static ALLOCATOR: Watched = Watched;

const USAGE: &str = "usage: cargo xtask demo | test | bench image [OPTIONS] | soak [OPTIONS]

  demo   make a reference machine, capture it, and turn three bare virtual
         machines into proven copies of it
  test   formatting, lints, licences and every test, virtual machines included
  bench image
         measure capture, apply, verify and storage beside other programs on
         the same trees; takes hours and 25 GB below target/lab/bench
           --only ROW     one row, by number or id; may be repeated
           --quick        three rounds in place of five
           --corpus PATH  this tree in place of the system and the desktop
           --mimeo PATH   this program in place of the one built here
           --peers        the other programs alone, once; nothing is judged
  soak   every decoder on new inputs and machines that lose power, for hours;
         writes docs/soak.md
           --minutes N    so long for the decoders (60)
           --cuts N       so many power cuts (24)
           --seed N       the first input (the time)

exit codes: 0 done, 1 failed, 2 wrong use";

fn main() -> ExitCode {
    let word = std::env::args().nth(1).unwrap_or_default();
    let done = match word.as_str() {
        "demo" => run_demo(),
        "test" => run_tests(),
        "bench" => run_bench(),
        "soak" => run_soak(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {word}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_demo() -> Result<()> {
    setup::prepare()?;
    let programs = programs::build()?;
    let begun = Instant::now();
    let mut say = |text: &str| println!("[{:>4} s] {text}", begun.elapsed().as_secs());
    let folder = programs.target.join("lab/demo");
    let base = base::prepare(&programs, &folder.join("base"), &mut say)?;
    let (proven, memory) = demo::run(&base, &folder.join("room"), &mut say)?;
    println!("\n{}", demo::report(&proven));
    for one in &proven {
        println!("{}: {}", one.machine.name, one.verdict);
    }
    println!("server memory at its peak: {} MB", memory / 1_000_000);
    println!(
        "{} machines network-booted bare, were read back, and started from their own disks in {} s",
        proven.len(),
        begun.elapsed().as_secs()
    );
    Ok(())
}

fn run_tests() -> Result<()> {
    setup::prepare()?;
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&[
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ])?;
    programs::build()?;
    // Not the examples, which the lints have compiled, nor examples in comments:
    // there are none.
    let words = "test --release --workspace --no-fail-fast --lib --bins --tests";
    cargo(&words.split(' ').collect::<Vec<_>>())
}

fn run_bench() -> Result<()> {
    let mut words = std::env::args().skip(2);
    if words.next().as_deref() != Some("image") {
        bail!("there is one bench: `cargo xtask bench image`");
    }
    let options = Options::parse(words)?;
    let (mimeo, target) = match &options.mimeo {
        Some(mimeo) => (mimeo.canonicalize()?, programs::target()?),
        None => {
            let built = programs::build()?;
            (built.mimeo, built.target)
        }
    };
    if !bench::image(&options, &mimeo, &bench::folder(&target)?)? {
        bail!("not every claim is met");
    }
    Ok(())
}

fn run_soak() -> Result<()> {
    let words = std::env::args().skip(2);
    let options = soak::Options::parse(words, demo::now())?;
    setup::prepare()?;
    let programs = programs::build()?;
    let begun = Instant::now();
    let mut say = |text: &str| println!("[{:>5} s] {text}", begun.elapsed().as_secs());
    let folder = programs.target.join("lab/soak");
    let (report, well) = soak::run(&options, &programs, &folder, &mut say)?;
    let version = command::sh(&["git", "describe", "--always", "--dirty"])?;
    let heading = format!(
        "# The last soak\n\n`cargo xtask soak`, version {}, {} decoder minutes, {} power cuts: {}.\n\n",
        version.trim(),
        options.fuzzing.as_secs() / 60,
        options.cuts,
        if well {
            "nothing was found"
        } else {
            "SOMETHING IS WRONG"
        },
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/soak.md");
    std::fs::write(&path, heading + &report)?;
    println!("{} is written", path.display());
    match well {
        true => Ok(()),
        false => bail!("not everything came to a good end"),
    }
}

fn cargo(words: &[&str]) -> Result<()> {
    println!("cargo {}", words.join(" "));
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let status = Command::new(program).args(words).status()?;
    if !status.success() {
        bail!("cargo {} ended with {status}", words.join(" "));
    }
    Ok(())
}

//! What runs on the target machine, before and after its system is there.
//!
//! As `/init` of the boot environment it finds the server, earns a run, puts
//! the image on the disk and starts it ([`boot`]). In the installed system it
//! finishes the run ([`installed`]). The same program, copied along.

mod boot;
mod config;
mod hardware;
mod installed;
mod job;
mod journal;
mod run_file;
mod screen;
mod session;
mod steps;
mod wizard;
mod work;

use std::process::ExitCode;

const HELP: &str = "\
mimeo-agent: puts an image on this machine and proves it

Usage:
  mimeo-agent installed   finish the run that installed this system
  mimeo-agent --version   print the version
  mimeo-agent --help      print this text

As process 1 of the boot environment it takes no arguments.";

fn main() -> ExitCode {
    // The kernel hands unknown words of its command line to process 1.
    if std::process::id() == 1 {
        boot::run();
    }
    match std::env::args().nth(1).as_deref() {
        Some("installed") => match installed::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("mimeo-agent: {error:#}");
                ExitCode::FAILURE
            }
        },
        Some("--version" | "-V") => {
            println!("mimeo-agent {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Some("--help" | "-h") => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{HELP}");
            ExitCode::from(2)
        }
    }
}

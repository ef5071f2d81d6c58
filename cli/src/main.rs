//! `mimeo`: the operator's program, with the server inside.

mod apart;
mod args;
mod commands;
mod exit;
mod interrupt;
mod location;
mod memory;
mod output;
mod signing;
mod size;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static MEMORY: memory::LargePages = memory::LargePages;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let json = args.json;
    match commands::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error, json),
    }
}

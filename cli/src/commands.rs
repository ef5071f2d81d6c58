//! Word → command.

mod apply;
mod apply_disk;
pub(crate) mod boot;
mod capture;
mod image;
mod image_names;
mod machine;
mod manual;
mod receipt;
mod run;
mod serve;
mod share;
mod share_access;
mod share_check;
mod share_optimize;
mod share_repair;
mod transfer;
mod verify;

use anyhow::{Context, Result};
use api::client::Client;

use crate::args::{Args, Command, ServerArgs};

/// Does what was asked.
pub(crate) fn run(args: Args) -> Result<()> {
    let json = args.json;
    match args.command {
        Command::Share(command) => share::run(command, json),
        Command::Capture(args) => capture::run(&args, json),
        Command::Apply(args) => apply::run(&args, json),
        Command::Verify(args) => verify::run(&args, json),
        Command::Image(command) => image::run(command, json),
        Command::Boot(args) => boot::run(args),
        Command::Serve(args) => serve::run(&args),
        Command::Machine(command) => machine::run(command, json),
        Command::Run(command) => run::run(command, json),
        Command::Receipt(command) => receipt::run(command, json),
        Command::Completions { shell } => manual::completions(shell),
        Command::Manual { out } => manual::pages(&out),
    }
}

/// Speaks to the server as its operator.
fn connect(args: &ServerArgs) -> Result<Client> {
    let (address, key, token) = match (&args.server, args.key, &args.token) {
        (Some(address), Some(key), Some(token)) => {
            let reading = || format!("reading {}", token.display());
            (
                address.clone(),
                key,
                std::fs::read_to_string(token).with_context(reading)?,
            )
        }
        _ => {
            let config = server::Config::load(&args.config)?;
            let key = server::public_key(&config)?;
            let token = server::operator_token(&config)?;
            (
                format!("{}:{}", config.server.address, config.server.https_port),
                key,
                token,
            )
        }
    };
    Ok(Client::new(&address, key)?.with_token(token.trim()))
}

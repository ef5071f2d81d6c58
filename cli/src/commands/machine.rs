//! `mimeo machine`: list, add, approve.

use anyhow::Result;
use api::messages::operator::{Approval, Machine, NewMachine};
use inventory::Identity;

use super::connect;
use crate::args::{AddArgs, MachineCommand};
use crate::output;

/// Runs `mimeo machine ...`.
pub(crate) fn run(command: MachineCommand, json: bool) -> Result<()> {
    match command {
        MachineCommand::List { server } => {
            let list = connect(&server)?.machines()?;
            output::show(json, &list, || {
                let rows: Vec<_> = list.machines.iter().map(row).collect();
                output::table(&["name", "standing", "code", "names", "run"], &rows)
            })
        }
        MachineCommand::Add(args) => add(args, json),
        MachineCommand::Approve {
            code,
            name,
            image,
            server,
        } => {
            let machine = connect(&server)?.approve(&Approval { code, name, image })?;
            output::show(json, &machine, || match &machine.name {
                Some(name) => format!("approved: {name}"),
                None => "approved: it asks for a name and an image at its screen".to_owned(),
            })
        }
    }
}

fn add(args: AddArgs, json: bool) -> Result<()> {
    let machine = NewMachine {
        name: args.name,
        identity: Identity {
            uuid: args.uuid.map(|uuid| uuid.to_ascii_lowercase()),
            serial: args.serial,
            addresses: args.mac,
        },
        image: args.image,
        disk: args.disk,
        replace: args.replace,
        unattended: args.unattended,
    };
    let machine = connect(&args.server)?.add_machine(&machine)?;
    output::show(json, &machine, || {
        let name = machine.name.as_deref().unwrap_or("the machine");
        format!("{name} is expected as {}", names(&machine))
    })
}

fn row(machine: &Machine) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    vec![
        text(&machine.name),
        machine.standing.clone(),
        text(&machine.code),
        names(machine),
        text(&machine.run),
    ]
}

/// What it is recognised by, for people.
fn names(machine: &Machine) -> String {
    let identity = &machine.identity;
    let mut names: Vec<String> = identity.addresses.iter().map(ToString::to_string).collect();
    names.extend(identity.serial.clone());
    names.extend(identity.uuid.clone());
    names.join(" ")
}

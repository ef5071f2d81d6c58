//! `mimeo machine`: list, add, approve, capture.

use anyhow::{Result, bail};
use api::messages::operator::{Approval, Machine, NewMachine};
use api::messages::run::CaptureWish;
use inventory::{HardwareAddr, Identity};

use super::connect;
use crate::args::{AddArgs, CaptureMachineArgs, MachineCommand, WishArgs};
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
            wish,
            server,
        } => {
            let approval = Approval {
                code,
                name,
                image,
                capture: wanted(wish),
            };
            let machine = connect(&server)?.approve(&approval)?;
            output::show(json, &machine, || approved(&machine, &approval))
        }
        MachineCommand::Capture(args) => capture(args, json),
    }
}

fn approved(machine: &Machine, approval: &Approval) -> String {
    match (&approval.capture, &machine.name) {
        (Some(wish), _) => format!("approved: its disk is captured as {}", wish.name),
        (None, Some(name)) => format!("approved: {name}"),
        (None, None) => "approved: it asks for a name and an image at its screen".to_owned(),
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
        capture: wanted(args.wish),
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

/// Orders the capture of a machine the server knows.
fn capture(args: CaptureMachineArgs, json: bool) -> Result<()> {
    let server = connect(&args.server)?;
    let machines = server.machines()?.machines;
    let machine = find(&machines, &args.machine)?;
    let order = NewMachine {
        name: machine.name.clone(),
        identity: machine.identity.clone(),
        image: None,
        capture: Some(CaptureWish {
            name: args.name.clone(),
            profile: args.profile.into(),
            paranoid: args.paranoid,
        }),
        disk: args.disk,
        replace: false,
        unattended: args.unattended,
    };
    let machine = server.add_machine(&order)?;
    output::show(json, &machine, || {
        format!(
            "{} is captured as {} when it next starts over the network",
            args.machine, args.name
        )
    })
}

/// The machine that goes by this name, address, serial number or UUID.
fn find<'m>(machines: &'m [Machine], asked: &str) -> Result<&'m Machine> {
    let address = asked.parse::<HardwareAddr>().ok();
    let is = |text: &Option<String>| {
        text.as_ref()
            .is_some_and(|text| text.eq_ignore_ascii_case(asked))
    };
    let is_meant = |machine: &&Machine| {
        let identity = &machine.identity;
        is(&machine.name)
            || is(&identity.serial)
            || is(&identity.uuid)
            || address.is_some_and(|address| identity.addresses.contains(&address))
    };
    let meant: Vec<&Machine> = machines.iter().filter(is_meant).collect();
    match meant[..] {
        [only] => Ok(only),
        [] => bail!(
            "the server knows no machine {asked:?}; `mimeo machine list` shows them, \
             and `mimeo machine add --capture` makes one known"
        ),
        _ => bail!(
            "{} machines go by {asked:?}: give a name or address that only one of them has",
            meant.len()
        ),
    }
}

fn wanted(wish: WishArgs) -> Option<CaptureWish> {
    let profile = wish.profile.into();
    wish.capture.map(|name| CaptureWish {
        name,
        profile,
        paranoid: false,
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

#[cfg(test)]
mod tests {
    use inventory::MachineId;

    use super::*;

    fn machine(number: u8, name: Option<&str>) -> Machine {
        Machine {
            id: MachineId::new([number; 16]),
            name: name.map(str::to_owned),
            identity: Identity {
                uuid: Some(format!("77777777-0000-4000-8000-0000000000a{number}")),
                serial: Some("SN".to_owned()),
                addresses: vec![HardwareAddr::new([2, 0, 0, 0, 0, number])],
            },
            facts: None,
            standing: "done".to_owned(),
            code: None,
            run: None,
        }
    }

    #[test]
    fn a_machine_goes_by_every_name_it_has_and_a_shared_one_is_a_question() {
        let machines = [machine(1, Some("pc-1")), machine(2, None)];
        for asked in [
            "PC-1",
            "02:00:00:00:00:01",
            "77777777-0000-4000-8000-0000000000A1",
        ] {
            assert_eq!(
                find(&machines, asked).unwrap().id,
                machines[0].id,
                "{asked}"
            );
        }
        assert!(
            find(&machines, "SN")
                .unwrap_err()
                .to_string()
                .contains("2 machines")
        );
        assert!(find(&machines, "pc-3").is_err());
    }
}

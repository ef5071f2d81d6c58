//! What a machine at power-on boots: the one door from the wire to the house.

use std::sync::{Arc, PoisonError, RwLock};

use inventory::{HardwareAddr, Identity};
use pxe::answer::{Answer, BootImage};
use pxe::client::{BootClient, uuid_text};
use pxe::policy::BootPolicy;

use crate::config::Config;
use crate::service::roster::{Recognised, Roster};

/// Where the boot tree's files are on the clear port.
pub(crate) const BOOT_PATH: &str = "/boot";

/// Answers from the roster. Whoever is not done boots the agent, strangers
/// included: they will wait there for a person.
pub(crate) struct Policy {
    roster: Arc<RwLock<Roster>>,
    agent: BootImage,
}

impl Policy {
    /// The policy of this server.
    pub(crate) fn new(config: &Config, roster: Arc<RwLock<Roster>>) -> Self {
        let agent = BootImage {
            title: "mimeo: starting the deployment environment".to_owned(),
            kernel: format!("{BOOT_PATH}/vmlinuz"),
            initrd: vec![format!("{BOOT_PATH}/initrd.img")],
            command_line: command_line(config),
        };
        Self { roster, agent }
    }
}

impl BootPolicy for Policy {
    fn answer(&self, client: &BootClient) -> Answer {
        // Both ways to write a UUID were put into text order before.
        let identity = Identity {
            uuid: client
                .uuid
                .filter(|uuid| *uuid != [0; 16] && *uuid != [0xff; 16])
                .map(uuid_text),
            serial: None,
            addresses: vec![HardwareAddr::new(client.mac.0)],
        };
        let roster = self.roster.read().unwrap_or_else(PoisonError::into_inner);
        match roster.recognise(&identity) {
            Recognised::Known { disk: true, .. } => Answer::LocalDisk,
            _ => Answer::Boot(self.agent.clone()),
        }
    }
}

/// The kernel's arguments. They carry addresses only: a machine believes the
/// key in its own first stage, whatever stands here.
fn command_line(config: &Config) -> String {
    let server = &config.server;
    let boot = pxe::answer::BootServer {
        address: server.address,
        http_port: server.http_port,
    };
    let line = format!(
        "mimeo.server={}:{} mimeo.boot={} console=tty0 console=ttyS0,115200 quiet loglevel=3 panic=30 {}",
        server.address,
        server.https_port,
        boot.url(BOOT_PATH),
        config.boot.command_line
    );
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use inventory::MachineId;
    use pxe::Mac;
    use pxe::client::{Architecture, Stage};

    use super::*;
    use crate::db::KnownMachine;

    fn config() -> Config {
        let text = "[server]\naddress = \"10.77.0.1\"\nshare = \"s\"\nboot = \"b\"\n[boot]\ncommand_line = \"x=1\"\n";
        Config::parse(Path::new("/etc/mimeo.toml"), text).unwrap()
    }

    fn client(mac: u8, uuid: Option<[u8; 16]>) -> BootClient {
        BootClient {
            mac: Mac([2, 0, 0, 0, 0, mac]),
            uuid,
            architecture: Architecture::X64Efi,
            stage: Stage::Pxe,
            address: None,
        }
    }

    #[test]
    fn a_stranger_boots_the_agent_with_the_addresses_of_this_server() {
        let policy = Policy::new(&config(), Arc::default());
        let Answer::Boot(image) = policy.answer(&client(1, None)) else {
            panic!("no boot")
        };
        assert_eq!(
            image.command_line,
            "mimeo.server=10.77.0.1:8443 mimeo.boot=http://10.77.0.1/boot console=tty0 \
             console=ttyS0,115200 quiet loglevel=3 panic=30 x=1"
        );
        assert_eq!(image.kernel, "/boot/vmlinuz");
    }

    #[test]
    fn a_uuid_that_means_unset_recognises_nobody() {
        let machine = KnownMachine::stranger(
            MachineId::new([1; 16]),
            Identity {
                uuid: Some(uuid_text([0; 16])),
                ..Identity::default()
            },
        );
        let roster = Roster::new(&[machine], &[]);
        let policy = Policy::new(&config(), Arc::new(RwLock::new(roster)));
        assert!(matches!(
            policy.answer(&client(1, Some([0; 16]))),
            Answer::Boot(_)
        ));
    }
}

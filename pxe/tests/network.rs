//! The DHCP services and our DHCP client on a real (virtual) Ethernet
//! between two network namespaces.
//!
//! The test starts itself again inside the namespaces, once as the server and
//! once as the client. Where namespaces are not allowed it says so and stops.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use pxe::net::{boot, client};
use pxe::{
    Answer, BootClient, BootConfig, BootParts, Finding, Heard, Mac, MemoryLeases, Mode, Pool,
};

const NAME: &str = "an_address_is_had_and_kept_over_a_real_network";
const ROLE: &str = "PXE_NETWORK_TEST_ROLE";
const US: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);

/// Two namespaces with a cable between them; `$1` is this test.
const SCRIPT: &str = r#"
set -e
unshare -n sleep 60 & far=$!
trap 'kill $far $server 2>/dev/null' EXIT
while [ "$(readlink /proc/$far/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do sleep 0.05; done
ip link add srv type veth peer name cli
ip link set cli netns $far
ip address add 10.9.0.1/24 dev srv
ip link set srv up
nsenter -t $far -n ip link set cli up
PXE_NETWORK_TEST_ROLE=server "$1" --exact "$2" --nocapture & server=$!
PXE_NETWORK_TEST_ROLE=client nsenter -t $far -n "$1" --exact "$2" --nocapture
"#;

#[test]
fn an_address_is_had_and_kept_over_a_real_network() {
    match std::env::var(ROLE).as_deref() {
        Ok("server") => serve(),
        Ok(_) => ask(),
        Err(_) => start(),
    }
}

fn start() {
    let unshare = ["-r", "-n"];
    let probe = Command::new("unshare").args(unshare).arg("true").status();
    if !probe.is_ok_and(|status| status.success()) {
        println!("no network namespaces here: nothing was tested");
        return;
    }
    let test = std::env::current_exe().unwrap();
    let mut shell = Command::new("unshare");
    shell.args(unshare).args(["sh", "-c", SCRIPT, "sh"]);
    let output = shell.arg(test).arg(NAME).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("kept 10.9.0.100"), "{said}");
}

fn serve() {
    let pool = Pool {
        network: Ipv4Addr::new(10, 9, 0, 0),
        prefix: 24,
        first: Ipv4Addr::new(10, 9, 0, 100),
        last: Ipv4Addr::new(10, 9, 0, 100),
        router: Some(US),
        dns: vec![US],
        lease_seconds: 600,
    };
    let parts = BootParts {
        policy: Arc::new(|_: &BootClient| Answer::LocalDisk),
        files: Arc::new(|_: SocketAddr, _: &str| None),
        leases: Arc::new(MemoryLeases::default()),
        heard: Arc::new(Heard::default()),
        findings: Arc::new(|finding: Finding| println!("{finding}")),
    };
    let config = BootConfig::new("srv", US, 80, Mode::Server(vec![pool]));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .unwrap()
        .block_on(async {
            let patience = tokio::time::sleep(Duration::from_secs(50));
            boot::run(config, parts, patience).await
        })
        .unwrap();
}

fn ask() {
    let patience = Duration::from_secs(20);
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    let had = client::acquire("cli", mac, 1, patience).unwrap();
    assert_eq!(had.address, Ipv4Addr::new(10, 9, 0, 100));
    assert_eq!((had.prefix, had.router), (24, Some(US)));
    // With the address set, the answer to a renewal comes to it alone.
    let set = Command::new("ip")
        .args(["address", "add", "10.9.0.100/24", "dev", "cli"])
        .status();
    assert!(set.unwrap().success());
    let kept = client::renew("cli", mac, 2, &had, patience).unwrap();
    println!("kept {}", kept.address);
    let other = Mac([2, 0, 0, 0, 0, 2]);
    let none = client::acquire("cli", other, 3, Duration::from_millis(1500));
    assert!(
        none.unwrap_err()
            .to_string()
            .contains("no DHCP server answered on cli")
    );
}

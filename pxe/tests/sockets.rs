//! The services on real sockets: TFTP over the loopback interface.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pxe::net::boot;
use pxe::wire::tftp::{Packet, Request};
use pxe::{Answer, BootClient, BootConfig, BootParts, Finding, Heard, MemoryLeases, Mode, Ports};

const US: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// A port nobody has at the moment.
fn free_port() -> u16 {
    let socket = UdpSocket::bind((US, 0)).unwrap();
    socket.local_addr().unwrap().port()
}

fn parts(findings: &Arc<Mutex<Vec<Finding>>>) -> BootParts {
    let findings = Arc::clone(findings);
    let big: Arc<[u8]> = (0..3_000_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    let files = move |_: SocketAddr, path: &str| (path == "boot/big").then(|| Arc::clone(&big));
    BootParts {
        policy: Arc::new(|_: &BootClient| Answer::LocalDisk),
        files: Arc::new(files),
        leases: Arc::new(MemoryLeases::default()),
        heard: Arc::new(Heard::default()),
        findings: Arc::new(move |finding| findings.lock().unwrap().push(finding)),
    }
}

fn config(port: u16) -> BootConfig {
    let ports = Ports {
        tftp: port,
        ..Ports::default()
    };
    BootConfig {
        ports,
        ..BootConfig::new("lo", US, 80, Mode::TftpOnly)
    }
}

/// Reads a file as firmware does; `Err` is the server's error.
fn fetch(port: u16, path: &str, options: &[(&str, &str)]) -> Result<Vec<u8>, (u16, String)> {
    let socket = UdpSocket::bind((US, 0)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    let request = Packet::Read(Request {
        path: path.to_owned(),
        mode: "octet".to_owned(),
        options: options.iter().map(own).collect(),
    });
    socket.send_to(&request.encode(), (US, port)).unwrap();
    let (mut file, mut block_size, mut window, mut count) = (vec![], 512, 1, 0_u16);
    let mut buffer = vec![0; 65536];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer).unwrap();
        let mut last = false;
        match Packet::decode(&buffer[..length]).unwrap() {
            Packet::OptionAck(granted) => {
                for (name, value) in granted {
                    match name.as_str() {
                        "blksize" => block_size = value.parse().unwrap(),
                        "windowsize" => window = value.parse().unwrap(),
                        _ => {}
                    }
                }
                let ack = Packet::Ack { block: 0 };
                socket.send_to(&ack.encode(), peer).unwrap();
                continue;
            }
            Packet::Data { block, bytes } if block == count.wrapping_add(1) => {
                count = block;
                last = bytes.len() < block_size;
                file.extend(bytes);
            }
            Packet::Data { .. } => {}
            Packet::Error { code, message } => return Err((code, message)),
            other => panic!("{other:?}"),
        }
        if last || count.is_multiple_of(window) {
            let ack = Packet::Ack { block: count };
            socket.send_to(&ack.encode(), peer).unwrap();
        }
        if last {
            return Ok(file);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_and_scripts_come_over_tftp() {
    let port = free_port();
    let findings = Arc::new(Mutex::new(Vec::new()));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let services = tokio::spawn(boot::run(config(port), parts(&findings), async {
        let _ = stopped.await;
    }));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let client = tokio::task::spawn_blocking(move || {
        let edk2 = [("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")];
        let big = fetch(port, "//boot/big", &edk2).unwrap();
        assert_eq!(big.len(), 3_000_000);
        assert_eq!(big[2_999_999], 2_999_999_u32.to_le_bytes()[0]);
        assert_eq!(fetch(port, "boot\\big", &[]).unwrap().len(), 3_000_000);
        let grub = fetch(port, "/grub/hosts/02:00:00:00:00:01", &[]).unwrap();
        assert!(String::from_utf8(grub).unwrap().contains("chainloader"));
        let missing = fetch(port, "shimx64.efi", &edk2).unwrap_err();
        assert_eq!(missing, (1, "file not found".to_owned()));
        assert_eq!(fetch(port, "/../etc/passwd", &[]).unwrap_err().0, 2);
    });
    client.await.unwrap();
    stop.send(()).unwrap();
    services.await.unwrap().unwrap();
    let path = "shimx64.efi".to_owned();
    assert_eq!(*findings.lock().unwrap(), [Finding::LoaderMissing { path }]);
}

#[tokio::test]
async fn a_port_in_use_says_which_and_where() {
    let held = UdpSocket::bind((US, 0)).unwrap();
    let port = held.local_addr().unwrap().port();
    let findings = Arc::new(Mutex::new(Vec::new()));
    let run = boot::run(config(port), parts(&findings), std::future::pending());
    let error = run.await.unwrap_err().to_string();
    assert!(error.contains("interface lo"), "{error}");
    assert!(error.contains(&port.to_string()), "{error}");
}

#[tokio::test]
async fn a_server_without_a_range_does_not_start() {
    let findings = Arc::new(Mutex::new(Vec::new()));
    let mut config = config(free_port());
    config.mode = Mode::Server(vec![]);
    let run = boot::run(config, parts(&findings), std::future::pending());
    assert!(
        run.await
            .unwrap_err()
            .to_string()
            .contains("without a range")
    );
}

//! Both ports over real sockets: TLS with the pinned key, and boot files in
//! the clear.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use api::client::{Client, ClientError, Patience, RemoteStore};
use api::messages::machine::{Hello, Reveal, Standing};
use api::messages::operator::NewMachine;
use api::messages::run::{Assignment, CaptureWish};
use api::trust::{Nonce, SigningKey, commitment};
use image_format::{Profile, Share};
use inventory::Identity;
use task_sequences::{Event, EventKind};
use tokio::sync::oneshot;

use super::world::{World, capture, facts};

fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: SocketAddr, path: &str, more: &str) -> String {
    ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_speaks_to_the_pinned_key_and_loaders_get_their_files() {
    let world = World::new();
    let boot = world.folder.path().join("boot");
    std::fs::create_dir(&boot).unwrap();
    std::fs::write(boot.join("vmlinuz"), b"0123456789").unwrap();
    std::fs::write(boot.join("grubx64.efi"), b"grub").unwrap();
    std::fs::write(boot.join("server.key"), b"secret").unwrap();
    let key = crate::public_key(&world.config()).unwrap();
    let bound = world.bound().await;
    let (https, http) = (bound.https(), bound.http());
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(bound.serve(async move { drop(stopped.await) }));
    let operator = world.operator.clone();
    tokio::task::spawn_blocking(move || {
        pinned(https, key, &operator);
        clear(http);
    })
    .await
    .unwrap();
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

fn pinned(https: SocketAddr, key: api::PublicKey, operator: &str) {
    let client = Client::new(&https.to_string(), key).unwrap();
    let (own, _) = SigningKey::generate().unwrap();
    let nonce = Nonce::random().unwrap();
    let commitment = commitment(&nonce);
    let hello = Hello {
        agent: "test".into(),
        facts: facts(1),
        key: own.public(),
        commitment,
    };
    let welcome = client.hello(&hello).unwrap();
    let standing = client
        .standing(&welcome.session, &Reveal { nonce })
        .unwrap();
    assert!(matches!(standing, Standing::Waiting { .. }));
    assert_eq!(
        client.with_token(operator).images().unwrap().images.len(),
        2
    );
    assert!(matches!(
        client.images(),
        Err(ClientError::Refused { status: 401, .. })
    ));
    let (other, _) = SigningKey::generate().unwrap();
    let stranger = Client::new(&https.to_string(), other.public()).unwrap();
    assert!(matches!(
        stranger.hello(&hello),
        Err(ClientError::NotTheServer { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_captures_through_the_runs_token_and_is_believed() {
    let world = World::new();
    let key = crate::public_key(&world.config()).unwrap();
    let bound = world.bound().await;
    let https = bound.https();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(bound.serve(async move { drop(stopped.await) }));
    let operator = world.operator.clone();
    tokio::task::spawn_blocking(move || captures(https, key, &operator))
        .await
        .unwrap();
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

fn captures(https: SocketAddr, key: api::PublicKey, operator: &str) {
    let client = Client::new(&https.to_string(), key).unwrap();
    let order = NewMachine {
        name: None,
        identity: Identity::of(&facts(1)),
        image: None,
        capture: Some(CaptureWish {
            name: "office".into(),
            profile: Profile::Fast,
            paranoid: false,
        }),
        disk: None,
        replace: false,
        unattended: true,
    };
    client.with_token(operator).add_machine(&order).unwrap();
    let (token, assignment) = assigned(&client, key);
    let client = client.with_token(&token);
    assert_eq!(client.assignment().unwrap(), assignment);
    let patience = || Patience::up_to(Duration::from_secs(5));
    let main = RemoteStore::new(client.clone(), patience(), "main");
    let record = capture(&main, "office", 9);
    let share = Share::open(&main).unwrap();
    assert_eq!(share.find("office").unwrap(), record);
    for (store, name) in [
        (&main, "office2"),
        (&main, "debian"),
        (
            &RemoteStore::new(client.clone(), patience(), "lab"),
            "office",
        ),
    ] {
        let mut forged = record.clone();
        forged.name = name.to_owned();
        let refused = image_format::refs::commit(store, forged, None);
        assert!(refused.is_err(), "{name}");
    }
    let kinds = [
        EventKind::StepStarted {
            step: "capture-image".into(),
        },
        EventKind::ImageCaptured {
            image: record.image.to_string(),
            name: record.name,
            sequence: record.sequence,
        },
    ];
    let events: Vec<Event> = (0..)
        .zip(kinds)
        .map(|(number, kind)| Event {
            number,
            time: 1,
            kind,
        })
        .collect();
    assert_eq!(client.add_events(&events).unwrap(), 2);
}

/// The run of a machine that starts unattended.
fn assigned(client: &Client, key: api::PublicKey) -> (String, Assignment) {
    let (own, _) = SigningKey::generate().unwrap();
    let nonce = Nonce::random().unwrap();
    let hello = Hello {
        agent: "test".into(),
        facts: facts(1),
        key: own.public(),
        commitment: commitment(&nonce),
    };
    let welcome = client.hello(&hello).unwrap();
    match client
        .standing(&welcome.session, &Reveal { nonce })
        .unwrap()
    {
        Standing::Assigned { token, assignment } => {
            (token, assignment.open("assignment", &key).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

fn clear(http: SocketAddr) {
    let whole = get(http, "/boot/vmlinuz", "");
    assert!(
        whole.starts_with("HTTP/1.1 200") && whole.ends_with("\r\n\r\n0123456789"),
        "{whole}"
    );
    // GRUB knows the header in this spelling only.
    assert!(whole.contains("Content-Length: 10"), "{whole}");
    let part = get(http, "/boot/vmlinuz", "Range: bytes=2-4\r\n");
    assert!(
        part.starts_with("HTTP/1.1 206") && part.ends_with("\r\n\r\n234"),
        "{part}"
    );
    assert!(part.contains("Content-Range: bytes 2-4/10"), "{part}");
    assert!(get(http, "/boot/vmlinuz", "Range: bytes=10-\r\n").starts_with("HTTP/1.1 416"));
    let head = ask(
        http,
        "HEAD /boot/vmlinuz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    assert!(
        head.contains("Content-Length: 10") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    assert!(get(http, "//grubx64.efi", "").ends_with("grub"));
    for hidden in [
        "/boot/server.key",
        "/boot/../state/server.key",
        "/api/v1/status",
        "/",
        "/boot/",
    ] {
        assert!(
            get(http, hidden, "").starts_with("HTTP/1.1 404"),
            "{hidden}"
        );
    }
    let post = ask(
        http,
        "POST /boot/vmlinuz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
    let script = get(http, "/boot/ipxe?mac=52-54-00-00-00-01&arch=0", "");
    assert!(
        script.contains("#!ipxe") && script.contains("/boot/vmlinuz"),
        "{script}"
    );
    assert!(script.contains("mimeo.server=127.0.0.1:"), "{script}");
}

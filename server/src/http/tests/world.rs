//! A server with a share of two images, and machines that talk to it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use api::messages::operator::{Approval, Machine, MachineList, NewMachine};
use api::messages::run::{EventsStored, MoreEvents};
use api::{ErrorBody, routes};
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use axum::{Extension, Router};
use image_format::entry::{Entry, Kind};
use image_format::image::{Manifest, VolumeTree};
use image_format::ingest::{Ingest, IngestOptions, NewImage};
use image_format::layout::{DiskLayout, Partition, Scheme, Volume};
use image_format::{DirStore, ImageRecord, Store};
use inventory::{HardwareAddr, Identity, MachineFacts};
use serde::Serialize;
use serde::de::DeserializeOwned;
use task_sequences::{Event, EventKind};
use tower::ServiceExt;

use crate::config::Config;
use crate::http::gate::Peer;
use crate::service::House;
use crate::start::Bound;

pub(super) struct World {
    pub(super) folder: tempfile::TempDir,
    pub(super) operator: String,
    pub(super) debian: ImageRecord,
    pub(super) secret: ImageRecord,
}

pub(super) struct Server {
    pub(super) house: Arc<House>,
    router: Router,
}

pub(super) type Answered<T> = Result<T, (StatusCode, ErrorBody)>;

impl World {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = DirStore::init(&folder.path().join("share")).unwrap();
        let debian = capture(&store, "debian", 7);
        let secret = capture(&store, "secret", 8);
        let operator = crate::sign::operator_token(&config(folder.path())).unwrap();
        Self {
            folder,
            operator,
            debian,
            secret,
        }
    }

    pub(super) fn config(&self) -> Config {
        config(self.folder.path())
    }

    pub(super) async fn bound(&self) -> Bound {
        Bound::bind(self.config()).await.unwrap()
    }

    pub(super) async fn server(&self) -> Server {
        let house = Arc::clone(&self.bound().await.house);
        let peer: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let router = crate::http::router(Arc::clone(&house)).layer(Extension(Peer(peer)));
        Server { house, router }
    }
}

fn config(folder: &Path) -> Config {
    let text = "[server]\naddress = \"127.0.0.1\"\nhttps_port = 0\nhttp_port = 0\n\
                state = \"state\"\nshare = \"share\"\nboot = \"boot\"\n\
                [shares]\nlab = \"lab\"\n";
    Config::parse(&folder.join("mimeo.toml"), text).unwrap()
}

/// An image with two volumes and a file that takes a block of its own.
pub(super) fn capture(store: &dyn Store, name: &str, seed: u8) -> ImageRecord {
    let mut ingest = Ingest::new(store, IngestOptions::default()).unwrap();
    let bytes: Vec<u8> = blake3::Hasher::new()
        .update(&[seed])
        .finalize_xof_bytes(50_000);
    let mut stream = ingest.stream(b"usr/bin/tool", bytes.len() as u64);
    stream.write(&bytes).unwrap();
    let content = stream.finish().unwrap();
    let folder = |path: &str| Entry {
        mode: 0o755,
        ..Entry::new(path, Kind::Directory)
    };
    let file = |path: &str, content| Entry {
        mode: 0o644,
        content,
        ..Entry::new(path, Kind::File)
    };
    let system = vec![
        folder(""),
        folder("etc"),
        file(
            "etc/hostname",
            image_format::entry::Content::Inline(b"golden\n".to_vec()),
        ),
        file("tool", content),
    ];
    let data = vec![folder(""), folder("data")];
    let volumes = vec![
        VolumeTree {
            partition: 0,
            entries: system,
        },
        VolumeTree {
            partition: 1,
            entries: data,
        },
    ];
    let partitions = (0..2_u8).map(partition).collect();
    let scheme = Scheme::Gpt {
        disk_guid: [seed; 16],
    };
    let disk = DiskLayout {
        sector_size: 512,
        size: 64 << 20,
        scheme,
        boot_code: vec![],
        partitions,
    };
    let record = NewImage {
        name: name.to_owned(),
        captured: u64::from(seed),
        parent: None,
        system: None,
        source: None,
    };
    ingest.commit(Manifest { disk, volumes }, record).unwrap()
}

fn partition(index: u8) -> Partition {
    Partition {
        number: u32::from(index) + 1,
        start: (1 + 16 * u64::from(index)) << 20,
        size: 16 << 20,
        type_guid: [index; 16],
        guid: [index + 1; 16],
        attributes: 0,
        name: vec![],
        volume: Volume::Raw,
    }
}

trait XofBytes {
    fn finalize_xof_bytes(&self, count: usize) -> Vec<u8>;
}

impl XofBytes for blake3::Hasher {
    fn finalize_xof_bytes(&self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.finalize_xof().fill(&mut bytes);
        bytes
    }
}

impl Server {
    pub(super) async fn raw(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Vec<u8>,
    ) -> (StatusCode, Vec<u8>) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        (
            status,
            to_bytes(response.into_body(), 64 << 20)
                .await
                .unwrap()
                .to_vec(),
        )
    }

    /// Hands in events of a run, numbered from `first`.
    pub(super) async fn tell(
        &self,
        token: &str,
        first: u64,
        kinds: Vec<EventKind>,
    ) -> Answered<EventsStored> {
        self.post(routes::EVENTS, Some(token), &events(first, kinds))
            .await
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        token: Option<&str>,
    ) -> Answered<T> {
        read(self.raw(Method::GET, path, token, Vec::new()).await)
    }

    pub(super) async fn post<Q: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        token: Option<&str>,
        question: &Q,
    ) -> Answered<T> {
        let body = serde_json::to_vec(question).unwrap();
        read(self.raw(Method::POST, path, token, body).await)
    }

    pub(super) async fn approve(&self, world: &World, code: &str) -> Answered<Machine> {
        self.approve_with(world, code, None, None).await
    }

    pub(super) async fn approve_with(
        &self,
        world: &World,
        code: &str,
        name: Option<&str>,
        image: Option<&str>,
    ) -> Answered<Machine> {
        let (name, image) = (name.map(str::to_owned), image.map(str::to_owned));
        let approval = Approval {
            code: code.to_owned(),
            name,
            image,
            capture: None,
        };
        self.post(routes::APPROVE, Some(&world.operator), &approval)
            .await
    }

    pub(super) async fn machines(&self, world: &World) -> Vec<Machine> {
        self.get::<MachineList>(routes::MACHINES, Some(&world.operator))
            .await
            .unwrap()
            .machines
    }

    /// Pre-stages machine 1 to start unattended.
    pub(super) async fn pre_stage(&self, world: &World, unattended: bool) -> Answered<Machine> {
        let order = NewMachine {
            name: Some("pc-1".into()),
            identity: Identity::of(&facts(1)),
            image: Some("debian".into()),
            capture: None,
            disk: None,
            replace: true,
            unattended,
        };
        self.post(routes::MACHINES, Some(&world.operator), &order)
            .await
    }
}

fn read<T: DeserializeOwned>((status, bytes): (StatusCode, Vec<u8>)) -> Answered<T> {
    if status.is_success() {
        let bytes = if bytes.is_empty() {
            b"null".to_vec()
        } else {
            bytes
        };
        Ok(serde_json::from_slice(&bytes).unwrap())
    } else {
        Err((status, serde_json::from_slice(&bytes).unwrap()))
    }
}

/// The code of a refusal.
pub(super) fn code_of<T: std::fmt::Debug>(answer: Answered<T>) -> String {
    answer.unwrap_err().1.code
}

pub(super) fn facts(number: u8) -> MachineFacts {
    MachineFacts {
        uuid: Some(format!("77777777-0000-4000-8000-0000000000{number:02}")),
        serial: Some(format!("SN-{number}")),
        addresses: vec![HardwareAddr::new([0x52, 0x54, 0, 0, 0, number])],
        ..MachineFacts::default()
    }
}

/// Events from `first` on.
pub(super) fn events(first: u64, kinds: Vec<EventKind>) -> MoreEvents {
    let events = (first..)
        .zip(kinds)
        .map(|(number, kind)| Event {
            number,
            time: 5,
            kind,
        })
        .collect();
    MoreEvents { events }
}

pub(super) fn started(step: &str) -> EventKind {
    EventKind::StepStarted {
        step: step.to_owned(),
    }
}

pub(super) fn finished(step: &str) -> EventKind {
    EventKind::StepFinished {
        step: step.to_owned(),
    }
}

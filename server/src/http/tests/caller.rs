//! A machine's agent, as far as the server sees it.

use std::collections::BTreeSet;

use api::messages::machine::{Hello, Reveal, Standing, Welcome};
use api::messages::run::Assignment;
use api::receipt::{ProvenDisk, Receipt, Statement};
use api::routes;
use api::trust::{Nonce, SigningKey, commitment, short_code};
use image_format::image::{Manifest, VolumeTree};
use image_format::proof::{OverlayEntry, Proof, volume_root};
use inventory::{Identity, MachineFacts};

use super::world::{Answered, Server, facts};

/// A machine's side of a conversation.
pub(super) struct Caller {
    pub(super) key: SigningKey,
    pub(super) nonce: Nonce,
    pub(super) welcome: Welcome,
}

impl Caller {
    pub(super) async fn hello(server: &Server, facts: MachineFacts) -> Self {
        let (key, _) = SigningKey::generate().unwrap();
        let nonce = Nonce::random().unwrap();
        let hello = Hello {
            agent: "test".into(),
            facts,
            key: key.public(),
            commitment: commitment(&nonce),
        };
        let welcome = server.post(routes::HELLO, None, &hello).await.unwrap();
        Self {
            key,
            nonce,
            welcome,
        }
    }

    pub(super) fn path(&self, pattern: &str) -> String {
        routes::fill(pattern, &[&self.welcome.session])
    }

    pub(super) async fn standing(&self, server: &Server) -> Answered<Standing> {
        let reveal = Reveal { nonce: self.nonce };
        server
            .post(&self.path(routes::SESSION), None, &reveal)
            .await
    }

    /// The code as this machine's agent derives it.
    pub(super) fn code(&self, server: &Server) -> String {
        short_code(
            &server.house.key.public(),
            &self.key.public(),
            &self.nonce,
            &self.welcome.nonce,
        )
    }

    pub(super) async fn assigned(&self, server: &Server) -> (String, Assignment) {
        match self.standing(server).await.unwrap() {
            Standing::Assigned { token, assignment } => {
                let key = server.house.key.public();
                (token, assignment.open("assignment", &key).unwrap())
            }
            other => panic!("{other:?}"),
        }
    }

    /// What an honest agent states after an apply, before signing.
    pub(super) async fn statement(&self, server: &Server, assignment: &Assignment) -> Statement {
        let laid: BTreeSet<Vec<u8>> = [b"etc/hostname".to_vec(), b"etc".to_vec()].into();
        let image = assignment.work.image().unwrap();
        let skip = laid.clone();
        let volumes = move |manifest: &Manifest| {
            let none = BTreeSet::new();
            let of = |tree: &VolumeTree| {
                let skip = if tree.partition == 0 { &skip } else { &none };
                volume_root(tree.partition, &tree.entries, skip)
            };
            manifest.volumes.iter().map(of).collect()
        };
        let volumes = server
            .house
            .share
            .with_manifest(image, volumes)
            .await
            .unwrap();
        let overlay = laid.into_iter().map(|path| OverlayEntry {
            partition: 0,
            path,
            digest: [1; 32],
        });
        Statement {
            run: assignment.run.clone(),
            machine: assignment.machine,
            name: assignment.name.clone(),
            identity: Identity::of(&facts(1)),
            disk: ProvenDisk {
                model: None,
                serial: Some("D1".into()),
                wwid: None,
                size: 64 << 20,
            },
            proof: Proof {
                image,
                plan: [2; 32],
                volumes,
                overlay: overlay.collect(),
                boot_root: [3; 32],
            },
            steps: vec![],
            started: 1,
            finished: 2,
        }
    }

    pub(super) fn claim(&self, statement: Statement) -> Receipt {
        Receipt::claim(statement, &self.key).unwrap()
    }
}

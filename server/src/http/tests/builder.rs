//! An image builder elsewhere, as far as the server sees it.

use api::ErrorBody;
use api::messages::share::{MadeShareToken, NewShareToken};
use api::messages::store::{Answer, Call, Verb, frame, unframe};
use api::routes;
use axum::http::{Method, StatusCode};
use image_format::store::{RefName, Store};
use image_format::{DirStore, ImageRecord};

use super::world::{Server, World, capture};

pub(super) type Asked = Result<(Answer, Vec<u8>), (StatusCode, ErrorBody)>;

/// Somebody with a token at one share.
pub(super) struct Builder<'s> {
    pub(super) server: &'s Server,
    pub(super) share: &'static str,
    pub(super) token: Option<String>,
}

pub(super) fn call(verb: Verb, subject: impl ToString) -> Call {
    Call {
        verb,
        subject: subject.to_string(),
        other: String::new(),
        number: 0,
        length: 0,
    }
}

pub(super) fn ref_call(verb: Verb, at: &RefName) -> Call {
    Call {
        number: at.sequence,
        ..call(verb, &at.name)
    }
}

/// Makes a token as the operator; `names` is what it may capture under.
pub(super) async fn token(
    world: &World,
    server: &Server,
    label: &str,
    share: &str,
    names: Option<&str>,
) -> String {
    let new = NewShareToken {
        label: label.to_owned(),
        share: share.to_owned(),
        writes: names.map(str::to_owned),
    };
    let path = routes::SHARE_TOKENS;
    let made: MadeShareToken = server
        .post(path, Some(&world.operator), &new)
        .await
        .unwrap();
    made.token
}

impl<'s> Builder<'s> {
    /// Somebody who captures into the server's own share under any name.
    pub(super) async fn writer(world: &World, server: &'s Server, label: &str) -> Self {
        Self {
            server,
            share: "main",
            token: Some(token(world, server, label, "main", Some("*")).await),
        }
    }

    pub(super) fn operator(world: &World, server: &'s Server) -> Self {
        Self {
            server,
            share: "main",
            token: Some(world.operator.clone()),
        }
    }

    pub(super) async fn ask(&self, call: &Call, bytes: &[u8]) -> Asked {
        self.body(frame(call, bytes).unwrap()).await
    }

    pub(super) async fn body(&self, body: Vec<u8>) -> Asked {
        let path = routes::fill(routes::SHARE, &[&self.share]);
        let token = self.token.as_deref();
        let (status, answer) = self.server.raw(Method::POST, &path, token, body).await;
        if status != StatusCode::OK {
            return Err((status, serde_json::from_slice(&answer).unwrap()));
        }
        let (head, bytes) = unframe::<Answer>(&answer).unwrap();
        Ok((head, bytes.to_vec()))
    }

    pub(super) async fn put(&self, verb: Verb, subject: impl ToString, bytes: &[u8]) -> Answer {
        self.ask(&call(verb, subject), bytes).await.unwrap().0
    }

    pub(super) async fn put_ref(&self, at: &RefName, bytes: &[u8]) -> Answer {
        let call = ref_call(Verb::PutRef, at);
        self.ask(&call, bytes).await.unwrap().0
    }

    /// Why a put was refused.
    pub(super) async fn refused(&self, call: &Call, bytes: &[u8]) -> String {
        match self.ask(call, bytes).await.unwrap().0 {
            Answer::Refused { reason, .. } => reason,
            other => panic!("{call:?}: {other:?}"),
        }
    }

    /// Sends everything an image elsewhere consists of, but for its ref.
    pub(super) async fn send(&self, made: &Made) {
        let store = &made.store;
        for id in store.list_packs().unwrap() {
            let bytes = store.read_pack(&id).unwrap();
            assert_eq!(self.put(Verb::PutPack, id, &bytes).await, Answer::Done);
        }
        for id in store.list_indexes().unwrap() {
            let bytes = store.read_index(&id).unwrap();
            assert_eq!(self.put(Verb::PutIndex, id, &bytes).await, Answer::Done);
        }
        for id in store.list_manifests().unwrap() {
            let bytes = store.read_manifest(&id).unwrap();
            assert_eq!(self.put(Verb::PutManifest, id, &bytes).await, Answer::Done);
        }
    }
}

/// An image in a share of its own, to be sent.
pub(super) struct Made {
    _folder: tempfile::TempDir,
    pub(super) store: DirStore,
    pub(super) record: ImageRecord,
    pub(super) at: RefName,
}

impl Made {
    pub(super) fn new(name: &str, seed: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = DirStore::init(&folder.path().join("made")).unwrap();
        let record = capture(&store, name, seed);
        let at = RefName {
            name: name.to_owned(),
            sequence: record.sequence,
        };
        Self {
            _folder: folder,
            store,
            record,
            at,
        }
    }

    pub(super) fn ref_bytes(&self) -> Vec<u8> {
        self.store.read_ref(&self.at).unwrap()
    }
}

/// What lies in the server's own share.
pub(super) fn listing(world: &World) -> (Vec<String>, DirStore) {
    let store = DirStore::open(&world.folder.path().join("share")).unwrap();
    let mut all: Vec<String> = Vec::new();
    all.extend(store.list_packs().unwrap().iter().map(ToString::to_string));
    all.extend(
        store
            .list_indexes()
            .unwrap()
            .iter()
            .map(ToString::to_string),
    );
    all.extend(
        store
            .list_manifests()
            .unwrap()
            .iter()
            .map(ToString::to_string),
    );
    all.extend(store.list_refs().unwrap().iter().map(ToString::to_string));
    all.extend(store.list_leases().unwrap().iter().map(ToString::to_string));
    all.sort();
    (all, store)
}

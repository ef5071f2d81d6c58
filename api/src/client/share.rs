//! A server's share as a store: everything that works on a folder works here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use image_format::ChunkId;
use image_format::ids::{ImageId, PackId, SegmentId};
use image_format::index::{Segment, SegmentBytes};
use image_format::store::trash::{LeaseId, Run, Trashed};
use image_format::store::{BlockPlace, PackFacts, RefName, Source, Store, StoreError};

use super::cache::IndexCache;
use super::{Client, ClientError, Patience};
use crate::messages::store::{Answer, Call, Verb, frame, unframe};
use crate::routes;

/// More than any pack, index segment or list.
const LARGEST: u64 = 1 << 30;
/// A pack may wait behind those of other captures, each of which is expanded
/// and compared, before it is answered.
const SILENCE: Duration = Duration::from_secs(300);

/// A share on a server. An outage is waited out; a refusal is not. What was
/// stored before an outage is there after it: calls can be repeated.
#[derive(Debug, Clone)]
pub struct RemoteStore {
    client: Client,
    patience: Patience,
    share: String,
    cache: Option<Arc<IndexCache>>,
}

impl RemoteStore {
    /// The share called `share` on the client's server.
    pub fn new(client: Client, patience: Patience, share: &str) -> Self {
        Self {
            client: client.with_silence(SILENCE),
            patience,
            share: share.to_owned(),
            cache: None,
        }
    }

    /// The same, keeping index segments in this folder, where they are found
    /// the next time. Who reads the index has it then without the network.
    #[must_use]
    pub fn with_cache(self, folder: PathBuf) -> Self {
        let cache = Some(Arc::new(IndexCache::open(folder)));
        Self { cache, ..self }
    }

    /// Asks whether the token may capture under `name`.
    ///
    /// # Errors
    /// It may not, in the server's words.
    pub fn may_capture(&self, name: &str) -> Result<(), StoreError> {
        self.ask(&call(Verb::MayCapture, &name), &[]).map(drop)
    }

    fn ask(&self, call: &Call, bytes: &[u8]) -> Result<(Answer, Vec<u8>), StoreError> {
        let path = routes::fill(routes::SHARE, &[&self.share]);
        let remote = |error: ClientError| StoreError::Remote {
            doing: format!(
                "{} (share {} of {})",
                call.words(),
                self.share,
                self.client.server()
            ),
            retry: error.is_transient(),
            source: Box::new(error),
        };
        let body = frame(call, bytes).map_err(|error| {
            remote(ClientError::Local {
                what: "writing the question",
                reason: error.to_string(),
            })
        })?;
        let answer = self
            .patience
            .call(|| self.client.post_bytes(&path, &body, LARGEST));
        let answer = answer.map_err(remote)?;
        let (head, rest) = unframe::<Answer>(&answer).map_err(|error| {
            remote(ClientError::Answer {
                path: path.clone(),
                reason: error.to_string(),
            })
        })?;
        match head {
            Answer::Missing { what, name } => Err(StoreError::Missing {
                what: word(&what),
                name,
            }),
            Answer::Conflict { newest } => Err(StoreError::Conflict {
                at: RefName {
                    name: call.subject.clone(),
                    sequence: call.number,
                },
                newest,
            }),
            Answer::Refused { what, name, reason } => Err(StoreError::Refused {
                what: word(&what),
                name,
                reason,
            }),
            done => Ok((done, rest.to_vec())),
        }
    }

    fn bytes(&self, verb: Verb, subject: &dyn std::fmt::Display) -> Result<Vec<u8>, StoreError> {
        Ok(self.ask(&call(verb, subject), &[])?.1)
    }

    fn put(
        &self,
        verb: Verb,
        subject: &dyn std::fmt::Display,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        self.ask(&call(verb, subject), bytes).map(drop)
    }

    fn was(&self, verb: Verb, subject: &dyn std::fmt::Display) -> Result<bool, StoreError> {
        match self.ask(&call(verb, subject), &[])?.0 {
            Answer::Was { there } => Ok(there),
            _ => Err(self.odd(verb)),
        }
    }

    fn list<T: std::str::FromStr>(&self, verb: Verb) -> Result<Vec<T>, StoreError> {
        let bytes = self.bytes(verb, &"")?;
        let names: Vec<String> = serde_json::from_slice(&bytes).map_err(|_| self.odd(verb))?;
        names
            .iter()
            .map(|name| name.parse().map_err(|_| self.odd(verb)))
            .collect()
    }

    fn refs(&self, verb: Verb) -> Result<Vec<RefName>, StoreError> {
        let bytes = self.bytes(verb, &"")?;
        let names: Vec<(String, u64)> =
            serde_json::from_slice(&bytes).map_err(|_| self.odd(verb))?;
        Ok(names
            .into_iter()
            .map(|(name, sequence)| RefName { name, sequence })
            .collect())
    }

    /// The answer is not one to this question.
    fn odd(&self, verb: Verb) -> StoreError {
        StoreError::Remote {
            doing: format!(
                "{verb:?} at share {} of {}",
                self.share,
                self.client.server()
            ),
            retry: false,
            source: Box::new(ClientError::Answer {
                path: routes::fill(routes::SHARE, &[&self.share]),
                reason: "it is the answer to another question".to_owned(),
            }),
        }
    }
}

fn call(verb: Verb, subject: &dyn std::fmt::Display) -> Call {
    Call {
        verb,
        subject: subject.to_string(),
        other: String::new(),
        number: 0,
        length: 0,
    }
}

fn of_ref(verb: Verb, at: &RefName) -> Call {
    Call {
        number: at.sequence,
        ..call(verb, &at.name)
    }
}

/// The words errors of stores are made of.
fn word(what: &str) -> &'static str {
    let known = [
        "pack",
        "index segment",
        "manifest",
        "ref",
        "lease",
        "seal",
        "share",
    ];
    known
        .into_iter()
        .find(|word| *word == what)
        .unwrap_or("file")
}

impl Source for RemoteStore {
    fn block(&self, place: &BlockPlace) -> Result<Vec<u8>, StoreError> {
        self.read_pack_part(&place.pack, place.offset, place.stored)
    }
}

impl Store for RemoteStore {
    fn put_pack(&self, id: &PackId, bytes: &[u8]) -> Result<(), StoreError> {
        self.put(Verb::PutPack, id, bytes)
    }
    fn list_packs(&self) -> Result<Vec<PackId>, StoreError> {
        self.list(Verb::ListPacks)
    }
    fn read_pack(&self, id: &PackId) -> Result<Vec<u8>, StoreError> {
        self.bytes(Verb::ReadPack, id)
    }
    fn pack_facts(&self, id: &PackId) -> Result<PackFacts, StoreError> {
        match self.ask(&call(Verb::PackFacts, id), &[])?.0 {
            Answer::Facts { length, written } => Ok(PackFacts { length, written }),
            _ => Err(self.odd(Verb::PackFacts)),
        }
    }
    fn read_pack_part(&self, id: &PackId, offset: u64, length: u32) -> Result<Vec<u8>, StoreError> {
        let call = Call {
            number: offset,
            length,
            ..call(Verb::ReadPackPart, id)
        };
        Ok(self.ask(&call, &[])?.1)
    }
    fn put_index(&self, id: &SegmentId, bytes: &[u8]) -> Result<(), StoreError> {
        self.put(Verb::PutIndex, id, bytes)
    }
    fn list_indexes(&self) -> Result<Vec<SegmentId>, StoreError> {
        self.list(Verb::ListIndexes)
    }
    fn read_index(&self, id: &SegmentId) -> Result<Vec<u8>, StoreError> {
        self.bytes(Verb::ReadIndex, id)
    }
    fn map_index(&self, id: &SegmentId) -> Result<SegmentBytes, StoreError> {
        let Some(cache) = &self.cache else {
            return self.read_index(id).map(SegmentBytes::from);
        };
        if let Some(bytes) = cache.find(id) {
            return Ok(bytes);
        }
        let bytes = self.read_index(id)?;
        cache.keep(id, &bytes);
        Ok(bytes.into())
    }
    fn remove_index(&self, id: &SegmentId) -> Result<bool, StoreError> {
        self.was(Verb::RemoveIndex, id)
    }
    fn put_manifest(&self, id: &ImageId, bytes: &[u8]) -> Result<(), StoreError> {
        self.put(Verb::PutManifest, id, bytes)
    }
    fn list_manifests(&self) -> Result<Vec<ImageId>, StoreError> {
        self.list(Verb::ListManifests)
    }
    fn read_manifest(&self, id: &ImageId) -> Result<Vec<u8>, StoreError> {
        self.bytes(Verb::ReadManifest, id)
    }
    fn put_ref(&self, at: &RefName, bytes: &[u8]) -> Result<(), StoreError> {
        self.ask(&of_ref(Verb::PutRef, at), bytes).map(drop)
    }
    fn list_refs(&self) -> Result<Vec<RefName>, StoreError> {
        self.refs(Verb::ListRefs)
    }
    fn read_ref(&self, at: &RefName) -> Result<Vec<u8>, StoreError> {
        Ok(self.ask(&of_ref(Verb::ReadRef, at), &[])?.1)
    }
    fn delete_ref(&self, at: &RefName) -> Result<(), StoreError> {
        self.ask(&of_ref(Verb::DeleteRef, at), &[]).map(drop)
    }
    fn list_deleted_refs(&self) -> Result<Vec<RefName>, StoreError> {
        self.refs(Verb::ListDeletedRefs)
    }
    fn tidy_refs(&self) -> Result<(), StoreError> {
        self.put(Verb::TidyRefs, &"", &[])
    }
    fn condemn(&self, what: &Trashed) -> Result<bool, StoreError> {
        self.was(Verb::Condemn, what)
    }
    fn restore(&self, what: &Trashed) -> Result<bool, StoreError> {
        self.was(Verb::Restore, what)
    }
    fn destroy(&self, what: &Trashed) -> Result<bool, StoreError> {
        self.was(Verb::Destroy, what)
    }
    fn adopt(&self, what: &Trashed, ours: &Trashed) -> Result<bool, StoreError> {
        let call = Call {
            other: ours.to_string(),
            ..call(Verb::Adopt, what)
        };
        match self.ask(&call, &[])?.0 {
            Answer::Was { there } => Ok(there),
            _ => Err(self.odd(Verb::Adopt)),
        }
    }
    fn list_trash(&self) -> Result<Vec<Trashed>, StoreError> {
        self.list(Verb::ListTrash)
    }
    fn trash_length(&self, what: &Trashed) -> Result<u64, StoreError> {
        match self.ask(&call(Verb::TrashLength, what), &[])?.0 {
            Answer::Facts { length, .. } => Ok(length),
            _ => Err(self.odd(Verb::TrashLength)),
        }
    }
    fn settle(&self) -> Result<(), StoreError> {
        self.put(Verb::Settle, &"", &[])
    }
    fn put_seal(&self, run: &Run, bytes: &[u8]) -> Result<(), StoreError> {
        self.put(Verb::PutSeal, run, bytes)
    }
    fn list_seals(&self) -> Result<Vec<Run>, StoreError> {
        self.list(Verb::ListSeals)
    }
    fn read_seal(&self, run: &Run) -> Result<Vec<u8>, StoreError> {
        self.bytes(Verb::ReadSeal, run)
    }
    fn remove_seal(&self, run: &Run) -> Result<bool, StoreError> {
        self.was(Verb::RemoveSeal, run)
    }
    fn put_lease(&self, id: &LeaseId, bytes: &[u8]) -> Result<(), StoreError> {
        self.put(Verb::PutLease, id, bytes)
    }
    fn list_leases(&self) -> Result<Vec<LeaseId>, StoreError> {
        self.list(Verb::ListLeases)
    }
    fn read_lease(&self, id: &LeaseId) -> Result<Vec<u8>, StoreError> {
        self.bytes(Verb::ReadLease, id)
    }
    fn remove_lease(&self, id: &LeaseId) -> Result<bool, StoreError> {
        self.was(Verb::RemoveLease, id)
    }
    fn locate(&self, wanted: &[ChunkId]) -> Result<Option<Segment>, StoreError> {
        let ids: Vec<u8> = wanted.iter().flat_map(|id| *id.as_bytes()).collect();
        let (_, bytes) = self.ask(&call(Verb::Locate, &""), &ids)?;
        Segment::decode(bytes)
            .map(Some)
            .map_err(|_| self.odd(Verb::Locate))
    }
    fn now(&self) -> u64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }
    fn owner(&self) -> String {
        format!("{} through {}", std::process::id(), self.client.server())
    }
}

//! A share as a store for image builders elsewhere: every question answered,
//! and nothing taken in that is not what it is called.
//!
//! A folder trusts whoever writes into it. Here anybody with a token writes, so
//! a pack's every chunk is compared with its id before others can be given it,
//! an index segment says only what stands in the packs, and a ref is kept only
//! when all of its image is there. Any call can be made again when its answer
//! was lost.

mod checks;
mod claims;
mod located;
mod shelf;

use std::sync::Arc;

use api::messages::store::{Answer, Call, Verb};
use image_format::refs;
use image_format::store::{DirStore, RefName, Store, StoreError};

use claims::Claims;
use shelf::Shelf;

pub(crate) use claims::Holder;

/// An answer and the bytes that go with it.
pub(crate) type Answered = (Answer, Vec<u8>);

/// Bytes of a part of a pack in one answer: a block, or a pack's tables.
const LONGEST_PART: u32 = 64 << 20;

/// What is remembered of a share between questions, and lost with the server.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    claims: Claims,
    shelf: Shelf,
}

/// A share with what is remembered of it.
pub(crate) struct Vault {
    /// The share's folder.
    pub(crate) store: Arc<DirStore>,
    /// What is remembered.
    pub(crate) memory: Arc<Memory>,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    /// The hash of its token.
    pub(crate) holder: Holder,
    /// Whether it is the operator, who may do with leases and refs what he likes.
    pub(crate) is_operator: bool,
}

/// Whether answering takes memory or time: packs are expanded to be checked,
/// manifests and the index read.
pub(crate) fn is_heavy(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::PutPack | Verb::PutIndex | Verb::PutRef | Verb::Locate
    )
}

/// Answers one call; refusals of the store are answers too.
///
/// # Errors
/// The store failed, or nobody should be told more.
pub(crate) fn answer(
    vault: &Vault,
    by: &Asker,
    call: &Call,
    bytes: &[u8],
) -> Result<Answered, StoreError> {
    let outcome = if is_put(call.verb) {
        put(vault, by, call, bytes).map(|()| (Answer::Done, Vec::new()))
    } else {
        ask(vault, by, call, bytes)
    };
    match outcome {
        Err(StoreError::Missing { what, name }) => {
            let what = what.to_owned();
            Ok((Answer::Missing { what, name }, Vec::new()))
        }
        Err(StoreError::Conflict { newest, .. }) => Ok((Answer::Conflict { newest }, Vec::new())),
        Err(StoreError::Refused { what, name, reason }) => {
            let what = what.to_owned();
            Ok((Answer::Refused { what, name, reason }, Vec::new()))
        }
        other => other,
    }
}

fn is_put(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::PutPack
            | Verb::PutIndex
            | Verb::PutManifest
            | Verb::PutRef
            | Verb::PutSeal
            | Verb::PutLease
    )
}

fn put(vault: &Vault, by: &Asker, call: &Call, bytes: &[u8]) -> Result<(), StoreError> {
    let Vault { store, memory } = vault;
    match call.verb {
        Verb::PutPack => {
            let id = parsed("pack", call)?;
            checks::pack(&**store, &memory.shelf, &id, bytes)
                .map_err(|reason| refused("pack", call, reason))?;
            store.put_pack(&id, bytes)
        }
        Verb::PutIndex => {
            let id = parsed("index segment", call)?;
            checks::segment(&**store, by, bytes)
                .map_err(|reason| refused("index segment", call, reason))?;
            store.put_index(&id, bytes)
        }
        Verb::PutManifest => store.put_manifest(&parsed("manifest", call)?, bytes),
        Verb::PutRef => put_ref(vault, by, call, bytes),
        Verb::PutSeal => store.put_seal(&parsed("seal", call)?, bytes),
        _ => {
            let id = parsed("lease", call)?;
            memory.claims.put_lease(&**store, by, id, bytes)
        }
    }
}

fn put_ref(vault: &Vault, by: &Asker, call: &Call, bytes: &[u8]) -> Result<(), StoreError> {
    let Vault { store, memory } = vault;
    let at = of_ref(call);
    refs::check_new_name(&at.name).map_err(|error| refused("ref", call, error.to_string()))?;
    // The answer was lost: another try would commit the image a second time.
    if matches!(store.read_ref(&at), Ok(there) if there == bytes) {
        return Ok(());
    }
    checks::reference(&**store, &memory.shelf, by, &at, bytes)
        .map_err(|reason| refused("ref", call, reason))?;
    store.put_ref(&at, bytes)?;
    memory.claims.committed(at, by);
    Ok(())
}

/// A ref is taken back by who just committed it, or by the operator.
fn delete_ref(vault: &Vault, by: &Asker, call: &Call) -> Result<(), StoreError> {
    let at = of_ref(call);
    if vault.memory.claims.may_take_back(&at, by) {
        return vault.store.delete_ref(&at);
    }
    let reason = "only the operator, and who committed it since the server started, takes it back";
    Err(refused("ref", call, reason.to_owned()))
}

fn ask(vault: &Vault, by: &Asker, call: &Call, bytes: &[u8]) -> Result<Answered, StoreError> {
    let Vault { store, memory } = vault;
    match call.verb {
        Verb::ListPacks => names(call, store.list_packs()?),
        Verb::ListIndexes => names(call, store.list_indexes()?),
        Verb::ListManifests => names(call, store.list_manifests()?),
        Verb::ListTrash => names(call, store.list_trash()?),
        Verb::ListSeals => names(call, store.list_seals()?),
        Verb::ListLeases => names(call, store.list_leases()?),
        Verb::ListRefs => ref_names(call, store.list_refs()?),
        Verb::ListDeletedRefs => ref_names(call, store.list_deleted_refs()?),
        Verb::ReadPack => found(store.read_pack(&parsed("pack", call)?)?),
        Verb::ReadIndex => found(store.read_index(&parsed("index segment", call)?)?),
        Verb::ReadManifest => found(store.read_manifest(&parsed("manifest", call)?)?),
        Verb::ReadRef => found(store.read_ref(&of_ref(call))?),
        Verb::ReadSeal => found(store.read_seal(&parsed("seal", call)?)?),
        Verb::ReadLease => found(store.read_lease(&parsed("lease", call)?)?),
        Verb::ReadPackPart if call.length > LONGEST_PART => Err(refused(
            "pack",
            call,
            format!("{} bytes of it at once", call.length),
        )),
        Verb::ReadPackPart => {
            found(store.read_pack_part(&parsed("pack", call)?, call.number, call.length)?)
        }
        Verb::PackFacts => {
            let facts = store.pack_facts(&parsed("pack", call)?)?;
            Ok((
                Answer::Facts {
                    length: facts.length,
                    written: facts.written,
                },
                Vec::new(),
            ))
        }
        Verb::TrashLength => {
            let length = store.trash_length(&parsed("file", call)?)?;
            Ok((
                Answer::Facts {
                    length,
                    written: None,
                },
                Vec::new(),
            ))
        }
        Verb::RemoveIndex => was(store.remove_index(&parsed("index segment", call)?)?),
        Verb::Condemn => was(store.condemn(&parsed("file", call)?)?),
        Verb::Restore => was(store.restore(&parsed("file", call)?)?),
        Verb::Destroy => was(store.destroy(&parsed("file", call)?)?),
        Verb::Adopt => {
            let wrong = |_| refused("file", call, "it is no name of this kind".to_owned());
            let ours = call.other.parse().map_err(wrong)?;
            was(store.adopt(&parsed("file", call)?, &ours)?)
        }
        Verb::RemoveSeal => was(store.remove_seal(&parsed("seal", call)?)?),
        Verb::RemoveLease => {
            let id = parsed("lease", call)?;
            was(memory.claims.remove_lease(&**store, by, id)?)
        }
        Verb::Locate => located(vault, call, bytes),
        Verb::DeleteRef => done(delete_ref(vault, by, call)),
        // Who may not was refused before.
        Verb::MayCapture => found(Vec::new()),
        Verb::TidyRefs => done(store.tidy_refs()),
        Verb::Settle => done(store.settle()),
        Verb::PutPack
        | Verb::PutIndex
        | Verb::PutManifest
        | Verb::PutRef
        | Verb::PutSeal
        | Verb::PutLease => done(put(vault, by, call, bytes)),
    }
}

fn found(bytes: Vec<u8>) -> Result<Answered, StoreError> {
    Ok((Answer::Done, bytes))
}

fn was(there: bool) -> Result<Answered, StoreError> {
    Ok((Answer::Was { there }, Vec::new()))
}

fn done(outcome: Result<(), StoreError>) -> Result<Answered, StoreError> {
    outcome.map(|()| (Answer::Done, Vec::new()))
}

fn names<T: ToString>(call: &Call, list: Vec<T>) -> Result<Answered, StoreError> {
    let list: Vec<String> = list.iter().map(T::to_string).collect();
    json(call, &list)
}

fn ref_names(call: &Call, list: Vec<RefName>) -> Result<Answered, StoreError> {
    let list: Vec<(String, u64)> = list.into_iter().map(|at| (at.name, at.sequence)).collect();
    json(call, &list)
}

fn json<T: serde::Serialize>(call: &Call, list: &T) -> Result<Answered, StoreError> {
    let bytes =
        serde_json::to_vec(list).map_err(|error| refused("list", call, error.to_string()))?;
    found(bytes)
}

fn of_ref(call: &Call) -> RefName {
    RefName {
        name: call.subject.clone(),
        sequence: call.number,
    }
}

fn parsed<T: std::str::FromStr>(what: &'static str, call: &Call) -> Result<T, StoreError> {
    let wrong = |_| refused(what, call, "it is no name of this kind".to_owned());
    call.subject.parse().map_err(wrong)
}

fn refused(what: &'static str, call: &Call, reason: String) -> StoreError {
    let name = call.subject.chars().take(200).collect();
    StoreError::Refused { what, name, reason }
}

fn located(vault: &Vault, call: &Call, bytes: &[u8]) -> Result<Answered, StoreError> {
    let (ids, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || ids.len() > located::MOST {
        let reason = format!(
            "{} bytes are no list of at most {} chunks",
            bytes.len(),
            located::MOST
        );
        return Err(refused("list", call, reason));
    }
    let Vault { store, memory } = vault;
    found(located::segment(&**store, &memory.shelf, ids)?)
}

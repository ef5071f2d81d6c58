//! A share as a store for image builders elsewhere: every question answered,
//! and nothing taken in that is not what it is called.
//!
//! A folder trusts whoever writes into it. Here anybody with a token writes, so
//! a pack's every chunk is compared with its id before others can be given it,
//! an index segment says only what stands in the packs, and a ref is kept only
//! when all of its image is there.

use api::messages::store::{Answer, Call, Verb};
use image_format::index::Index;
use image_format::store::{RefName, Store, StoreError};
use image_format::{ChunkReader, PackId, Segment, Share, fetch_list, pack, refs};

use crate::error::chain;

/// An answer and the bytes that go with it.
pub(crate) type Answered = (Answer, Vec<u8>);

/// Bytes of a part of a pack in one answer: a block, or a pack's tables.
const LONGEST_PART: u32 = 64 << 20;
/// Chunks asked for at once.
const MOST_LOCATED: usize = 1 << 20;

/// Answers one call; refusals of the store are answers too.
///
/// # Errors
/// The store failed, or nobody should be told more.
pub(crate) fn answer(store: &dyn Store, call: &Call, bytes: &[u8]) -> Result<Answered, StoreError> {
    let outcome = if is_put(call.verb) {
        put(store, call, bytes).map(|()| (Answer::Done, Vec::new()))
    } else {
        ask(store, call, bytes)
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

fn put(store: &dyn Store, call: &Call, bytes: &[u8]) -> Result<(), StoreError> {
    match call.verb {
        Verb::PutPack => {
            let id = parsed("pack", call)?;
            check_pack(store, &id, bytes).map_err(|reason| refused("pack", call, reason))?;
            store.put_pack(&id, bytes)
        }
        Verb::PutIndex => {
            check_segment(store, bytes).map_err(|reason| refused("index segment", call, reason))?;
            store.put_index(&parsed("index segment", call)?, bytes)
        }
        Verb::PutManifest => store.put_manifest(&parsed("manifest", call)?, bytes),
        Verb::PutRef => {
            check_ref(store, &of_ref(call), bytes)
                .map_err(|reason| refused("ref", call, reason))?;
            store.put_ref(&of_ref(call), bytes)
        }
        Verb::PutSeal => store.put_seal(&parsed("seal", call)?, bytes),
        _ => store.put_lease(&parsed("lease", call)?, bytes),
    }
}

fn ask(store: &dyn Store, call: &Call, bytes: &[u8]) -> Result<Answered, StoreError> {
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
        Verb::RemoveLease => was(store.remove_lease(&parsed("lease", call)?)?),
        Verb::Locate => located(store, call, bytes),
        Verb::DeleteRef => done(store.delete_ref(&of_ref(call))),
        Verb::TidyRefs => done(store.tidy_refs()),
        Verb::Settle => done(store.settle()),
        Verb::PutPack
        | Verb::PutIndex
        | Verb::PutManifest
        | Verb::PutRef
        | Verb::PutSeal
        | Verb::PutLease => done(put(store, call, bytes)),
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

/// Every chunk of the pack is what its id says.
fn check_pack(store: &dyn Store, id: &PackId, bytes: &[u8]) -> Result<(), String> {
    let jobs = pack::decode(id, bytes).map_err(|error| chain(&error))?;
    let needs_index = jobs.iter().any(|job| !job.bases.is_empty());
    let index = if needs_index {
        Index::load(store)
    } else {
        Ok(Index::default())
    };
    let index = index.map_err(|error| chain(&error))?;
    let reader = ChunkReader::default();
    for job in &jobs {
        let range = usize::try_from(job.place.offset).ok().and_then(|start| {
            let end = start.checked_add(usize::try_from(job.place.stored).ok()?)?;
            bytes.get(start..end)
        });
        let stored = range.ok_or_else(|| format!("{} lies outside of it", job.place))?;
        let open = reader
            .open(&index, store, &job.place, stored)
            .map_err(|error| chain(&error))?;
        for chunk in &job.chunks {
            open.chunk(chunk).map_err(|error| chain(&error))?;
        }
    }
    Ok(())
}

/// The segment says of its packs only what their own tables say.
fn check_segment(store: &dyn Store, bytes: &[u8]) -> Result<(), String> {
    let segment = Segment::decode(bytes.to_vec()).map_err(|error| chain(&error))?;
    let mut tables: Option<(PackId, Vec<image_format::BlockJob>)> = None;
    for job in segment.jobs() {
        let pack = job.place.pack;
        if tables.as_ref().is_none_or(|(known, _)| *known != pack) {
            tables = Some((pack, pack_tables(store, &pack)?));
        }
        let blocks = tables.as_ref().map_or(&[][..], |(_, blocks)| blocks);
        let block = blocks.iter().find(|block| block.place == job.place);
        let agrees = block.is_some_and(|block| {
            block.bases == job.bases && job.chunks.iter().all(|chunk| block.chunks.contains(chunk))
        });
        if !agrees {
            return Err(format!(
                "{} is not in its pack as the segment says",
                job.place
            ));
        }
    }
    Ok(())
}

fn pack_tables(store: &dyn Store, pack: &PackId) -> Result<Vec<image_format::BlockJob>, String> {
    let words = |error: StoreError| chain(&error);
    let length = store.pack_facts(pack).map_err(words)?.length;
    let read = |from_end: u64| {
        let wanted = from_end.min(length);
        let part = u32::try_from(wanted).map_err(|_| "its tables are too long".to_owned())?;
        store
            .read_pack_part(pack, length - wanted, part)
            .map_err(words)
    };
    let trailer = read(pack::TRAILER_LENGTH as u64)?;
    let tail = pack::tail_length(length, &trailer).map_err(|error| chain(&error))?;
    pack::reindex(pack, length, &read(tail)?).map_err(|error| chain(&error))
}

/// The ref is this one's, and all of its image is there.
fn check_ref(store: &dyn Store, at: &RefName, bytes: &[u8]) -> Result<(), String> {
    let record = refs::decode(bytes, at.sequence, None)
        .map_err(|error| chain(&error))?
        .record;
    if (&record.name, record.sequence) != (&at.name, at.sequence) {
        return Err(format!(
            "it says it is {} ({})",
            record.name, record.sequence
        ));
    }
    let share = Share::open(store).map_err(|error| chain(&error))?;
    let chunks = share.image_chunks(&record).map_err(|error| chain(&error))?;
    for chunk in chunks {
        match share.index().find(&chunk.id) {
            Some((_, there)) if there.length == chunk.length => {}
            Some(_) => return Err(format!("chunk {} has another length", chunk.id)),
            None => return Err(format!("chunk {} is not there", chunk.id)),
        }
    }
    Ok(())
}

fn located(store: &dyn Store, call: &Call, bytes: &[u8]) -> Result<Answered, StoreError> {
    let (ids, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || ids.len() > MOST_LOCATED {
        return Err(refused(
            "list",
            call,
            format!("{} bytes are no list of chunks", bytes.len()),
        ));
    }
    let failed = |reason: String| refused("index segment", call, reason);
    let index = Index::load_to_write(store).map_err(|error| failed(chain(&error)))?;
    let ids = ids.iter().map(|id| image_format::ChunkId::new(*id));
    let known = ids.filter(|id| index.find(id).is_some());
    let jobs = fetch_list(&index, known).map_err(|error| failed(chain(&error)))?;
    let segment = Segment::encode(&jobs).map_err(|error| failed(chain(&error)))?;
    found(segment)
}

//! Nothing is kept that is not what it is called.

use api::messages::store::{Answer, Call, Verb, frame};
use axum::http::StatusCode;
use image_format::block::{SealOptions, seal};
use image_format::pack::PackBuilder;
use image_format::store::{Object, RefName, Run, Store, Trashed};
use image_format::{BlockJob, ChunkId, ChunkInBlock, ImageId, PackId, Profile, Segment, SegmentId};

use super::builder::{Builder, Made, call, listing, ref_call, token};
use super::world::{World, capture};

/// A pack of one block with one chunk that says it is `id`.
fn pack_of(bytes: &[u8], id: ChunkId) -> (PackId, Vec<u8>, Vec<BlockJob>) {
    let options = SealOptions {
        chunks: 1,
        profile: Profile::Fast,
        filter: image_format::block::FilterChoice::None,
        bases: &[],
        verify: false,
    };
    let block = seal(bytes, &options).unwrap();
    let mut pack = PackBuilder::new();
    let length = u32::try_from(bytes.len()).unwrap();
    pack.push(&block, &[(id, length)]).unwrap();
    let pack = pack.finish().unwrap();
    (pack.id, pack.bytes, pack.jobs)
}

#[tokio::test]
async fn a_pack_is_kept_when_every_chunk_is_what_its_id_says() {
    let world = World::new();
    let server = world.server().await;
    let builder = Builder::writer(&world, &server, "anna").await;
    let before = listing(&world).0;
    let (id, bytes, _) = pack_of(b"some bytes", ChunkId::of(b"other bytes"));
    let reason = builder.refused(&call(Verb::PutPack, id), &bytes).await;
    assert!(
        reason.contains("has other bytes than its id says"),
        "{reason}"
    );
    let (id, bytes, _) = pack_of(b"some bytes", ChunkId::of(b"some bytes"));
    for bit in [0, 70 * 8, bytes.len() * 8 - 1] {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let reason = builder.refused(&call(Verb::PutPack, id), &flipped).await;
        assert!(reason.contains("its bytes hash to"), "{reason}");
        let own = PackId::of(&flipped);
        builder.refused(&call(Verb::PutPack, own), &flipped).await;
    }
    for odd in ["", "x", "../../etc/passwd"] {
        let reason = builder.refused(&call(Verb::PutPack, odd), &bytes).await;
        assert!(reason.contains("no name of this kind"), "{reason}");
    }
    assert_eq!(listing(&world).0, before, "nothing was kept");
    assert_eq!(builder.put(Verb::PutPack, id, &bytes).await, Answer::Done);
    assert_eq!(builder.put(Verb::PutPack, id, &bytes).await, Answer::Done);
    assert_eq!(listing(&world).1.read_pack(&id).unwrap(), bytes);
}

#[tokio::test]
async fn a_segment_says_what_its_packs_say_or_is_refused() {
    let world = World::new();
    let server = world.server().await;
    let builder = Builder::writer(&world, &server, "anna").await;
    let (id, bytes, jobs) = pack_of(b"some bytes", ChunkId::of(b"some bytes"));
    let put = |bytes: Vec<u8>| {
        let builder = &builder;
        async move {
            let call = call(Verb::PutIndex, SegmentId::of(&bytes));
            builder.ask(&call, &bytes).await.unwrap().0
        }
    };
    let honest = Segment::encode(&jobs).unwrap();
    let before = listing(&world).0;
    let Answer::Refused { reason, .. } = put(honest.clone()).await else {
        panic!("its pack is not there");
    };
    assert!(reason.contains("is not in the store"), "{reason}");
    builder.put(Verb::PutPack, id, &bytes).await;
    let other_chunk = |change: &dyn Fn(&mut ChunkInBlock)| {
        let mut jobs = jobs.clone();
        change(&mut jobs[0].chunks[0]);
        jobs
    };
    let mut elsewhere = jobs.clone();
    elsewhere[0].place.offset += 1;
    let mut with_base = jobs.clone();
    with_base[0].bases.push(image_format::ChunkRef {
        id: ChunkId::of(b"base"),
        length: 4,
    });
    let lies = [
        other_chunk(&|chunk| chunk.id = ChunkId::of(b"debian's kernel")),
        other_chunk(&|chunk| chunk.length -= 1),
        other_chunk(&|chunk| chunk.offset += 1),
        elsewhere,
        with_base,
    ];
    for (number, lie) in lies.iter().enumerate() {
        // Some are so impossible that they cannot even be written.
        let Ok(bytes) = Segment::encode(lie) else {
            continue;
        };
        let answer = put(bytes).await;
        let Answer::Refused { reason, .. } = answer else {
            panic!("lie {number}: {answer:?}");
        };
        assert!(reason.contains("as the segment says"), "{number}: {reason}");
    }
    let newer = Segment::encode_generation(&jobs, 1).unwrap();
    assert!(matches!(put(newer).await, Answer::Refused { .. }));
    let mut damaged = honest.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(matches!(put(damaged).await, Answer::Refused { .. }));
    let wrong = call(Verb::PutIndex, SegmentId::of(b"another"));
    builder.refused(&wrong, &honest).await;
    let (after, store) = listing(&world);
    assert_eq!(after.len(), before.len() + 1, "the pack alone was kept");
    for _ in 0..2 {
        assert_eq!(put(honest.clone()).await, Answer::Done);
    }
    assert!(store.read_index(&SegmentId::of(&honest)).is_ok());
}

#[tokio::test]
async fn a_ref_is_kept_when_all_of_its_image_is_there() {
    let world = World::new();
    let server = world.server().await;
    let builder = Builder::writer(&world, &server, "anna").await;
    let made = Made::new("x", 3);
    let bytes = made.ref_bytes();
    let put_ref = ref_call(Verb::PutRef, &made.at);
    let before = listing(&world).1.list_refs().unwrap();
    let reason = builder.refused(&put_ref, &bytes).await;
    assert!(reason.contains("manifest"), "{reason}");
    let manifest = made.store.read_manifest(&made.record.image).unwrap();
    let wrong = call(Verb::PutManifest, ImageId::of(b"another"));
    let reason = builder.refused(&wrong, &manifest).await;
    assert!(reason.contains("hash to"), "{reason}");
    let id = made.record.image;
    for _ in 0..2 {
        let put = builder.put(Verb::PutManifest, id, &manifest).await;
        assert_eq!(put, Answer::Done);
    }
    let reason = builder.refused(&put_ref, &bytes).await;
    assert!(reason.contains("is in no block"), "{reason}");
    builder.send(&made).await;
    let another = |name: &str, sequence| RefName {
        name: name.to_owned(),
        sequence,
    };
    for at in [another("y", 1), another("x", 2)] {
        let reason = builder.refused(&ref_call(Verb::PutRef, &at), &bytes).await;
        assert!(
            reason.contains("it says it is x (1)") || reason.contains("older"),
            "{reason}"
        );
    }
    let cut = &bytes[..bytes.len() / 2];
    builder.refused(&put_ref, cut).await;
    assert_eq!(listing(&world).1.list_refs().unwrap(), before);
    assert_eq!(builder.put_ref(&made.at, &bytes).await, Answer::Done);
    assert_eq!(
        builder.put_ref(&made.at, &bytes).await,
        Answer::Done,
        "its answer was lost"
    );
    let mut other = made.record.clone();
    other.captured += 1;
    let other = image_format::refs::encode(&other, None).unwrap();
    let newest = Answer::Conflict { newest: 1 };
    assert_eq!(builder.put_ref(&made.at, &other).await, newest);
    assert_eq!(
        listing(&world).1.list_refs().unwrap().len(),
        before.len() + 1
    );
}

#[tokio::test]
async fn a_ref_whose_image_misses_one_chunk_is_refused() {
    let world = World::new();
    let server = world.server().await;
    let builder = Builder::writer(&world, &server, "anna").await;
    let made = Made::new("x", 3);
    builder.send(&made).await;
    // The pack with contents is lost: manifest and leaves are still there.
    let (_, store) = listing(&world);
    let share = image_format::Share::open(&made.store).unwrap();
    let manifest = share.manifest(&made.record.image).unwrap();
    let content = share.jobs(&manifest).unwrap();
    for segment in made.store.list_indexes().unwrap() {
        store.remove_index(&segment).unwrap();
    }
    let all = made
        .store
        .read_index(&made.store.list_indexes().unwrap()[0]);
    let jobs = Segment::decode(all.unwrap()).unwrap().jobs();
    let blocks: Vec<_> = content.iter().map(|job| job.place).collect();
    let rest: Vec<BlockJob> = jobs
        .into_iter()
        .filter(|job| !blocks.contains(&job.place))
        .collect();
    let rest = Segment::encode(&rest).unwrap();
    builder
        .put(Verb::PutIndex, SegmentId::of(&rest), &rest)
        .await;
    let put = ref_call(Verb::PutRef, &made.at);
    let reason = builder.refused(&put, &made.ref_bytes()).await;
    assert!(reason.contains("is not there"), "{reason}");
}

#[tokio::test]
async fn a_body_that_is_no_question_is_refused() {
    let world = World::new();
    let server = world.server().await;
    let builder = Builder::writer(&world, &server, "anna").await;
    let good = frame(&call(Verb::ListRefs, ""), b"").unwrap();
    let mut bodies: Vec<Vec<u8>> = (0..good.len()).map(|end| good[..end].to_vec()).collect();
    let mut over_long = u32::MAX.to_le_bytes().to_vec();
    over_long.extend([b' '; 100]);
    bodies.push(over_long);
    let mut long_head = (70_u32 << 10).to_le_bytes().to_vec();
    long_head.extend(vec![b' '; 80 << 10]);
    bodies.push(long_head);
    bodies.push(frame(&serde_json::json!({ "verb": "format-disk" }), b"").unwrap());
    bodies.push(frame(&serde_json::json!("list-refs"), b"").unwrap());
    for body in bodies {
        let length = body.len();
        let (status, error) = builder.body(body).await.unwrap_err();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{length}: {error:?}");
    }
    let reads = Builder {
        server: &server,
        share: "main",
        token: Some(token(&world, &server, "reads", "main", None).await),
    };
    let (status, _) = reads.body(vec![0; 5 << 20]).await.unwrap_err();
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let nobody = Builder {
        token: None,
        ..reads
    };
    let (status, _) = nobody.body(vec![0; 5 << 20]).await.unwrap_err();
    assert_eq!(status, StatusCode::UNAUTHORIZED, "before a byte is read");
}

#[tokio::test]
async fn a_part_longer_than_any_block_is_refused_and_one_past_the_end_too() {
    let world = World::new();
    let server = world.server().await;
    let builder = Builder::writer(&world, &server, "anna").await;
    let (_, store) = listing(&world);
    let id = store.list_packs().unwrap()[0];
    let part = |number, length| Call {
        number,
        length,
        ..call(Verb::ReadPackPart, id)
    };
    let (_, bytes) = builder.ask(&part(8, 24), b"").await.unwrap();
    assert_eq!(bytes, store.read_pack(&id).unwrap()[8..32]);
    builder.refused(&part(0, u32::MAX), b"").await;
    for (number, length) in [(u64::MAX, 1), (0, 60 << 20)] {
        assert!(builder.ask(&part(number, length), b"").await.is_err());
    }
}

#[tokio::test]
async fn located_chunks_are_those_that_are_there_now() {
    let world = World::new();
    let server = world.server().await;
    let builder = Builder::writer(&world, &server, "anna").await;
    let (_, store) = listing(&world);
    let of = |image: &image_format::ImageRecord| {
        let share = image_format::Share::open(&store).unwrap();
        let chunks = share.image_chunks(image).unwrap();
        chunks.iter().map(|chunk| chunk.id).collect::<Vec<_>>()
    };
    let asked = |ids: Vec<ChunkId>| {
        let builder = &builder;
        async move {
            let list: Vec<u8> = ids.iter().flat_map(|id| *id.as_bytes()).collect();
            let answer = builder.ask(&call(Verb::Locate, ""), &list).await.unwrap();
            let segment = Segment::decode(answer.1).unwrap();
            let mut found: Vec<ChunkId> = segment
                .jobs()
                .iter()
                .flat_map(|job| job.chunks.iter().map(|chunk| chunk.id))
                .collect();
            found.sort();
            found
        }
    };
    let debian = of(&world.debian);
    let mut more = debian.clone();
    more.push(ChunkId::of(b"nobody has this"));
    assert_eq!(asked(more).await, debian);
    assert!(asked(vec![]).await.is_empty());
    // What others bring and take away is seen at the next question.
    let later = capture(&store, "later", 9);
    let chunks = of(&later);
    assert_eq!(asked(chunks.clone()).await, chunks);
    let run = Run {
        begun: 1,
        number: 2,
    };
    for id in store.list_packs().unwrap() {
        let object = Object::Pack(id);
        store.condemn(&Trashed { run, object }).unwrap();
    }
    assert!(asked(chunks).await.is_empty(), "all is in the trash");
    for odd in [vec![0; 31], vec![0; 33], vec![0; 32 * ((1 << 16) + 1)]] {
        let reason = builder.refused(&call(Verb::Locate, ""), &odd).await;
        assert!(reason.contains("no list"), "{reason}");
    }
}

//! Leases and refs belong to whoever put them.

use api::messages::store::{Answer, Verb};
use image_format::store::{LeaseId, RefName, Store};

use super::builder::{Builder, Made, call, listing, ref_call};
use super::world::World;

#[tokio::test]
async fn a_lease_is_ended_and_rewritten_by_its_holder_and_the_operator_only() {
    let world = World::new();
    let server = world.server().await;
    let anna = Builder::writer(&world, &server, "anna").await;
    let eve = Builder::writer(&world, &server, "eve").await;
    let id = LeaseId::new();
    assert_eq!(anna.put(Verb::PutLease, id, b"1").await, Answer::Done);
    assert_eq!(anna.put(Verb::PutLease, id, b"2").await, Answer::Done);
    for verb in [Verb::PutLease, Verb::RemoveLease] {
        eve.refused(&call(verb, id), b"3").await;
    }
    let (_, store) = listing(&world);
    assert_eq!(store.read_lease(&id).unwrap(), b"2");
    let was = |there| Answer::Was { there };
    assert_eq!(anna.put(Verb::RemoveLease, id, b"").await, was(true));
    assert!(store.list_leases().unwrap().is_empty());
    assert_eq!(eve.put(Verb::PutLease, id, b"4").await, Answer::Done);
    let operator = Builder::operator(&world, &server);
    assert_eq!(operator.put(Verb::RemoveLease, id, b"").await, was(true));
}

#[tokio::test]
async fn after_a_restart_a_lease_belongs_to_whoever_renews_it() {
    let world = World::new();
    let before = world.server().await;
    let anna = Builder::writer(&world, &before, "anna").await;
    let eve = Builder::writer(&world, &before, "eve").await;
    let id = LeaseId::new();
    anna.put(Verb::PutLease, id, b"1").await;
    let after = world.server().await;
    let [anna, eve] = [anna, eve].map(|builder| Builder {
        server: &after,
        share: builder.share,
        token: builder.token,
    });
    let reason = eve.refused(&call(Verb::RemoveLease, id), b"").await;
    assert!(reason.contains("since the server started"), "{reason}");
    assert_eq!(anna.put(Verb::PutLease, id, b"2").await, Answer::Done);
    eve.refused(&call(Verb::PutLease, id), b"3").await;
    let removed = anna.put(Verb::RemoveLease, id, b"").await;
    assert_eq!(removed, Answer::Was { there: true });
}

#[tokio::test]
async fn one_token_holds_so_many_leases_and_short_ones_only() {
    let world = World::new();
    let server = world.server().await;
    let anna = Builder::writer(&world, &server, "anna").await;
    let long = vec![b' '; 5000];
    anna.refused(&call(Verb::PutLease, LeaseId::new()), &long)
        .await;
    let ids: Vec<LeaseId> = (0..64).map(|_| LeaseId::new()).collect();
    for id in &ids {
        assert_eq!(anna.put(Verb::PutLease, id, b"1").await, Answer::Done);
    }
    let one_more = call(Verb::PutLease, LeaseId::new());
    let reason = anna.refused(&one_more, b"1").await;
    assert!(reason.contains("64"), "{reason}");
    assert_eq!(anna.put(Verb::PutLease, ids[0], b"2").await, Answer::Done);
    // A collection found one dead.
    let (_, store) = listing(&world);
    store.remove_lease(&ids[1]).unwrap();
    assert_eq!(anna.ask(&one_more, b"1").await.unwrap().0, Answer::Done);
}

#[tokio::test]
async fn a_ref_is_taken_back_by_who_committed_it_or_the_operator() {
    let world = World::new();
    let server = world.server().await;
    let anna = Builder::writer(&world, &server, "anna").await;
    let eve = Builder::writer(&world, &server, "eve").await;
    let made = Made::new("x", 3);
    anna.send(&made).await;
    assert_eq!(
        anna.put_ref(&made.at, &made.ref_bytes()).await,
        Answer::Done
    );
    let debian = RefName {
        name: "debian".to_owned(),
        sequence: 1,
    };
    for at in [&made.at, &debian] {
        let reason = eve.refused(&ref_call(Verb::DeleteRef, at), b"").await;
        assert!(reason.contains("operator"), "{reason}");
    }
    anna.refused(&ref_call(Verb::DeleteRef, &debian), b"").await;
    let (_, store) = listing(&world);
    assert_eq!(store.list_refs().unwrap().len(), 3);
    let own = ref_call(Verb::DeleteRef, &made.at);
    assert_eq!(anna.ask(&own, b"").await.unwrap().0, Answer::Done);
    let operator = Builder::operator(&world, &server);
    let other = ref_call(Verb::DeleteRef, &debian);
    assert_eq!(operator.ask(&other, b"").await.unwrap().0, Answer::Done);
    assert_eq!(store.list_refs().unwrap().len(), 1);
}

#[tokio::test]
async fn a_version_that_nobody_could_follow_is_refused() {
    let world = World::new();
    let server = world.server().await;
    let anna = Builder::writer(&world, &server, "anna").await;
    let made = Made::new("x", 3);
    anna.send(&made).await;
    let mut record = made.record.clone();
    for (sequence, fits) in [(u64::MAX, false), (1_000_002, false), (1_000_000, true)] {
        record.sequence = sequence;
        let at = RefName {
            name: "x".to_owned(),
            sequence,
        };
        let bytes = image_format::refs::encode(&record, None).unwrap();
        let answer = anna.put_ref(&at, &bytes).await;
        assert_eq!(answer == Answer::Done, fits, "{sequence}: {answer:?}");
    }
}

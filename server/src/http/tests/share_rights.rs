//! Who may ask a share what.

use api::messages::store::{Needs, Verb};
use api::routes;
use axum::http::{Method, StatusCode};
use image_format::DirStore;
use image_format::store::RefName;

use super::builder::{Builder, call, ref_call, token};
use super::world::World;

/// Every verb, with who may ask it: written down a second time on purpose.
const VERBS: [(Verb, Needs); 35] = [
    (Verb::ListPacks, Needs::Reading),
    (Verb::ReadPack, Needs::Reading),
    (Verb::PackFacts, Needs::Reading),
    (Verb::ReadPackPart, Needs::Reading),
    (Verb::ListIndexes, Needs::Reading),
    (Verb::ReadIndex, Needs::Reading),
    (Verb::ListManifests, Needs::Reading),
    (Verb::ReadManifest, Needs::Reading),
    (Verb::ListRefs, Needs::Reading),
    (Verb::ReadRef, Needs::Reading),
    (Verb::ListDeletedRefs, Needs::Reading),
    (Verb::ListTrash, Needs::Reading),
    (Verb::TrashLength, Needs::Reading),
    (Verb::Locate, Needs::Reading),
    (Verb::PutPack, Needs::Writing),
    (Verb::PutIndex, Needs::Writing),
    (Verb::PutManifest, Needs::Writing),
    (Verb::PutLease, Needs::Writing),
    (Verb::RemoveLease, Needs::Writing),
    (Verb::Restore, Needs::Writing),
    (Verb::PutRef, Needs::Naming),
    (Verb::DeleteRef, Needs::Naming),
    (Verb::MayCapture, Needs::Naming),
    (Verb::RemoveIndex, Needs::Keeping),
    (Verb::TidyRefs, Needs::Writing),
    (Verb::Condemn, Needs::Keeping),
    (Verb::Destroy, Needs::Keeping),
    (Verb::Adopt, Needs::Keeping),
    (Verb::Settle, Needs::Keeping),
    (Verb::PutSeal, Needs::Keeping),
    (Verb::ListSeals, Needs::Keeping),
    (Verb::ReadSeal, Needs::Keeping),
    (Verb::RemoveSeal, Needs::Keeping),
    (Verb::ListLeases, Needs::Keeping),
    (Verb::ReadLease, Needs::Keeping),
];

/// What a builder is told for each verb, asked with a subject that is nothing.
async fn statuses(builder: &Builder<'_>) -> Vec<(Verb, StatusCode)> {
    let mut all = Vec::new();
    for (verb, _) in VERBS {
        let asked = builder.ask(&call(verb, "lab-1"), b"").await;
        let status = asked.map_or_else(|(status, _)| status, |_| StatusCode::OK);
        all.push((verb, status));
    }
    all
}

fn expected(may: impl Fn(Needs) -> bool) -> Vec<(Verb, StatusCode)> {
    let status = |needs| match may(needs) {
        true => StatusCode::OK,
        false => StatusCode::FORBIDDEN,
    };
    let rows = VERBS.iter().map(|(verb, needs)| (*verb, status(*needs)));
    rows.collect()
}

#[tokio::test]
async fn a_share_token_opens_what_it_says_and_nothing_else() {
    let world = World::new();
    let server = world.server().await;
    DirStore::init(&world.folder.path().join("lab")).unwrap();
    let at = |share, token| Builder {
        server: &server,
        share,
        token,
    };
    let reads = token(&world, &server, "reads", "main", None).await;
    let writes = token(&world, &server, "writes", "main", Some("lab-*")).await;
    let others = token(&world, &server, "others", "main", Some("office-*")).await;
    let reading = |needs| needs == Needs::Reading;
    assert_eq!(
        statuses(&at("main", Some(reads.clone()))).await,
        expected(reading)
    );
    assert_eq!(
        statuses(&at("main", Some(writes.clone()))).await,
        expected(|needs| needs != Needs::Keeping)
    );
    assert_eq!(
        statuses(&at("main", Some(others.clone()))).await,
        expected(|needs| needs == Needs::Writing || reading(needs)),
        "under another name than its own"
    );
    assert_eq!(
        statuses(&Builder::operator(&world, &server)).await,
        expected(|_| true)
    );
    let strangers = [None, Some(String::new()), Some("0".repeat(64))];
    let elsewhere = [Some(reads), Some(writes.clone())];
    let locked = strangers
        .into_iter()
        .map(|token| at("main", token))
        .chain(elsewhere.into_iter().map(|token| at("lab", token)));
    for builder in locked {
        let told = statuses(&builder).await;
        let all = told
            .iter()
            .all(|(_, status)| *status == StatusCode::UNAUTHORIZED);
        assert!(all, "{} {told:?}", builder.share);
    }
    let nowhere = at("nowhere", Some(world.operator.clone()));
    let (status, _) = nowhere
        .ask(&call(Verb::ListRefs, ""), b"")
        .await
        .unwrap_err();
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_token_that_was_taken_away_opens_nothing() {
    let world = World::new();
    let server = world.server().await;
    let builder = Builder::writer(&world, &server, "anna").await;
    builder.ask(&call(Verb::ListRefs, ""), b"").await.unwrap();
    let path = routes::fill(routes::SHARE_TOKEN, &[&"anna"]);
    let operator = Some(world.operator.as_str());
    let (status, _) = server.raw(Method::DELETE, &path, operator, vec![]).await;
    assert_eq!(status, StatusCode::OK);
    let told = statuses(&builder).await;
    assert!(
        told.iter()
            .all(|(_, status)| *status == StatusCode::UNAUTHORIZED)
    );
}

#[tokio::test]
async fn a_name_outside_of_the_pattern_is_refused_and_one_inside_is_not() {
    let world = World::new();
    let server = world.server().await;
    let token = token(&world, &server, "lab", "main", Some("lab-*")).await;
    let builder = Builder {
        server: &server,
        share: "main",
        token: Some(token),
    };
    for (name, status) in [
        ("office", StatusCode::FORBIDDEN),
        ("debian", StatusCode::FORBIDDEN),
        ("", StatusCode::FORBIDDEN),
        ("lab-7", StatusCode::OK),
    ] {
        let at = RefName {
            name: name.to_owned(),
            sequence: 1,
        };
        for verb in [Verb::PutRef, Verb::DeleteRef] {
            let asked = builder.ask(&ref_call(verb, &at), b"").await;
            let told = asked.map_or_else(|(status, _)| status, |_| StatusCode::OK);
            assert_eq!(told, status, "{verb:?} {name:?}");
        }
    }
}

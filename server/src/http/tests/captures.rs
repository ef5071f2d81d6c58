//! Captures of machines' disks: ordered, allowed exactly what they need, and
//! believed only for what stands in the share.

use api::messages::machine::Standing;
use api::messages::operator::{Approval, Machine, NewMachine, RunList};
use api::messages::run::{Assignment, CaptureWish, Work};
use api::messages::store::{Answer, Call, Verb, frame, unframe};
use api::routes;
use axum::http::{Method, StatusCode};
use image_format::{DirStore, ImageRecord, Profile, Share, Store};
use inventory::Identity;
use serde_json::Value;
use task_sequences::EventKind;

use super::caller::Caller;
use super::world::{Answered, Server, World, capture, code_of, facts, finished, started};
use crate::service::roster::Recognised;

fn wish(name: &str) -> CaptureWish {
    CaptureWish {
        name: name.to_owned(),
        profile: Profile::Fast,
        paranoid: false,
    }
}

async fn order(server: &Server, world: &World, capture: Option<CaptureWish>) -> Answered<Machine> {
    let order = NewMachine {
        name: None,
        identity: Identity::of(&facts(1)),
        image: None,
        capture,
        disk: None,
        replace: false,
        unattended: true,
    };
    server
        .post(routes::MACHINES, Some(&world.operator), &order)
        .await
}

/// A run that captures the machine's disk as `office`.
async fn running(world: &World, server: &Server) -> (String, Assignment) {
    order(server, world, Some(wish("office"))).await.unwrap();
    let caller = Caller::hello(server, facts(1)).await;
    caller.assigned(server).await
}

/// Asks a share; the code of the refusal when it is one.
async fn ask(
    server: &Server,
    token: &str,
    share: &str,
    call: &Call,
    bytes: &[u8],
) -> Result<Answer, String> {
    let path = routes::fill(routes::SHARE, &[&share]);
    let body = frame(call, bytes).unwrap();
    let (status, body) = server.raw(Method::POST, &path, Some(token), body).await;
    if status == StatusCode::OK {
        return Ok(unframe::<Answer>(&body).unwrap().0);
    }
    let refusal: api::ErrorBody = serde_json::from_slice(&body).unwrap();
    Err(refusal.code)
}

fn about(verb: Verb, subject: &dyn std::fmt::Display) -> Call {
    Call {
        verb,
        subject: subject.to_string(),
        other: String::new(),
        number: 0,
        length: 0,
    }
}

fn store(world: &World) -> DirStore {
    DirStore::open(&world.folder.path().join("share")).unwrap()
}

fn captured(record: &ImageRecord) -> EventKind {
    EventKind::ImageCaptured {
        image: record.image.to_string(),
        name: record.name.clone(),
        sequence: record.sequence,
    }
}

#[tokio::test]
async fn a_whole_capture_needs_no_name_and_leaves_the_machine_to_its_disk() {
    let world = World::new();
    let server = world.server().await;
    let (token, assignment) = running(&world, &server).await;
    assert_eq!(assignment.name, "office");
    let ordered = assignment.work.capture().unwrap();
    assert_eq!((ordered.parent, ordered.after), (None, 0));
    server
        .tell(&token, 0, vec![started("capture-image")])
        .await
        .unwrap();
    let record = capture(&store(&world), "office", 9);
    let rest = vec![
        captured(&record),
        finished("capture-image"),
        started("restart"),
        finished("restart"),
    ];
    server.tell(&token, 1, rest).await.unwrap();

    let runs: RunList = server
        .get(routes::RUNS, Some(&world.operator))
        .await
        .unwrap();
    let run = &runs.runs[0];
    assert_eq!((run.state.as_str(), run.captures), ("succeeded", true));
    assert_eq!((run.image.as_str(), run.receipt), ("office", false));
    for verb in [Verb::ListRefs, Verb::PutLease] {
        let refused = ask(&server, &token, "main", &about(verb, &""), &[]).await;
        assert_eq!(refused.unwrap_err(), "run-over");
    }
    let again = Caller::hello(&server, facts(1)).await;
    let Standing::Nothing { reason } = again.standing(&server).await.unwrap() else {
        panic!("there is something to do")
    };
    assert!(reason.contains("captured as office"), "{reason}");
    let booted = server.house.recognise(&Identity::of(&facts(1)));
    assert!(matches!(booted, Recognised::Known { disk: true, .. }));

    let kept = server.house.db.machines().await.unwrap();
    assert_eq!(kept[0].capture, None, "the order is used up");
    server.pre_stage(&world, true).await.unwrap();
    let (_, apply) = Caller::hello(&server, facts(1))
        .await
        .assigned(&server)
        .await;
    assert_eq!(apply.work.image(), Some(world.debian.image));
}

#[tokio::test]
async fn a_run_writes_its_own_name_in_the_main_share_and_nothing_else_anywhere() {
    let world = World::new();
    let server = world.server().await;
    order(&server, &world, Some(wish("of*"))).await.unwrap();
    let caller = Caller::hello(&server, facts(1)).await;
    let (token, _) = caller.assigned(&server).await;
    let put = |name: &str| Call {
        number: 1,
        ..about(Verb::PutRef, &name)
    };
    // Its own name is a question of what the ref says; the others are not.
    let own = ask(&server, &token, "main", &put("of*"), b"no ref").await;
    assert!(matches!(own, Ok(Answer::Refused { .. })), "{own:?}");
    for name in ["office", "debian", "of", ""] {
        let refused = ask(&server, &token, "main", &put(name), b"no ref").await;
        assert_eq!(refused.unwrap_err(), "no-right", "{name}");
        let call = Call {
            number: 1,
            ..about(Verb::DeleteRef, &name)
        };
        let refused = ask(&server, &token, "main", &call, &[]).await;
        assert_eq!(refused.unwrap_err(), "no-right", "{name}");
    }
    for verb in [
        Verb::RemoveIndex,
        Verb::Condemn,
        Verb::Destroy,
        Verb::Settle,
    ] {
        let refused = ask(&server, &token, "main", &about(verb, &""), &[]).await;
        assert_eq!(refused.unwrap_err(), "no-right", "{verb:?}");
    }
    for share in ["lab", "none"] {
        let refused = ask(&server, &token, share, &about(Verb::ListRefs, &""), &[]).await;
        assert_eq!(refused.unwrap_err(), "unauthorised", "{share}");
    }
    let manifest = routes::fill(routes::MANIFEST, &[&world.debian.image]);
    let refused = server.get::<Value>(&manifest, Some(&token)).await;
    assert_eq!(code_of(refused), "not-assigned");
}

#[tokio::test]
async fn a_run_that_applies_opens_no_share_at_all() {
    let world = World::new();
    let server = world.server().await;
    server.pre_stage(&world, true).await.unwrap();
    let (token, assignment) = Caller::hello(&server, facts(1))
        .await
        .assigned(&server)
        .await;
    assert!(assignment.work.image().is_some());
    let refused = ask(&server, &token, "main", &about(Verb::ListRefs, &""), &[]).await;
    assert_eq!(refused.unwrap_err(), "unauthorised");
    let claimed = server.tell(&token, 0, vec![captured(&world.debian)]).await;
    assert_eq!(code_of(claimed), "not-captured");
}

#[tokio::test]
async fn a_capture_compares_with_the_list_of_files_before_and_reads_no_contents() {
    let world = World::new();
    let server = world.server().await;
    let store = store(&world);
    let parent = capture(&store, "office", 9);
    let (token, assignment) = running(&world, &server).await;
    let ordered = assignment.work.capture().unwrap();
    assert_eq!((ordered.parent, ordered.after), (Some(parent.image), 1));

    let share = Share::open(&store).unwrap();
    let contents: Vec<_> = [&parent, &world.secret]
        .iter()
        .flat_map(|record| share.jobs(&share.manifest(&record.image).unwrap()).unwrap())
        .collect();
    assert_eq!(contents.len(), 2);
    let all = share.index().segments().iter().flat_map(|s| s.jobs());
    let part = |place: &image_format::BlockPlace| Call {
        number: place.offset,
        length: place.stored,
        ..about(Verb::ReadPackPart, &place.pack)
    };
    let mut read = 0;
    for job in all {
        let answer = ask(&server, &token, "main", &part(&job.place), &[]).await;
        let is_contents = contents.iter().any(|other| other.place == job.place);
        match answer {
            Ok(_) => {
                assert!(!is_contents, "contents were read");
                read += 1;
            }
            Err(code) => assert_eq!(code, "no-right"),
        }
    }
    assert!(read > 0, "the list of files cannot be read");
    let own = about(Verb::ReadManifest, &parent.image);
    assert!(ask(&server, &token, "main", &own, &[]).await.is_ok());
    let other = about(Verb::ReadManifest, &world.secret.image);
    let refused = ask(&server, &token, "main", &other, &[]).await;
    assert_eq!(refused.unwrap_err(), "no-right");
    let whole = about(Verb::ReadPack, &store.list_packs().unwrap()[0]);
    let refused = ask(&server, &token, "main", &whole, &[]).await;
    assert_eq!(refused.unwrap_err(), "no-right");
}

#[tokio::test]
async fn an_image_that_is_not_this_runs_is_not_believed() {
    let world = World::new();
    let server = world.server().await;
    let before = capture(&store(&world), "office", 9);
    let (token, _) = running(&world, &server).await;
    server
        .tell(&token, 0, vec![started("capture-image")])
        .await
        .unwrap();
    let missing = ImageRecord {
        sequence: 2,
        ..before.clone()
    };
    for wrong in [&before, &missing, &world.debian] {
        let refused = server.tell(&token, 1, vec![captured(wrong)]).await;
        assert_eq!(code_of(refused), "not-captured", "{wrong:?}");
    }
    let made = capture(&store(&world), "office", 10);
    let other = ImageRecord {
        image: before.image,
        ..made.clone()
    };
    let refused = server.tell(&token, 1, vec![captured(&other)]).await;
    assert_eq!(code_of(refused), "not-captured");
    let receipt = server.tell(&token, 1, vec![EventKind::ReceiptStored]).await;
    assert_eq!(code_of(receipt), "no-receipt");
    server.tell(&token, 1, vec![captured(&made)]).await.unwrap();
}

#[tokio::test]
async fn a_failed_capture_waits_for_a_person_and_what_was_ordered_before_it_never_starts() {
    let world = World::new();
    let server = world.server().await;
    server.pre_stage(&world, true).await.unwrap();
    let (token, assignment) = running(&world, &server).await;
    assert_eq!(assignment.name, "pc-1", "it keeps the name it has");
    let failed = EventKind::StepFailed {
        step: "capture-image".into(),
        reason: "the journal is unclean".into(),
    };
    server
        .tell(&token, 0, vec![started("capture-image"), failed])
        .await
        .unwrap();
    let refused = ask(&server, &token, "main", &about(Verb::ListRefs, &""), &[]).await;
    assert_eq!(refused.unwrap_err(), "run-over");

    let caller = Caller::hello(&server, facts(1)).await;
    let waiting = caller.standing(&server).await.unwrap();
    assert!(matches!(waiting, Standing::Waiting { .. }));
    server.approve(&world, &caller.code(&server)).await.unwrap();
    let (_, again) = caller.assigned(&server).await;
    assert_eq!(again.work.image_name(), "office");
    assert!(again.work.capture().is_some() && again.run != assignment.run);

    order(&server, &world, None).await.unwrap();
    let caller = Caller::hello(&server, facts(1)).await;
    let asked = caller.standing(&server).await.unwrap();
    assert!(matches!(asked, Standing::Ask(_)), "{asked:?}");
}

#[tokio::test]
async fn an_approval_decides_between_a_capture_and_an_apply() {
    let world = World::new();
    let server = world.server().await;
    let approve = async |caller: &Caller, image: Option<&str>, capture: Option<&str>| {
        caller.standing(&server).await.unwrap();
        let approval = Approval {
            code: caller.code(&server),
            name: Some("pc-1".to_owned()),
            image: image.map(str::to_owned),
            capture: capture.map(wish),
        };
        server
            .post::<_, Machine>(routes::APPROVE, Some(&world.operator), &approval)
            .await
    };
    let caller = Caller::hello(&server, facts(1)).await;
    let both = approve(&caller, Some("debian"), Some("office")).await;
    assert_eq!(code_of(both), "malformed");
    for name in ["", " office", "of\nfice"] {
        let refused = approve(&caller, None, Some(name)).await;
        assert_eq!(code_of(refused), "bad-image-name", "{name:?}");
    }
    approve(&caller, None, Some("office")).await.unwrap();
    let (token, first) = caller.assigned(&server).await;
    assert!(matches!(first.work, Work::Capture { .. }));

    // The same order again goes on; another ends the run.
    let caller = Caller::hello(&server, facts(1)).await;
    approve(&caller, None, Some("office")).await.unwrap();
    assert_eq!(caller.assigned(&server).await.1, first);
    let stale = ask(&server, &token, "main", &about(Verb::ListRefs, &""), &[]).await;
    assert_eq!(
        stale.unwrap_err(),
        "unauthorised",
        "the earlier start's token"
    );
    let caller = Caller::hello(&server, facts(1)).await;
    approve(&caller, Some("debian"), None).await.unwrap();
    let (_, second) = caller.assigned(&server).await;
    assert_eq!(second.work.image(), Some(world.debian.image));
    assert!(second.run != first.run);
}

#[tokio::test]
async fn an_order_to_capture_outlives_a_restart_of_the_server() {
    let world = World::new();
    let server = world.server().await;
    order(&server, &world, Some(wish("office"))).await.unwrap();
    drop(server);
    let server = world.server().await;
    let (token, first) = Caller::hello(&server, facts(1))
        .await
        .assigned(&server)
        .await;
    assert_eq!(first.work.capture().unwrap().wish, wish("office"));
    let made = capture(&store(&world), "office", 9);
    drop(server);
    let server = world.server().await;
    let listed = ask(&server, &token, "main", &about(Verb::ListRefs, &""), &[]).await;
    assert!(listed.is_ok(), "{listed:?}");
    // What was in the share when the run began is as it was then.
    let (token, again) = Caller::hello(&server, facts(1))
        .await
        .assigned(&server)
        .await;
    assert_eq!(again, first);
    assert_eq!(made.sequence, 1);
    server.tell(&token, 0, vec![captured(&made)]).await.unwrap();
}

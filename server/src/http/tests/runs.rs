//! What a run tells, and when it is believed.

use api::messages::machine::Standing;
use api::messages::operator::{RunDetail, RunList};
use api::messages::run::{Assignment, EventList};
use api::{Receipt, routes};
use axum::http::StatusCode;
use inventory::OsFacts;
use serde_json::Value;
use task_sequences::EventKind;

use super::caller::Caller;
use super::world::{Answered, Server, World, code_of, facts, finished, started};

async fn running(world: &World, server: &Server) -> (Caller, String, Assignment) {
    server.pre_stage(world, true).await.unwrap();
    let caller = Caller::hello(server, facts(1)).await;
    let (token, assignment) = caller.assigned(server).await;
    (caller, token, assignment)
}

async fn hand_in(server: &Server, token: &str, receipt: &Receipt) -> Answered<Receipt> {
    server.post(routes::RECEIPT, Some(token), receipt).await
}

#[tokio::test]
async fn events_are_stored_once_however_often_they_are_sent() {
    let world = World::new();
    let server = world.server().await;
    let (_, token, assignment) = running(&world, &server).await;
    let note = EventKind::Note {
        step: "apply-image".into(),
        text: "x".into(),
    };
    for _ in 0..2 {
        let next = server
            .tell(&token, 0, vec![started("apply-image"), note.clone()])
            .await
            .unwrap();
        assert_eq!(next.next, 2);
    }
    let more = server
        .tell(&token, 1, vec![note.clone(), note.clone()])
        .await
        .unwrap();
    assert_eq!(more.next, 3);
    let stored: EventList = server.get(routes::EVENTS, Some(&token)).await.unwrap();
    assert_eq!(stored.events.len(), 3);
    let conflict = server.tell(&token, 1, vec![started("restart")]).await;
    assert_eq!(code_of(conflict), "event-conflict");
    assert_eq!(
        code_of(server.tell(&token, 5, vec![note]).await),
        "impossible-event"
    );
    let early = server.tell(&token, 3, vec![finished("restart")]).await;
    assert_eq!(code_of(early), "impossible-event");
    let claimed = server.tell(&token, 3, vec![EventKind::ReceiptStored]).await;
    assert_eq!(code_of(claimed), "no-receipt");
    let detail: RunDetail = server
        .get(
            &routes::fill(routes::RUN, &[&assignment.run]),
            Some(&world.operator),
        )
        .await
        .unwrap();
    assert_eq!(
        (detail.events.len(), detail.summary.state.as_str()),
        (3, "running")
    );
}

#[tokio::test]
async fn a_whole_run_ends_with_a_receipt_that_holds_and_a_token_that_opens_nothing() {
    let world = World::new();
    let server = world.server().await;
    let (caller, token, assignment) = running(&world, &server).await;
    server
        .tell(&token, 0, vec![started("apply-image")])
        .await
        .unwrap();
    let receipt = caller.claim(caller.statement(&server, &assignment).await);
    let confirmed = hand_in(&server, &token, &receipt).await.unwrap();
    confirmed.verify(Some(&server.house.key.public())).unwrap();
    assert_eq!(
        hand_in(&server, &token, &receipt).await.unwrap(),
        confirmed,
        "asked again, same answer"
    );
    let mut kinds = vec![EventKind::ReceiptStored, finished("apply-image")];
    for step in ["boot-entry", "restart"] {
        kinds.extend([started(step), finished(step)]);
    }
    server.tell(&token, 1, kinds).await.unwrap();
    let rebooted = Caller::hello(&server, facts(1)).await;
    assert!(matches!(
        rebooted.standing(&server).await.unwrap(),
        Standing::Nothing { .. }
    ));

    let system = OsFacts {
        name: "Debian 12".into(),
        ..OsFacts::default()
    };
    let reported = EventKind::SystemReported {
        system,
        hostname: "pc-1".into(),
        disk: "D1".into(),
    };
    let last = vec![
        started("report-system"),
        reported,
        finished("report-system"),
    ];
    server.tell(&token, 7, last.clone()).await.unwrap();
    assert_eq!(
        server.tell(&token, 7, last).await.unwrap().next,
        10,
        "a repeat is still answered"
    );
    let note = EventKind::Note {
        step: "restart".into(),
        text: "x".into(),
    };
    assert_eq!(
        code_of(server.tell(&token, 10, vec![note]).await),
        "run-over"
    );
    let manifest = routes::fill(routes::MANIFEST, &[&assignment.work.image().unwrap()]);
    assert_eq!(
        code_of(server.get::<Value>(&manifest, Some(&token)).await),
        "run-over"
    );

    let runs: RunList = server
        .get(routes::RUNS, Some(&world.operator))
        .await
        .unwrap();
    let run = &runs.runs[0];
    assert_eq!((run.state.as_str(), run.receipt), ("succeeded", true));
    assert_eq!(run.system.as_deref(), Some("Debian 12"));
    let path = routes::fill(routes::RUN_RECEIPT, &[&assignment.run]);
    let kept: Receipt = server.get(&path, Some(&world.operator)).await.unwrap();
    assert_eq!(kept, confirmed);
}

#[tokio::test]
async fn a_receipt_with_a_wrong_root_is_refused_and_the_run_fails() {
    let world = World::new();
    let server = world.server().await;
    let (caller, token, assignment) = running(&world, &server).await;
    server
        .tell(&token, 0, vec![started("apply-image")])
        .await
        .unwrap();
    let mut statement = caller.statement(&server, &assignment).await;
    statement.proof.volumes[1].root[0] ^= 1;
    let (status, body) = hand_in(&server, &token, &caller.claim(statement))
        .await
        .unwrap_err();
    assert_eq!(
        (status, body.code.as_str()),
        (StatusCode::CONFLICT, "receipt-disagrees")
    );
    assert!(
        body.message.contains("partition index 1"),
        "{}",
        body.message
    );
    let told = EventKind::StepFailed {
        step: "apply-image".into(),
        reason: "refused".into(),
    };
    server.tell(&token, 1, vec![told]).await.unwrap();
    let honest = caller.claim(caller.statement(&server, &assignment).await);
    assert_eq!(code_of(hand_in(&server, &token, &honest).await), "run-over");
    let path = routes::fill(routes::RUN_RECEIPT, &[&assignment.run]);
    assert_eq!(
        code_of(server.get::<Value>(&path, Some(&world.operator)).await),
        "no-receipt"
    );
    let runs: RunList = server
        .get(routes::RUNS, Some(&world.operator))
        .await
        .unwrap();
    assert!(
        runs.runs[0]
            .state
            .starts_with("failed: the receipt does not agree")
    );
}

#[tokio::test]
async fn a_receipt_that_leaves_out_a_volume_or_lays_over_foreign_files_is_refused() {
    type Change = fn(&mut api::Statement);
    let changes: [Change; 4] = [
        |statement| statement.proof.volumes.truncate(1),
        |statement| statement.proof.volumes[0].partition = 1,
        |statement| statement.proof.overlay[0].path = b"tool".to_vec(),
        |statement| statement.proof.volumes[0].entries += 1,
    ];
    for change in changes {
        let world = World::new();
        let server = world.server().await;
        let (caller, token, assignment) = running(&world, &server).await;
        let mut statement = caller.statement(&server, &assignment).await;
        change(&mut statement);
        let refused = hand_in(&server, &token, &caller.claim(statement)).await;
        assert_eq!(code_of(refused), "receipt-disagrees");
    }
}

#[tokio::test]
async fn a_receipt_of_another_run_machine_image_or_key_is_refused_and_harms_nothing() {
    type Change = fn(&mut api::Statement);
    let world = World::new();
    let server = world.server().await;
    let (caller, token, assignment) = running(&world, &server).await;
    let changes: [Change; 4] = [
        |statement| statement.run = "other".into(),
        |statement| statement.machine = inventory::MachineId::new([0; 16]),
        |statement| statement.name = "other".into(),
        |statement| statement.proof.image = image_format::ImageId::new([0; 32]),
    ];
    for change in changes {
        let mut statement = caller.statement(&server, &assignment).await;
        change(&mut statement);
        let refused = hand_in(&server, &token, &caller.claim(statement)).await;
        assert_eq!(code_of(refused), "foreign-receipt");
    }
    let statement = caller.statement(&server, &assignment).await;
    let (stranger, _) = api::SigningKey::generate().unwrap();
    let foreign = Receipt::claim(statement.clone(), &stranger).unwrap();
    assert_eq!(
        code_of(hand_in(&server, &token, &foreign).await),
        "foreign-receipt"
    );
    let mut changed = caller.claim(statement.clone());
    changed.statement.finished += 1;
    assert_eq!(
        code_of(hand_in(&server, &token, &changed).await),
        "foreign-receipt"
    );
    hand_in(&server, &token, &caller.claim(statement))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_receipt_of_before_a_power_cut_does_not_speak_for_the_disk_written_since() {
    let world = World::new();
    let server = world.server().await;
    let (caller, token, assignment) = running(&world, &server).await;
    hand_in(
        &server,
        &token,
        &caller.claim(caller.statement(&server, &assignment).await),
    )
    .await
    .unwrap();
    let again = Caller::hello(&server, facts(1)).await;
    let (token, assignment) = again.assigned(&server).await;
    let early = server.tell(&token, 0, vec![EventKind::ReceiptStored]).await;
    assert_eq!(code_of(early), "no-receipt");
    hand_in(
        &server,
        &token,
        &again.claim(again.statement(&server, &assignment).await),
    )
    .await
    .unwrap();
    server
        .tell(&token, 0, vec![EventKind::ReceiptStored])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_new_order_stops_the_open_run_and_says_so_in_its_events() {
    let world = World::new();
    let server = world.server().await;
    let (_, token, before) = running(&world, &server).await;
    server.pre_stage(&world, true).await.unwrap();
    let stored: EventList = server.get(routes::EVENTS, Some(&token)).await.unwrap();
    assert!(matches!(stored.events[0].kind, EventKind::Stopped { .. }));
    assert_eq!(
        code_of(server.tell(&token, 1, vec![started("restart")]).await),
        "impossible-event"
    );
    let again = Caller::hello(&server, facts(1)).await;
    assert_ne!(again.assigned(&server).await.1.run, before.run);
}

#[tokio::test]
async fn a_restarted_server_remembers_everything_but_conversations() {
    let world = World::new();
    let server = world.server().await;
    let key = server.house.key.public();
    let (caller, token, assignment) = running(&world, &server).await;
    server
        .tell(&token, 0, vec![started("apply-image")])
        .await
        .unwrap();
    let receipt = caller.claim(caller.statement(&server, &assignment).await);
    let confirmed = hand_in(&server, &token, &receipt).await.unwrap();
    let listed = server.machines(&world).await;
    drop(server);
    let server = world.server().await;
    assert_eq!(server.house.key.public(), key);
    let stored: EventList = server.get(routes::EVENTS, Some(&token)).await.unwrap();
    assert_eq!(stored.events.len(), 1);
    assert_eq!(server.machines(&world).await, listed);
    let path = routes::fill(routes::RUN_RECEIPT, &[&assignment.run]);
    assert_eq!(
        server
            .get::<Receipt>(&path, Some(&world.operator))
            .await
            .unwrap(),
        confirmed
    );
    server
        .tell(&token, 1, vec![EventKind::ReceiptStored])
        .await
        .unwrap();
    assert_eq!(code_of(caller.standing(&server).await), "unknown-session");
}

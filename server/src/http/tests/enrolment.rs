//! Who is let in, and who is not.

use api::messages::machine::{Choice, Reveal, Standing};
use api::messages::run::Work;
use api::routes;
use api::trust::Nonce;
use axum::http::StatusCode;

use super::caller::Caller;
use super::world::{World, code_of, events, facts, started};
use crate::service::now;

#[tokio::test]
async fn a_stranger_waits_and_gets_nothing_until_its_code_is_approved() {
    let world = World::new();
    let server = world.server().await;
    let caller = Caller::hello(&server, facts(1)).await;
    for _ in 0..3 {
        assert!(matches!(
            caller.standing(&server).await.unwrap(),
            Standing::Waiting { .. }
        ));
    }
    assert!(
        server.house.db.machines().await.unwrap().is_empty(),
        "strangers leave no trace"
    );
    let listed = server.machines(&world).await;
    assert_eq!(listed[0].standing, "waiting");
    assert_eq!(
        listed[0].code.as_deref(),
        Some(caller.code(&server).as_str())
    );
    let choice = Choice {
        image: "debian".into(),
        name: "pc-9".into(),
    };
    let early = server
        .post::<_, ()>(&caller.path(routes::CHOICE), None, &choice)
        .await;
    assert_eq!(code_of(early), "not-asked");

    let typed = caller.code(&server).to_lowercase().replace('-', "");
    let approved = server.approve(&world, &typed).await.unwrap();
    assert_eq!(
        (approved.standing.as_str(), approved.code),
        ("approved", None)
    );
    let Standing::Ask(questions) = caller.standing(&server).await.unwrap() else {
        panic!("not asked")
    };
    let names: Vec<_> = questions
        .images
        .iter()
        .map(|image| image.name.as_str())
        .collect();
    assert_eq!(names, ["debian", "secret"]);
    assert_eq!(questions.suggested_name, "pc-sn1");

    for (image, name, code) in [
        ("none", "pc-9", "unknown-image"),
        ("debian", "pc 9", "bad-name"),
        ("debian", "", "bad-name"),
    ] {
        let choice = Choice {
            image: image.into(),
            name: name.into(),
        };
        let refused = server
            .post::<_, ()>(&caller.path(routes::CHOICE), None, &choice)
            .await;
        assert_eq!(code_of(refused), code);
    }
    server
        .post::<_, ()>(&caller.path(routes::CHOICE), None, &choice)
        .await
        .unwrap();
    let (token, assignment) = caller.assigned(&server).await;
    assert_eq!(
        (assignment.name.as_str(), assignment.work.image()),
        ("pc-9", Some(world.debian.image))
    );
    let (again, _) = caller.assigned(&server).await;
    assert_eq!(again, token, "an answer that got lost is repeated");
    assert_eq!(server.machines(&world).await[0].standing, "running");
}

#[tokio::test]
async fn a_wrong_code_approves_nobody_and_a_code_is_good_once() {
    let world = World::new();
    let server = world.server().await;
    let caller = Caller::hello(&server, facts(1)).await;
    caller.standing(&server).await.unwrap();
    assert_eq!(
        code_of(server.approve(&world, "0000-0000").await),
        "unknown-code"
    );
    assert!(matches!(
        caller.standing(&server).await.unwrap(),
        Standing::Waiting { .. }
    ));
    let code = caller.code(&server);
    server.approve(&world, &code).await.unwrap();
    assert_eq!(code_of(server.approve(&world, &code).await), "unknown-code");
}

#[tokio::test]
async fn a_code_is_not_good_before_the_machine_has_opened_its_commitment() {
    let world = World::new();
    let server = world.server().await;
    let caller = Caller::hello(&server, facts(1)).await;
    assert_eq!(
        code_of(server.approve(&world, &caller.code(&server)).await),
        "unknown-code"
    );
    let reveal = Reveal {
        nonce: Nonce::new([9; 32]),
    };
    let refused = server
        .post::<_, Standing>(&caller.path(routes::SESSION), None, &reveal)
        .await;
    assert_eq!(code_of(refused), "wrong-nonce");
    assert_eq!(code_of(caller.standing(&server).await), "unknown-session");
}

#[tokio::test]
async fn an_approval_that_cannot_be_carried_out_leaves_the_machine_waiting() {
    let world = World::new();
    let server = world.server().await;
    let caller = Caller::hello(&server, facts(1)).await;
    caller.standing(&server).await.unwrap();
    let code = caller.code(&server);
    let bad = server
        .approve_with(&world, &code, Some("no name"), None)
        .await;
    assert_eq!(code_of(bad), "bad-name");
    let bad = server.approve_with(&world, &code, None, Some("none")).await;
    assert_eq!(code_of(bad), "unknown-image");
    assert!(matches!(
        caller.standing(&server).await.unwrap(),
        Standing::Waiting { .. }
    ));
    server
        .approve_with(&world, &code, Some("pc-1"), Some("debian"))
        .await
        .unwrap();
    assert_eq!(caller.assigned(&server).await.1.name, "pc-1");
}

#[tokio::test]
async fn a_second_conversation_of_a_machine_ends_the_first_and_needs_its_own_approval() {
    let world = World::new();
    let server = world.server().await;
    let first = Caller::hello(&server, facts(1)).await;
    first.standing(&server).await.unwrap();
    server
        .approve_with(&world, &first.code(&server), Some("pc-1"), Some("debian"))
        .await
        .unwrap();
    let second = Caller::hello(&server, facts(1)).await;
    assert_eq!(code_of(first.standing(&server).await), "unknown-session");
    assert!(matches!(
        second.standing(&server).await.unwrap(),
        Standing::Waiting { .. }
    ));
    assert_eq!(
        server.machines(&world).await.len(),
        1,
        "one machine, however often it calls"
    );
}

#[tokio::test]
async fn two_machines_cannot_have_one_name() {
    let world = World::new();
    let server = world.server().await;
    server.pre_stage(&world, true).await.unwrap();
    let other = Caller::hello(&server, facts(2)).await;
    other.standing(&server).await.unwrap();
    let taken = server
        .approve_with(&world, &other.code(&server), Some("PC-1"), None)
        .await;
    assert_eq!(code_of(taken), "name-taken");
}

#[tokio::test]
async fn a_machine_that_contradicts_a_known_one_is_not_taken_for_it() {
    let world = World::new();
    let server = world.server().await;
    server.pre_stage(&world, true).await.unwrap();
    let mut doubtful = facts(2);
    doubtful.addresses = facts(1).addresses;
    let caller = Caller::hello(&server, doubtful).await;
    assert!(matches!(
        caller.standing(&server).await.unwrap(),
        Standing::Waiting { .. }
    ));
    assert_eq!(server.machines(&world).await.len(), 2);
}

#[tokio::test]
async fn an_unattended_machine_takes_its_open_run_up_again_with_another_token() {
    let world = World::new();
    let server = world.server().await;
    assert_eq!(
        server.pre_stage(&world, true).await.unwrap().standing,
        "expected"
    );
    let first = Caller::hello(&server, facts(1)).await;
    let (old, before) = first.assigned(&server).await;
    let second = Caller::hello(&server, facts(1)).await;
    let (new, after) = second.assigned(&server).await;
    assert_eq!(before.run, after.run);
    assert_eq!(before.disk, None);
    assert!(matches!(after.work, Work::Apply { replace: true, .. }));
    let refused = server
        .get::<serde_json::Value>(routes::EVENTS, Some(&old))
        .await;
    assert_eq!(refused.unwrap_err().0, StatusCode::UNAUTHORIZED);
    server
        .get::<serde_json::Value>(routes::EVENTS, Some(&new))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_attended_machine_needs_a_code_again_after_a_power_cut() {
    let world = World::new();
    let server = world.server().await;
    server.pre_stage(&world, false).await.unwrap();
    let first = Caller::hello(&server, facts(1)).await;
    first.standing(&server).await.unwrap();
    server.approve(&world, &first.code(&server)).await.unwrap();
    let (_, before) = first.assigned(&server).await;
    let second = Caller::hello(&server, facts(1)).await;
    assert!(matches!(
        second.standing(&server).await.unwrap(),
        Standing::Waiting { .. }
    ));
    server.approve(&world, &second.code(&server)).await.unwrap();
    assert_eq!(second.assigned(&server).await.1.run, before.run);
    let third = Caller::hello(&server, facts(1)).await;
    third.standing(&server).await.unwrap();
    server
        .approve_with(&world, &third.code(&server), None, Some("secret"))
        .await
        .unwrap();
    let (_, other) = third.assigned(&server).await;
    assert_ne!(other.run, before.run, "another image is another run");
    assert_eq!(other.work.image(), Some(world.secret.image));
}

#[tokio::test]
async fn a_failed_run_needs_a_code_and_then_is_a_new_run() {
    let world = World::new();
    let server = world.server().await;
    server.pre_stage(&world, true).await.unwrap();
    let caller = Caller::hello(&server, facts(1)).await;
    let (token, before) = caller.assigned(&server).await;
    let failed = task_sequences::EventKind::StepFailed {
        step: "apply-image".into(),
        reason: "no disk".into(),
    };
    let more = events(0, vec![started("apply-image"), failed]);
    server
        .post::<_, serde_json::Value>(routes::EVENTS, Some(&token), &more)
        .await
        .unwrap();
    assert_eq!(server.machines(&world).await[0].standing, "failed");
    let again = Caller::hello(&server, facts(1)).await;
    assert!(matches!(
        again.standing(&server).await.unwrap(),
        Standing::Waiting { .. }
    ));
    server.approve(&world, &again.code(&server)).await.unwrap();
    assert_ne!(again.assigned(&server).await.1.run, before.run);
}

#[tokio::test]
async fn a_code_older_than_half_an_hour_is_no_good() {
    let world = World::new();
    let server = world.server().await;
    let caller = Caller::hello(&server, facts(1)).await;
    caller.standing(&server).await.unwrap();
    let late = now() + crate::service::sessions::CODE_LIFETIME + 5;
    let approval = api::messages::operator::Approval {
        code: caller.code(&server),
        name: None,
        image: None,
        capture: None,
    };
    assert!(server.house.approve(late, approval).await.is_err());
    assert_eq!(code_of(caller.standing(&server).await), "unknown-session");
}

#[tokio::test]
async fn the_last_hours_orders_are_in_the_audit_log_and_a_change_breaks_its_chain() {
    let world = World::new();
    let server = world.server().await;
    server.pre_stage(&world, true).await.unwrap();
    Caller::hello(&server, facts(1))
        .await
        .assigned(&server)
        .await;
    assert_eq!(server.house.db.check_audit().await.unwrap(), 2);
    drop(server);
    let file = world.folder.path().join("state/mimeo.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let forged = sqlx::query("UPDATE audit SET who = 'nobody' WHERE number = 0");
    assert!(
        forged.execute(&pool).await.is_err(),
        "the table refuses changes"
    );
    sqlx::query("DROP TRIGGER audit_is_append_only_update")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("UPDATE audit SET who = 'nobody' WHERE number = 0")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    assert!(world.server().await.house.db.check_audit().await.is_err());
}

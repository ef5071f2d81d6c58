//! Bytes go to the run they are assigned to.

use api::messages::image::ImageList;
use api::messages::operator::Status;
use api::routes;
use axum::http::{Method, StatusCode};
use image_format::{BlockPlace, Manifest, Segment, block};
use serde_json::Value;

use super::caller::Caller;
use super::world::{World, code_of, facts};

fn path(place: &BlockPlace) -> String {
    routes::fill(routes::BLOCK, &[&place.pack, &place.offset, &place.stored])
}

#[tokio::test]
async fn a_run_gets_its_image_and_no_other() {
    let world = World::new();
    let server = world.server().await;
    server.pre_stage(&world, true).await.unwrap();
    let (token, _) = Caller::hello(&server, facts(1))
        .await
        .assigned(&server)
        .await;
    let get = |path: String| {
        let (server, token) = (&server, token.as_str());
        async move {
            server
                .raw(Method::GET, &path, Some(token), Vec::new())
                .await
        }
    };
    let (own, other) = (world.debian.image, world.secret.image);
    let (_, bytes) = get(routes::fill(routes::MANIFEST, &[&own])).await;
    Manifest::decode(&own, &bytes).unwrap();
    let (_, bytes) = get(routes::fill(routes::SEGMENT, &[&own])).await;
    Segment::decode(bytes).unwrap();
    for pattern in [routes::MANIFEST, routes::SEGMENT] {
        let (status, _) = get(routes::fill(pattern, &[&other])).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }
    let jobs = |image| {
        let share = image_format::Share::open(
            image_format::DirStore::open(&world.folder.path().join("share")).unwrap(),
        )
        .unwrap();
        share.jobs(&share.manifest(&image).unwrap()).unwrap()
    };
    for job in jobs(own) {
        let (status, bytes) = get(path(&job.place)).await;
        assert_eq!(status, StatusCode::OK);
        let open = block::open(&job.place, &bytes).unwrap();
        assert!(job.chunks.iter().all(|chunk| open.chunk(chunk).is_ok()));
        let longer = BlockPlace {
            stored: job.place.stored + 1,
            ..job.place
        };
        assert_eq!(get(path(&longer)).await.0, StatusCode::FORBIDDEN);
        let inside = BlockPlace {
            offset: job.place.offset + 1,
            ..job.place
        };
        assert_eq!(get(path(&inside)).await.0, StatusCode::FORBIDDEN);
        let (status, _) = server
            .raw(Method::GET, &path(&job.place), None, Vec::new())
            .await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "a block without a token");
        let (status, _) = server
            .raw(
                Method::GET,
                &path(&job.place),
                Some(&"0".repeat(64)),
                Vec::new(),
            )
            .await;
        assert_eq!(
            status,
            StatusCode::UNAUTHORIZED,
            "a block with a made-up token"
        );
    }
    for job in jobs(other) {
        assert_eq!(
            get(path(&job.place)).await.0,
            StatusCode::FORBIDDEN,
            "a block of another image"
        );
    }
    for odd in [
        "/api/v1/packs/x/0/1",
        "/api/v1/packs/../0/1",
        "/api/v1/images/x/manifest",
    ] {
        assert_eq!(
            get(odd.to_owned()).await.0,
            StatusCode::BAD_REQUEST,
            "{odd}"
        );
    }
}

#[tokio::test]
async fn operators_routes_open_to_the_operators_token_only() {
    let world = World::new();
    let server = world.server().await;
    server.pre_stage(&world, true).await.unwrap();
    let (run, assignment) = Caller::hello(&server, facts(1))
        .await
        .assigned(&server)
        .await;
    let one = routes::fill(routes::RUN, &[&assignment.run]);
    let receipt = routes::fill(routes::RUN_RECEIPT, &[&assignment.run]);
    let paths = [
        routes::IMAGES,
        routes::MACHINES,
        routes::RUNS,
        routes::STATUS,
        one.as_str(),
        receipt.as_str(),
    ];
    let wrong = "0".repeat(64);
    for token in [None, Some(""), Some(wrong.as_str()), Some(run.as_str())] {
        for path in paths {
            let refused = server.get::<Value>(path, token).await;
            assert_eq!(refused.unwrap_err().0, StatusCode::UNAUTHORIZED, "{path}");
        }
        for path in [routes::APPROVE, routes::MACHINES] {
            let refused = server.post::<_, Value>(path, token, &()).await;
            assert_eq!(refused.unwrap_err().0, StatusCode::UNAUTHORIZED, "{path}");
        }
    }
    let refused = server
        .get::<Value>(routes::EVENTS, Some(&world.operator))
        .await;
    assert_eq!(
        refused.unwrap_err().0,
        StatusCode::UNAUTHORIZED,
        "an operator is no run"
    );
    let list: ImageList = server
        .get(routes::IMAGES, Some(&world.operator))
        .await
        .unwrap();
    assert_eq!(list.images.last(), Some(&world.secret), "newest last");
    server.house.found("two DHCP servers".into());
    let status: Status = server
        .get(routes::STATUS, Some(&world.operator))
        .await
        .unwrap();
    assert_eq!(status.findings, ["two DHCP servers"]);
}

#[tokio::test]
async fn bodies_that_are_too_large_or_no_json_are_refused_with_a_reason() {
    let world = World::new();
    let server = world.server().await;
    let answer = server
        .raw(Method::POST, routes::HELLO, None, vec![b'['; 65 << 10])
        .await;
    assert_eq!(answer.0, StatusCode::PAYLOAD_TOO_LARGE);
    let deep = server
        .raw(Method::POST, routes::HELLO, None, vec![b'['; 60 << 10])
        .await;
    assert_eq!(deep.0, StatusCode::BAD_REQUEST);
    let nothing = server.post::<_, Value>("/api/v1/nothing", None, &()).await;
    assert_eq!(code_of(nothing), "not-found");
}

#[tokio::test]
async fn a_capture_made_while_the_server_runs_can_be_ordered_at_once() {
    let world = World::new();
    let server = world.server().await;
    let store = image_format::DirStore::open(&world.folder.path().join("share")).unwrap();
    let record = super::world::capture(&store, "later", 9);
    let list: ImageList = server
        .get(routes::IMAGES, Some(&world.operator))
        .await
        .unwrap();
    assert_eq!(list.images.last(), Some(&record));
}

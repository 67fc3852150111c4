//! Resuming a stream with a cursor.

use std::time::Duration;

use presence_tests::{Application, Server, ServerOptions, Socket, SocketRequest};
use serde_json::{Value, json};

async fn resume(server: &Server, application: &Application, cursor: &Value) -> Socket {
    let auth = json!({"cursor": cursor});
    Socket::app_with(server, application, SocketRequest::app(application).v1(), auth).await
}

#[tokio::test]
async fn a_resume_replays_exactly_the_missed_updates() {
    let server = Server::start_default().await;
    let (application, _, alice) = server.application_with("alice").await;
    let bob = server.sign_in("bob").await.grant(&application).await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let (stream, snapshot) = Socket::stream(&server, &application).await;
    stream.close(Some(1000)).await;
    device.report("unavailable").await;
    let _bob = Socket::device_of(&server, "bob", "phone", "online").await;
    let mut resumed = resume(&server, &application, &snapshot["cursor"]).await;
    let missed = resumed.receive().await;
    assert_eq!((&missed["snapshot"], &missed["gap"]), (&Value::Null, &Value::Null), "{missed}");
    let updates: Vec<_> = missed["presence"].as_array().unwrap().iter().collect();
    assert_eq!(updates.len(), 2, "{missed}");
    assert_eq!(
        (updates[0]["uid"].as_str(), &updates[0]["status"]),
        (Some(&*alice.to_string()), &json!("unavailable"))
    );
    assert_eq!(
        (updates[1]["uid"].as_str(), &updates[1]["status"]),
        (Some(&*bob.to_string()), &json!("online"))
    );
    let mut caught_up = resume(&server, &application, &missed["cursor"]).await;
    caught_up.expect_no_stream_frame().await;
    device.report("online").await;
    caught_up.expect_status(alice, "online").await;
    resumed.expect_status(alice, "online").await;
}

#[tokio::test]
async fn a_resume_merges_a_status_that_changed_and_changed_back() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let (stream, snapshot) = Socket::stream(&server, &application).await;
    stream.close(None).await;
    device.report("unavailable").await;
    device.report("online").await;
    let mut resumed = resume(&server, &application, &snapshot["cursor"]).await;
    let frames = resumed.frames_until_now().await;
    let updates: Vec<_> =
        frames.iter().filter_map(|frame| frame["presence"].as_array()).flatten().collect();
    // The resumed stream may contain the present status, and never the intermediate one.
    assert!(updates.iter().all(|update| update["status"] == "online"), "{frames:?}");
}

#[tokio::test]
async fn an_invalid_cursor_and_one_of_another_application_give_a_gap_and_a_snapshot() {
    let server = Server::start_default().await;
    let (application, _, alice) = server.application_with("alice").await;
    let other = server.application_named(&application.owner, "Other").await;
    let (_other_stream, foreign) = Socket::stream(&server, &other).await;
    let _device = Socket::device_of(&server, "alice", "phone", "online").await;
    let (_stream, snapshot) = Socket::stream(&server, &application).await;
    let own = snapshot["cursor"].as_str().unwrap();
    let longer = format!("{own}0");
    for cursor in [foreign["cursor"].as_str().unwrap(), "nonsense", "", "é", &longer] {
        let mut resumed = resume(&server, &application, &json!(cursor)).await;
        let frame = resumed.receive().await;
        let actual = (&frame["gap"], &frame["snapshot"]);
        assert_eq!(actual, (&json!(true), &json!(true)), "{cursor}: {frame}");
        assert_eq!(frame["presence"][0]["uid"], alice.to_string());
    }
}

#[tokio::test]
async fn a_cursor_beyond_the_kept_updates_gives_a_gap() {
    let options = ServerOptions::default().with("app-queue-updates", 3).with("status-burst", 100);
    let server = Server::start(options).await;
    let (application, _, _) = server.application_with("alice").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let (stream, snapshot) = Socket::stream(&server, &application).await;
    stream.close(None).await;
    for status in ["unavailable", "online", "unavailable"] {
        device.report(status).await;
    }
    let mut in_time = resume(&server, &application, &snapshot["cursor"]).await;
    assert_eq!(in_time.receive().await["gap"], Value::Null);
    device.report("online").await;
    let mut late = resume(&server, &application, &snapshot["cursor"]).await;
    let frame = late.receive().await;
    assert_eq!((&frame["gap"], &frame["snapshot"]), (&json!(true), &json!(true)), "{frame}");
}

#[tokio::test]
async fn a_cursor_that_is_too_old_gives_a_gap_unless_nothing_was_missed() {
    let server = Server::start(ServerOptions::default().with("app-queue-seconds", 3)).await;
    let (application, _, _) = server.application_with("alice").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let (stream, snapshot) = Socket::stream(&server, &application).await;
    stream.close(None).await;
    device.report("unavailable").await;
    let mut in_time = resume(&server, &application, &snapshot["cursor"]).await;
    let missed = in_time.receive().await;
    assert_eq!((&missed["gap"], &missed["snapshot"]), (&Value::Null, &Value::Null), "{missed}");
    // The cursor becomes too old only with time.
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    let mut late = resume(&server, &application, &snapshot["cursor"]).await;
    let frame = late.receive().await;
    assert_eq!((&frame["gap"], &frame["snapshot"]), (&json!(true), &json!(true)), "{frame}");
    let mut up_to_date = resume(&server, &application, &missed["cursor"]).await;
    up_to_date.expect_no_stream_frame().await;
    in_time.expect_no_stream_frame().await;
}

#[tokio::test]
async fn after_a_restart_an_old_cursor_gives_a_gap_and_versions_continue_to_grow() {
    let mut server = Server::start(ServerOptions::default().with("warm-up-seconds", 0)).await;
    let (application, _, alice) = server.application_with("alice").await;
    let (mut stream, snapshot) = Socket::stream(&server, &application).await;
    let device = Socket::device_of(&server, "alice", "phone", "online").await;
    let before = stream.expect_status(alice, "online").await;
    device.close(None).await;
    server.terminate().await;
    server.restart().await;
    let mut resumed = resume(&server, &application, &snapshot["cursor"]).await;
    let frame = resumed.receive().await;
    assert_eq!((&frame["gap"], &frame["snapshot"]), (&json!(true), &json!(true)), "{frame}");
    let _device = Socket::device_of(&server, "alice", "phone", "online").await;
    let after = resumed.expect_status(alice, "online").await;
    assert!(after["version"].as_u64() > before["version"].as_u64(), "{before} {after}");
}

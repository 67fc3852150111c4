//! Resuming a stream with a cursor.

use std::time::Duration;

use presence_tests::{Application, Server, ServerOptions, Socket, SocketRequest};
use serde_json::{Value, json};

async fn resume(server: &Server, application: &Application, cursor: &Value) -> Socket {
    let auth = json!({"cursor": cursor});
    Socket::app_with(server, application, SocketRequest::app(application).v1(), auth).await
}

#[tokio::test]
async fn a_resume_replays_what_was_missed_and_nothing_else() {
    let server = Server::quick().await;
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
    let told: Vec<_> = missed["presence"].as_array().unwrap().iter().collect();
    assert_eq!(told.len(), 2, "{missed}");
    assert_eq!(
        (told[0]["uid"].as_str(), &told[0]["status"]),
        (Some(&*alice.to_string()), &json!("unavailable"))
    );
    assert_eq!(
        (told[1]["uid"].as_str(), &told[1]["status"]),
        (Some(&*bob.to_string()), &json!("online"))
    );
    let mut caught_up = resume(&server, &application, &missed["cursor"]).await;
    caught_up.expect_no_stream_frame().await;
    device.report("online").await;
    caught_up.sees(alice, "online").await;
    resumed.sees(alice, "online").await;
}

#[tokio::test]
async fn a_user_who_went_and_came_back_meanwhile_is_not_told_of() {
    let server = Server::quick().await;
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
    // At most the present status again; never the one in between.
    assert!(updates.iter().all(|update| update["status"] == "online"), "{frames:?}");
}

#[tokio::test]
async fn a_foreign_cursor_and_a_nonsense_one_are_answered_with_a_gap_and_a_snapshot() {
    let server = Server::quick().await;
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
        let said = (&frame["gap"], &frame["snapshot"]);
        assert_eq!(said, (&json!(true), &json!(true)), "{cursor}: {frame}");
        assert_eq!(frame["presence"][0]["uid"], alice.to_string());
    }
}

#[tokio::test]
async fn a_cursor_that_is_too_old_is_answered_with_a_gap() {
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
async fn a_cursor_from_before_what_is_kept_is_answered_with_a_gap_and_one_that_missed_nothing_is_not()
 {
    let server = Server::start(ServerOptions::default().with("app-queue-seconds", 3)).await;
    let (application, _, _) = server.application_with("alice").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let (stream, snapshot) = Socket::stream(&server, &application).await;
    stream.close(None).await;
    device.report("unavailable").await;
    let mut in_time = resume(&server, &application, &snapshot["cursor"]).await;
    let missed = in_time.receive().await;
    assert_eq!((&missed["gap"], &missed["snapshot"]), (&Value::Null, &Value::Null), "{missed}");
    // Nothing but time makes a cursor too old.
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    let mut late = resume(&server, &application, &snapshot["cursor"]).await;
    let frame = late.receive().await;
    assert_eq!((&frame["gap"], &frame["snapshot"]), (&json!(true), &json!(true)), "{frame}");
    let mut up_to_date = resume(&server, &application, &missed["cursor"]).await;
    up_to_date.expect_no_stream_frame().await;
    in_time.expect_no_stream_frame().await;
}

#[tokio::test]
async fn a_cursor_of_an_earlier_run_is_answered_with_a_gap_and_versions_go_on_growing() {
    let mut server = Server::start(ServerOptions::default().with("warm-up-seconds", 0)).await;
    let (application, _, alice) = server.application_with("alice").await;
    let (mut stream, snapshot) = Socket::stream(&server, &application).await;
    let device = Socket::device_of(&server, "alice", "phone", "online").await;
    let before = stream.sees(alice, "online").await;
    device.close(None).await;
    server.terminate().await;
    server.restart().await;
    let mut resumed = resume(&server, &application, &snapshot["cursor"]).await;
    let frame = resumed.receive().await;
    assert_eq!((&frame["gap"], &frame["snapshot"]), (&json!(true), &json!(true)), "{frame}");
    let _device = Socket::device_of(&server, "alice", "phone", "online").await;
    let after = resumed.sees(alice, "online").await;
    assert!(after["version"].as_u64() > before["version"].as_u64(), "{before} {after}");
}

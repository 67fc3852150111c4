//! Clients that never read.

use std::collections::HashMap;
use std::time::Instant;

use presence_protocol::CloseCode;
use presence_tests::{ServerOptions, Socket, SocketEnd, SocketRequest, TIMEOUT, uid_of};
use serde_json::{Value, json};

use super::BadInputFixture;

/// The number of changes that fills the buffers of a loopback connection, which hold some
/// megabytes.
const CHANGES: usize = 8_000;

#[tokio::test]
async fn a_device_that_does_not_read_is_closed_and_gets_the_newest_data_when_it_reconnects() {
    let mut fixture =
        BadInputFixture::with(ServerOptions::default().with("write-seconds", 1)).await;
    let hello = json!({"device": "phone", "status": "unavailable", "acks": true});
    let request = SocketRequest::device().small_receive_buffer();
    let mut bob = Socket::open_authenticated(&fixture.server, request, "bob", hello.clone()).await;
    fixture.stream.expect_status(fixture.bob.1, "unavailable").await;
    let item = json!({"uid": fixture.bob.1, "message": "\u{1f4ac}".repeat(400), "action": ""});
    // The server closes the device after a second. The loop sends until then, however much that is.
    let patience = Instant::now() + TIMEOUT;
    while is_connected(&fixture).await {
        assert!(Instant::now() < patience, "the socket was not closed in time");
        let answer = fixture.application.notify(&json!(vec![&item; 300])).await.ok();
        assert_eq!(answer["result"], "OK");
        fixture.check_presence().await;
    }
    let ended = bob.ended().await;
    let expected = SocketEnd::Closed(Some(CloseCode::TooSlowOrTooFast.number()));
    assert!(ended == expected || ended == SocketEnd::Lost, "{ended:?}");
    // The presence ends after the grace time.
    fixture.stream.expect_status(fixture.bob.1, "offline").await;
    fixture.check_service().await;
    let mut bob =
        Socket::open_authenticated(&fixture.server, SocketRequest::device(), "bob", hello).await;
    let mut received = 0;
    while received < 100 {
        received += bob.receive().await["notifications"].as_array().unwrap().len();
    }
    assert_eq!(received, 100);
    bob.expect_no_frame().await;
}

async fn is_connected(fixture: &BadInputFixture) -> bool {
    let answer = fixture.bob.0.call("GET", "/devices").await.ok();
    let devices = answer["devices"].as_array().unwrap();
    devices.iter().any(|device| device["connected"] == true)
}

#[tokio::test]
async fn an_app_service_that_does_not_read_uses_bounded_memory_and_gets_the_newest_statuses_later()
{
    let options =
        ServerOptions::default().with("write-seconds", 600).with("app-queue-updates", 1_000);
    let mut fixture = BadInputFixture::with(options).await;
    let request = SocketRequest::app(&fixture.application).v1().small_receive_buffer();
    let mut slow_reader = Socket::app(&fixture.server, &fixture.application, request).await;
    let before = memory_of(&fixture);
    let padding = "\u{1f4ac}".repeat(110);
    for number in 0..CHANGES {
        let text = format!("{number} {padding}");
        fixture.observer.send(json!({"status": "online", "message": text})).await;
        fixture.observer.expect_ok().await;
        fixture.stream.expect_status(fixture.alice, "online").await;
    }
    let grown = memory_of(&fixture).saturating_sub(before);
    assert!(grown < 48 * 1024 * 1024, "grown by {grown} bytes");
    fixture.check_service().await;
    let last = format!("round {}", fixture.rounds);
    let (mut updates, mut versions) = (0, HashMap::new());
    let newest = slow_reader.receive_until(|frame| frame.to_string().contains(&last));
    let newest = newest.await;
    for update in updates_of(&newest) {
        versions.insert(uid_of(update), update["version"].as_u64());
        updates += 1;
    }
    assert!(updates < 3, "too many updates: {newest}");
    slow_reader.expect_no_stream_frame().await;
    fixture.check_queued_notification().await;
}

fn updates_of(frame: &Value) -> impl Iterator<Item = &Value> {
    frame["presence"].as_array().into_iter().flatten()
}

/// Returns the resident memory of the server, in bytes.
fn memory_of(fixture: &BadInputFixture) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", fixture.server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes * 1024
}

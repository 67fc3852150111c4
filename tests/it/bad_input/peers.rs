//! Peers that never read what they are sent.

use std::collections::HashMap;
use std::time::Instant;

use presence_protocol::CloseCode;
use presence_tests::{ServerOptions, Socket, SocketEnd, SocketRequest, TIMEOUT, uid_of};
use serde_json::{Value, json};

use super::Scene;

/// Enough to fill the buffers of a loopback connection, which take some megabytes.
const CHANGES: usize = 8_000;

#[tokio::test]
async fn a_device_that_never_reads_is_closed_and_finds_the_newest_when_it_is_back() {
    let mut scene = Scene::with(ServerOptions::default().with("write-seconds", 1)).await;
    let hello = json!({"device": "phone", "status": "unavailable", "acks": true});
    let way = SocketRequest::device().small_receive_buffer();
    let mut bob = Socket::open_authenticated(&scene.server, way, "bob", hello.clone()).await;
    scene.stream.sees(scene.bob.1, "unavailable").await;
    let item = json!({"uid": scene.bob.1, "message": "\u{1f4ac}".repeat(400), "action": ""});
    // It is closed after a second, and waited for two more: how much is sent meanwhile is the
    // machine's affair.
    let patience = Instant::now() + TIMEOUT;
    while is_connected(&scene).await {
        assert!(Instant::now() < patience, "nobody minds");
        let answer = scene.application.notify(&json!(vec![&item; 300])).await.ok();
        assert_eq!(answer["result"], "OK");
        scene.presence_goes_on().await;
    }
    let ended = bob.ended().await;
    let told = SocketEnd::Closed(Some(CloseCode::TooSlowOrTooFast.number()));
    assert!(ended == told || ended == SocketEnd::Lost, "{ended:?}");
    // Its presence ends after the grace time.
    scene.stream.sees(scene.bob.1, "offline").await;
    scene.all_is_well().await;
    let mut bob =
        Socket::open_authenticated(&scene.server, SocketRequest::device(), "bob", hello).await;
    let heard = bob.receive().await;
    assert_eq!(heard["notifications"].as_array().unwrap().len(), 100);
    bob.expect_no_frame().await;
}

async fn is_connected(scene: &Scene) -> bool {
    let answer = scene.bob.0.call("GET", "/devices").await.ok();
    let devices = answer["devices"].as_array().unwrap();
    devices.iter().any(|device| device["connected"] == true)
}

#[tokio::test]
async fn an_app_service_that_never_reads_costs_nothing_and_gets_the_newest_when_it_does() {
    let options =
        ServerOptions::default().with("write-seconds", 600).with("app-queue-updates", 1_000);
    let mut scene = Scene::with(options).await;
    let way = SocketRequest::app(&scene.application).v1().small_receive_buffer();
    let mut lazy = Socket::app(&scene.server, &scene.application, way).await;
    let before = memory_of(&scene);
    let padding = "\u{1f4ac}".repeat(110);
    for number in 0..CHANGES {
        let text = format!("{number} {padding}");
        scene.witness.send(json!({"status": "online", "message": text})).await;
        scene.witness.expect_ok().await;
        scene.stream.sees(scene.alice, "online").await;
    }
    let grown = memory_of(&scene).saturating_sub(before);
    assert!(grown < 48 * 1024 * 1024, "grown by {grown} bytes");
    scene.all_is_well().await;
    let last = format!("round {}", scene.rounds);
    let (mut updates, mut versions) = (0, HashMap::new());
    let newest = lazy.receive_until(|frame| frame.to_string().contains(&last));
    let newest = newest.await;
    for update in updates_of(&newest) {
        versions.insert(uid_of(update), update["version"].as_u64());
        updates += 1;
    }
    assert!(updates < 3, "coalesced to the newest: {newest}");
    lazy.expect_no_stream_frame().await;
    scene.nothing_is_lost().await;
}

fn updates_of(frame: &Value) -> impl Iterator<Item = &Value> {
    frame["presence"].as_array().into_iter().flatten()
}

/// The resident memory of the server, in bytes.
fn memory_of(scene: &Scene) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", scene.server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes * 1024
}

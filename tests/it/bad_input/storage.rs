//! A full disk and a locked database while the server runs.

use presence_protocol::Errno;
use presence_tests::{Server, ServerOptions, Socket, StoppedServer};
use sea_orm::{ConnectionTrait, Database, TransactionTrait};
use serde_json::json;

use super::BadInputFixture;

#[tokio::test]
async fn on_a_full_disk_notifications_are_refused_presence_continues_and_no_ok_is_lost() {
    let mut server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    assert_eq!(server.terminate().await, StoppedServer::With(0));
    let blocks = std::fs::metadata(server.database()).unwrap().len() / 1024 + 128;
    server.change(|options| {
        options.files_of_at_most(blocks).with("log", "off").with("notify-burst", 1_000)
    });
    server.restart().await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let mut taken = Vec::new();
    let refused = loop {
        let message = format!("{} {}", taken.len(), "x".repeat(400));
        let item = json!({"uid": uid, "message": message, "action": ""});
        let answer = application.notify(&json!([item])).await.json();
        if answer["results"][0]["result"] != "OK" {
            break answer;
        }
        taken.push(message);
        assert!(taken.len() < 100, "the disk is never full");
    };
    assert_eq!(refused["results"][0]["errno"], Errno::StorageUnavailable.number(), "{refused}");
    assert!(!taken.is_empty());
    let mut phone = Socket::device(&server).await;
    let hello = json!({"token": alice.token, "status": "online", "acks": true});
    assert_eq!(phone.ask(hello).await, json!({"result": "OK"}));
    stream.expect_status(uid, "online").await;
    phone.receive_until(|frame| frame["notifications"].is_array()).await;
    phone.report("unavailable").await;
    stream.expect_status(uid, "unavailable").await;
    drop((phone, stream));
    server.kill().await;
    server.change(|_| ServerOptions::default());
    server.restart().await;
    let mut phone = Socket::device_of(&server, "alice", "tablet", "online").await;
    let received = phone.receive().await;
    let messages = received["notifications"].as_array().unwrap().iter();
    let messages: Vec<_> = messages.map(|item| item["message"].as_str().unwrap()).collect();
    assert_eq!(messages, taken);
}

#[tokio::test]
async fn notifications_are_refused_only_while_another_process_locks_the_database() {
    let mut fixture = BadInputFixture::new().await;
    let url = format!("sqlite://{}", fixture.server.database().display());
    let other = Database::connect(url).await.unwrap();
    let holding = other.begin().await.unwrap();
    holding.execute_unprepared("UPDATE meta SET epoch = epoch").await.unwrap();
    let refused = fixture.send_to(fixture.alice, "too early").await;
    assert_eq!(refused["errno"], Errno::StorageUnavailable.number(), "{refused}");
    fixture.check_presence().await;
    let mut phone = Socket::device(&fixture.server).await;
    let hello = json!({"token": fixture.bob.0.token, "status": "online", "acks": true});
    assert_eq!(phone.ask(hello).await, json!({"result": "OK"}));
    assert_eq!(phone.receive().await["notifications"][0]["message"], "first");
    fixture.stream.expect_status(fixture.bob.1, "online").await;
    phone.close(None).await;
    fixture.stream.expect_status(fixture.bob.1, "offline").await;
    holding.rollback().await.unwrap();
    fixture.check_service().await;
    fixture.check_queued_notification().await;
}

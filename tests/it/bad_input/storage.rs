//! A full disk and a locked database while the server runs.

use presence_protocol::Errno;
use presence_tests::{Server, ServerOptions, Socket, StoppedServer};
use sea_orm::{ConnectionTrait, Database, DatabaseTransaction, TransactionTrait};
use serde_json::json;
use tokio::task::JoinSet;

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
    let taken = application.notify_until_full(uid).await;
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

/// A connection of another program that holds the lock of the database.
async fn hold_lock(server: &Server) -> DatabaseTransaction {
    let url = format!("sqlite://{}", server.database().display());
    let other = Database::connect(url).await.unwrap();
    let holding = other.begin().await.unwrap();
    holding.execute_unprepared("UPDATE meta SET epoch = epoch").await.unwrap();
    holding
}

#[tokio::test]
async fn while_another_program_locks_the_database_calls_that_only_read_do_not_wait() {
    // A call that waited would be answered much later than the test may take.
    let options = ServerOptions::default().with("database-seconds", 600);
    let fixture = BadInputFixture::with(options).await;
    let (_, new_key) = fixture.application.make_key().await;
    let holding = hold_lock(&fixture.server).await;
    let item = json!([{"uid": fixture.alice, "message": "waits", "action": ""}]);
    let notify = fixture.application.call("POST", "/notifications");
    let mut waiting = JoinSet::new();
    waiting.spawn(notify.json(&json!({"notifications": item})).into_future());
    for _ in 0..20 {
        fixture.application.call("GET", "/presence").await.ok();
        fixture.application.call("GET", "/presence").bearer(&new_key).await.ok();
        fixture.bob.0.call("GET", "/grants").await.ok();
    }
    let mut phone = Socket::device(&fixture.server).await;
    let hello = json!({"token": fixture.bob.0.token, "status": "online", "acks": true});
    assert_eq!(phone.ask(hello).await, json!({"result": "OK"}));
    assert_eq!(phone.receive().await["notifications"][0]["message"], "first");
    let keys = fixture.application.owner_call("GET", "/keys").await.ok();
    assert!(keys["keys"][1]["last_used_at"].is_u64(), "{keys}");
    holding.rollback().await.unwrap();
    let sent = waiting.join_all().await.remove(0).ok();
    assert_eq!(sent["results"][0]["result"], "OK", "{sent}");
}

#[tokio::test]
async fn every_call_that_waits_for_the_database_is_refused_by_its_deadline_and_not_done_later() {
    let options = ServerOptions::default().with("database-seconds", 0.5);
    let mut fixture = BadInputFixture::with(options).await;
    let other = fixture.server.application_named(&fixture.application.owner, "Other").await;
    let assertion = fixture.server.assertion("carol").await;
    let holding = hold_lock(&fixture.server).await;
    let (alice, appid) = (&fixture.bob.0, &other.appid);
    let sign_in = json!({"assertion": assertion, "scope": "device"});
    let pause = json!({"paused": true});
    let granted = format!("/grants/{}", fixture.application.appid);
    let calls = [
        fixture.server.call("POST", "/session").json(&sign_in),
        alice.call("POST", &format!("/grant/{appid}")).json(&json!({})),
        alice.call("PATCH", &granted).json(&pause),
        alice.call("DELETE", "/account"),
        other.owner_call("POST", "/deactivate"),
        other.owner_call("POST", "/keys"),
    ];
    let refused: JoinSet<_> = calls.into_iter().map(IntoFuture::into_future).collect();
    for answer in refused.join_all().await {
        answer.assert_error(Errno::StorageUnavailable);
    }
    let refused = fixture.send_to(fixture.bob.1, "too late").await;
    assert_eq!(refused["errno"], Errno::StorageUnavailable.number(), "{refused}");
    holding.rollback().await.unwrap();
    let grants = alice.call("GET", "/grants").await.ok();
    assert_eq!(grants["grants"].as_array().unwrap().len(), 1, "{grants}");
    assert_eq!(grants["grants"][0]["paused"], false, "{grants}");
    fixture.check_service().await;
    fixture.check_queued_notification().await;
}

#[tokio::test]
async fn notifications_are_refused_only_while_another_process_locks_the_database() {
    let options = ServerOptions::default().with("database-seconds", 3);
    let mut fixture = BadInputFixture::with(options).await;
    let holding = hold_lock(&fixture.server).await;
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

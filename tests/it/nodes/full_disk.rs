//! A server whose PostgreSQL has no space left.

use presence_test_postgres::Cluster;
use presence_tests::{Server, Socket};
use serde_json::json;

use super::long_grace_time;

/// Takes all the space that is left. Space that a failed statement has taken stays taken.
const FILL: &str = "DO $$ BEGIN CREATE TABLE filler (content text); LOOP BEGIN \
                    INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 100); \
                    EXCEPTION WHEN disk_full THEN EXIT; END; END LOOP; END $$";

#[tokio::test]
async fn while_postgresql_is_full_notifications_are_refused_sockets_stay_and_no_ok_is_lost() {
    let cluster = Cluster::start_with_small_disk(64);
    cluster.run_sql("postgres", "CREATE DATABASE presence TABLESPACE small");
    let options = long_grace_time().with_database(&cluster.url("presence"));
    let server = Server::start(options).await;
    let (application, alice, uid) = server.application_with("alice").await;
    let bob = server.sign_in("bob").await;
    let of_bob = bob.grant(&application).await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;

    // A new database has pages that get their space when they are written first.
    cluster.run_sql("presence", "CHECKPOINT");
    cluster.run_sql("presence", FILL);
    let mut taken = application.notify_until_full(of_bob).await;
    let log = server.wait_for_log("store.writer.failed").await;
    assert!(log.contains("No space left"), "{log}");
    // All that needs no space goes on, on the sockets of before.
    phone.report("unavailable").await;
    let path = format!("/apps/{}/presence", application.appid);
    server.call("GET", &path).bearer(&application.api_key).await.ok();
    alice.call("GET", "/devices").await.ok();

    cluster.run_sql("presence", "DROP TABLE filler");
    stream.expect_status(uid, "unavailable").await;
    let last = json!([{"uid": of_bob, "message": "last", "action": ""}]);
    assert_eq!(application.notify(&last).await.json()["results"][0]["result"], "OK");
    taken.push("last".to_owned());
    let mut tablet = Socket::device_of(&server, "bob", "tablet", "online").await;
    let mut received = Vec::new();
    while received.len() < taken.len() {
        let frame = tablet.receive_until(|frame| frame["notifications"].is_array()).await;
        let items = frame["notifications"].as_array().unwrap();
        received.extend(items.iter().map(|item| item["message"].as_str().unwrap().to_owned()));
    }
    assert_eq!(received, taken);
}

//! Servers that end, and those that do not reach the database.

use std::net::SocketAddr;

use presence_protocol::Errno;
use presence_test_postgres::Cluster;
use presence_tests::{FaultProxy, Server, Socket};
use serde_json::json;

use super::long_grace_time;

#[tokio::test]
async fn a_killed_server_loses_its_devices_once_and_a_stopped_one_gives_them_time_to_come_back() {
    let options = long_grace_time().with("grace-seconds", 0.5);
    let [mut one, two, mut three] = Server::start_sharing(options).await;
    let (application, _, uid) = two.application_with("alice").await;
    let bob = two.sign_in("bob").await;
    let bobs = bob.grant(&application).await;
    let (mut stream, _) = Socket::stream(&two, &application).await;
    let _phone = Socket::device_of(&one, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    let _laptop = Socket::device_of(&three, "bob", "laptop", "online").await;
    stream.expect_status(bobs, "online").await;
    one.kill().await;
    three.terminate().await;
    let _laptop = Socket::device_of(&two, "bob", "laptop", "online").await;
    // Alice's device does not come back, and bob was never seen as away.
    let offline = stream.expect_status(uid, "offline").await;
    assert_eq!(offline["cause"], "lost", "{offline}");
    assert_eq!(offline["uid"], serde_json::json!(uid), "{offline}");
}

#[tokio::test]
async fn a_server_that_is_cut_off_says_that_its_presence_is_stale_until_it_has_told_what_was_missed()
 {
    let url = Cluster::shared().create_database();
    let port = Cluster::shared().port();
    let proxy = FaultProxy::to_address(SocketAddr::from(([127, 0, 0, 1], port))).await;
    let cut_off = url.replace(&format!(":{port}/"), &format!(":{}/", proxy.address().port()));
    let options = long_grace_time().with("database-seconds", 1);
    let one = Server::start(options.clone().with_database(&cut_off)).await;
    let two = Server::start(options.with_database(&url)).await;
    let (application, _, uid) = two.application_with("alice").await;
    let of_bob = two.sign_in("bob").await.grant(&application).await;
    let (mut stream, _) = Socket::stream(&one, &application).await;
    let mut phone = Socket::device_of(&two, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    let mut laptop = Socket::device_of(&one, "bob", "laptop", "unavailable").await;
    stream.expect_status(of_bob, "unavailable").await;
    assert_eq!(one.call("GET", "/__heartbeat__").await.status, 200);

    proxy.stall();
    let stale = stream.receive_until(|frame| frame["stale"].is_boolean()).await;
    assert_eq!(stale, json!({"stale": true}));
    assert_eq!(one.call("GET", "/__heartbeat__").await.status, 503);
    let path = format!("/apps/{}/presence", application.appid);
    let answer = one.call("GET", &path).bearer(&application.api_key).await;
    answer.assert_error(Errno::StorageUnavailable);
    phone.report("unavailable").await;
    // A change that takes sight away is not answered with OK, and one that gives it is kept.
    laptop.send(json!({"status": "offline"})).await;
    assert_eq!(laptop.receive().await["errno"], 51);
    laptop.report("online").await;

    proxy.resume_traffic();
    let mut frames = Vec::new();
    while frames.last() != Some(&json!({"stale": false})) {
        frames.push(stream.receive().await);
    }
    let missed = json!("unavailable");
    let told = frames.iter().filter_map(|frame| frame["presence"].as_array()).flatten();
    let of_alice = |update: &&serde_json::Value| update["uid"] == json!(uid);
    assert!(told.filter(of_alice).any(|update| update["status"] == missed), "{frames:?}");
    let presence = || one.call("GET", &path).bearer(&application.api_key);
    while presence().await.ok()["presence"].as_array().is_none_or(|users| {
        users.iter().all(|user| user["uid"] != json!(of_bob) || user["status"] != "online")
    }) {}
    while one.call("GET", "/__heartbeat__").await.status != 200 {}
}

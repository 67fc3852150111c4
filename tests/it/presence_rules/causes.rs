//! The cause of a change to offline: `left` or `lost`, and nothing that tells who hides.

use presence_tests::{Server, Socket, SocketRequest};
use serde_json::{Value, json};

use super::{long_grace_time, unlimited_rates};

#[tokio::test]
async fn all_that_takes_a_user_out_of_sight_on_purpose_looks_alike() {
    let server = Server::start(long_grace_time()).await;
    let (application, alice, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let mut updates = Vec::new();
    for way in ["close", "offline", "hide", "end", "pause", "deactivate", "revoke"] {
        let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
        let online = stream.expect_status(uid, "online").await;
        assert_eq!(online["cause"], Value::Null, "{way}: {online}");
        match way {
            "close" => phone.close(None).await,
            "offline" => phone.report("offline").await,
            "hide" => {
                phone.send(json!({"type": "visibility", "application_ids": []})).await;
                phone.expect_ok().await;
            }
            "end" => drop(alice.call("DELETE", "/devices/phone").await.ok()),
            "pause" => alice.pause(&application, true).await,
            "deactivate" => application.deactivate().await,
            _ => alice.revoke(&application).await,
        }
        if way == "deactivate" {
            // Its sockets are closed, so it never gets this change.
            application.activate().await;
            alice.call("DELETE", "/devices/phone").await;
            (stream, _) = Socket::stream(&server, &application).await;
            continue;
        }
        let mut update = stream.expect_status(uid, "offline").await;
        assert_eq!(update["revoked"].as_bool(), (way == "revoke").then_some(true), "{update}");
        for field in ["version", "since", "revoked"] {
            update.as_object_mut().unwrap().remove(field);
        }
        updates.push(update);
        // The device and its visibility are gone before the next one, also if it is there still.
        alice.call("DELETE", "/devices/phone").await;
        if way == "pause" {
            alice.pause(&application, false).await;
        }
    }
    let left = json!({"uid": uid, "status": "offline", "cause": "left"});
    assert_eq!(updates, vec![left; updates.len()]);
}

#[tokio::test]
async fn a_connection_that_does_not_return_in_the_grace_time_is_lost() {
    let server = Server::start(unlimited_rates().with("grace-seconds", 0.3)).await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let laptop = Socket::device_of(&server, "alice", "laptop", "unavailable").await;
    stream.expect_status(uid, "unavailable").await;
    let phone = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    drop(phone);
    // The user is still there, with another device.
    let still_seen = stream.expect_status(uid, "unavailable").await;
    assert_eq!(still_seen["cause"], Value::Null, "{still_seen}");
    drop(laptop);
    let offline = stream.expect_status(uid, "offline").await;
    assert_eq!(offline["cause"], "lost", "{offline}");
}

#[tokio::test]
async fn polls_queries_snapshots_and_frames_of_2013_have_no_cause() {
    let server = Server::start(unlimited_rates().with("grace-seconds", 0)).await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut plain = Socket::app(&server, &application, SocketRequest::app(&application)).await;
    let (mut stream, snapshot) = Socket::stream(&server, &application).await;
    assert_eq!(snapshot["presence"], json!([]));
    let phone = Socket::device_of(&server, "alice", "phone", "online").await;
    assert_eq!(stream.update().await["status"], "online");
    plain.receive_until(|frame| frame["status"] == "online").await;
    drop(phone);
    assert_eq!(stream.update().await["cause"], "lost");
    let offline = plain.receive_until(|frame| frame["status"] == "offline").await;
    assert_eq!(offline.get("cause"), None, "{offline}");
    assert_eq!(application.presence_of(uid).await.get("cause"), None);
    let answer = stream.ask(json!({"action": "query", "uids": [uid]})).await;
    assert_eq!(answer["presence"][0]["status"], "offline", "{answer}");
    assert_eq!(answer["presence"][0].get("cause"), None, "{answer}");
}

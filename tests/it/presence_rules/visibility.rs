//! Pausing, hiding, and updates for some Applications only.

use presence_protocol::Puid;
use presence_tests::{Application, Server, Socket, SocketRequest, User};
use serde_json::{Value, json};

use super::unlimited_rates;

/// Two Applications with a grant of Alice, with their streams and PUIDs.
struct TwoApplications {
    server: Server,
    alice: User,
    apps: [Application; 2],
    uids: [Puid; 2],
    streams: [Socket; 2],
}

async fn two(server: Server) -> TwoApplications {
    let (one, alice, uid) = server.application_with("alice").await;
    let other = server.application_named(&one.owner, "Other").await;
    let uids = [uid, alice.grant(&other).await];
    let (one_stream, _) = Socket::stream(&server, &one).await;
    let (other_stream, _) = Socket::stream(&server, &other).await;
    TwoApplications { server, alice, apps: [one, other], uids, streams: [one_stream, other_stream] }
}

impl TwoApplications {
    async fn expect_both(&mut self, status: &str) {
        for (stream, uid) in self.streams.iter_mut().zip(self.uids) {
            stream.expect_status(uid, status).await;
        }
    }

    async fn expect_no_more_updates(&mut self) {
        for stream in &mut self.streams {
            stream.expect_no_stream_frame().await;
        }
    }
}

#[tokio::test]
async fn a_paused_grant_gives_one_offline_and_the_present_status_when_resumed() {
    let mut two = two(Server::start(unlimited_rates()).await).await;
    let hello = json!({"status": "online", "message": "Hi"});
    let mut phone =
        Socket::open_authenticated(&two.server, SocketRequest::device(), "alice", hello).await;
    two.expect_both("online").await;
    two.alice.pause(&two.apps[0], true).await;
    let paused = two.streams[0].expect_status(two.uids[0], "offline").await;
    assert_eq!(paused["message"], Value::Null, "{paused}");
    phone.report("unavailable").await;
    // A slow stream would merge it with the next one.
    two.streams[1].expect_status(two.uids[1], "unavailable").await;
    phone.send(json!({"status": "online", "message": "Back"})).await;
    phone.expect_ok().await;
    two.streams[1].expect_status(two.uids[1], "online").await;
    two.alice.pause(&two.apps[0], true).await;
    two.expect_no_more_updates().await;
    let polled = two.apps[0].presence_of(two.uids[0]).await;
    assert_eq!((&polled["status"], &polled["message"]), (&json!("offline"), &Value::Null));
    assert_eq!(polled["since"], paused["since"]);
    two.alice.pause(&two.apps[0], false).await;
    let resumed = two.streams[0].expect_status(two.uids[0], "online").await;
    assert_eq!(resumed["message"], "Back", "{resumed}");
    two.expect_no_more_updates().await;
}

#[tokio::test]
async fn pausing_an_offline_user_publishes_nothing() {
    let mut two = two(Server::start(unlimited_rates()).await).await;
    two.alice.pause(&two.apps[0], true).await;
    let _phone = Socket::device_of(&two.server, "alice", "phone", "online").await;
    two.streams[1].expect_status(two.uids[1], "online").await;
    two.expect_no_more_updates().await;
    two.alice.pause(&two.apps[0], false).await;
    two.streams[0].expect_status(two.uids[0], "online").await;
}

#[tokio::test]
async fn an_empty_visibility_hides_only_that_device() {
    let mut two = two(Server::start(unlimited_rates()).await).await;
    let mut phone = Socket::device_of(&two.server, "alice", "phone", "online").await;
    two.expect_both("online").await;
    phone.send(json!({"type": "visibility", "application_ids": []})).await;
    phone.expect_ok().await;
    two.expect_both("offline").await;
    phone.report("unavailable").await;
    two.expect_no_more_updates().await;
    let mut tablet = Socket::device_of(&two.server, "alice", "tablet", "unavailable").await;
    two.expect_both("unavailable").await;
    tablet.report("offline").await;
    two.expect_both("offline").await;
    let names: Vec<&str> = two.apps.iter().map(|app| app.appid.as_str()).collect();
    phone.send(json!({"type": "visibility", "application_ids": names})).await;
    phone.expect_ok().await;
    two.expect_both("unavailable").await;
}

#[tokio::test]
async fn a_visibility_is_applied_at_once_and_only_narrows() {
    let mut two = two(Server::start(unlimited_rates()).await).await;
    let ungranted = two.server.application_named(&two.apps[0].owner, "Ungranted").await;
    let (mut ungranted_stream, _) = Socket::stream(&two.server, &ungranted).await;
    let mut phone = Socket::device_of(&two.server, "alice", "phone", "online").await;
    two.expect_both("online").await;
    let list =
        json!([two.apps[1].appid, ungranted.appid, "unknown", "0123456789abcdef0123456789abcdef"]);
    phone.send(json!({"type": "visibility", "application_ids": list})).await;
    phone.expect_ok().await;
    two.streams[0].expect_status(two.uids[0], "offline").await;
    phone.report("unavailable").await;
    two.streams[1].expect_status(two.uids[1], "unavailable").await;
    two.expect_no_more_updates().await;
    // The list was sent before the grant, so the grant is not part of it.
    let uid = two.alice.grant(&ungranted).await;
    ungranted_stream.expect_no_stream_frame().await;
    assert_eq!(ungranted.presence_of(uid).await["status"], "offline");
}

#[tokio::test]
async fn an_update_for_named_applications_leaves_the_last_status_for_the_others() {
    let mut two = two(Server::start(unlimited_rates()).await).await;
    let mut phone = Socket::device_of(&two.server, "alice", "phone", "online").await;
    two.expect_both("online").await;
    let only = json!({"status": "unavailable", "application_ids": [two.apps[0].appid]});
    phone.send(only).await;
    phone.expect_ok().await;
    two.streams[0].expect_status(two.uids[0], "unavailable").await;
    two.expect_no_more_updates().await;
    assert_eq!(two.apps[1].presence_of(two.uids[1]).await["status"], "online");
    phone.send(json!({"status": "offline", "application_ids": []})).await;
    phone.expect_ok().await;
    two.expect_no_more_updates().await;
    phone.report("offline").await;
    two.expect_both("offline").await;
    phone
        .send(json!({"status": "online", "application_ids": [two.apps[1].appid, "unknown"]}))
        .await;
    phone.expect_ok().await;
    two.streams[1].expect_status(two.uids[1], "online").await;
    two.expect_no_more_updates().await;
    // A clean close ends the status for all Applications.
    phone.close(None).await;
    two.streams[1].expect_status(two.uids[1], "offline").await;
    two.expect_no_more_updates().await;
}

#[tokio::test]
async fn a_device_that_goes_offline_is_offline_for_all_that_ever_saw_it() {
    let mut two = two(Server::start(unlimited_rates()).await).await;
    let hidden = json!({"type": "visibility", "application_ids": []});
    let mut phone =
        Socket::open_authenticated(&two.server, SocketRequest::device(), "alice", hidden).await;
    let only = json!({"status": "unavailable", "application_ids": [two.apps[0].appid]});
    phone.send(only).await;
    phone.expect_ok().await;
    two.streams[0].expect_status(two.uids[0], "unavailable").await;
    phone.report("offline").await;
    two.streams[0].expect_status(two.uids[0], "offline").await;
    two.expect_no_more_updates().await;
    assert_eq!(two.apps[0].presence_of(two.uids[0]).await["status"], "offline");
}

#[tokio::test]
async fn a_visibility_is_kept_over_a_grace_time_and_not_over_a_clean_close() {
    let mut two = two(Server::start(unlimited_rates().with("grace-seconds", 0.3)).await).await;
    let mut phone = Socket::device_of(&two.server, "alice", "phone", "online").await;
    two.expect_both("online").await;
    phone.send(json!({"type": "visibility", "application_ids": [two.apps[0].appid]})).await;
    phone.expect_ok().await;
    two.streams[1].expect_status(two.uids[1], "offline").await;
    drop(phone);
    two.streams[0].expect_status(two.uids[0], "offline").await;
    let phone = Socket::device_of(&two.server, "alice", "phone", "online").await;
    two.streams[0].expect_status(two.uids[0], "online").await;
    two.expect_no_more_updates().await;
    phone.close(Some(1000)).await;
    two.streams[0].expect_status(two.uids[0], "offline").await;
    let _phone = Socket::device_of(&two.server, "alice", "phone", "online").await;
    two.expect_both("online").await;
}

#[tokio::test]
async fn a_reactivated_application_gets_only_the_present_statuses() {
    let mut two = two(Server::start(unlimited_rates()).await).await;
    let mut phone = Socket::device_of(&two.server, "alice", "phone", "online").await;
    two.expect_both("online").await;
    two.apps[0].deactivate().await;
    phone.report("unavailable").await;
    two.streams[1].expect_status(two.uids[1], "unavailable").await;
    two.apps[0].activate().await;
    let (mut stream, snapshot) = Socket::stream(&two.server, &two.apps[0]).await;
    assert_eq!(snapshot["presence"][0]["status"], "unavailable", "{snapshot}");
    stream.expect_no_stream_frame().await;
}

#[tokio::test]
async fn paused_hidden_and_offline_look_alike() {
    let server = Server::start(unlimited_rates()).await;
    let (application, _, absent) = server.application_with("absent").await;
    let mut uids = vec![absent];
    let mut devices = Vec::new();
    for name in ["paused", "hidden", "offline"] {
        let user = server.sign_in(name).await;
        uids.push(user.grant(&application).await);
        user.pause(&application, name == "paused").await;
        let hello = match name {
            "hidden" => json!({"type": "visibility", "application_ids": []}),
            "offline" => json!({"status": "offline", "message": "Secret"}),
            _ => json!({"status": "online", "message": "Secret"}),
        };
        devices
            .push(Socket::open_authenticated(&server, SocketRequest::device(), name, hello).await);
    }
    devices[1].report("online").await;
    let (mut stream, snapshot) = Socket::stream(&server, &application).await;
    assert_eq!(snapshot["presence"], json!([]));
    let reply = stream.ask(json!({"action": "query", "uids": uids})).await;
    let entries = reply["presence"].as_array().unwrap();
    for (entry, uid) in entries.iter().zip(&uids) {
        let mut alike = entry.clone();
        assert_eq!(alike["uid"], uid.to_string());
        alike["uid"] = entries[0]["uid"].clone();
        assert_eq!(alike, entries[0]);
    }
    let mut plain = Socket::app(&server, &application, SocketRequest::app(&application)).await;
    for _ in &uids {
        let update = plain.receive().await;
        assert_eq!(update["status"], "offline", "{update}");
        assert_eq!(update["version"], entries[0]["version"], "{update}");
    }
}

//! Pausing, hiding, and updates for some Applications only.

use presence_protocol::Puid;
use presence_tests::{Application, Server, Socket, SocketRequest, User};
use serde_json::{Value, json};

use super::lively;

/// Two Applications that alice granted, each with its stream and her name for it.
struct Two {
    server: Server,
    alice: User,
    apps: [Application; 2],
    uids: [Puid; 2],
    streams: [Socket; 2],
}

async fn two(server: Server) -> Two {
    let (one, alice, uid) = server.application_with("alice").await;
    let other = server.application_named(&one.owner, "Other").await;
    let uids = [uid, alice.grant(&other).await];
    let (one_stream, _) = Socket::stream(&server, &one).await;
    let (other_stream, _) = Socket::stream(&server, &other).await;
    Two { server, alice, apps: [one, other], uids, streams: [one_stream, other_stream] }
}

impl Two {
    async fn both_see(&mut self, status: &str) {
        for (stream, uid) in self.streams.iter_mut().zip(self.uids) {
            stream.sees(uid, status).await;
        }
    }

    async fn nobody_sees_more(&mut self) {
        for stream in &mut self.streams {
            stream.expect_no_stream_frame().await;
        }
    }
}

#[tokio::test]
async fn a_paused_grant_shows_offline_once_then_silence_then_the_present_status() {
    let mut two = two(Server::start(lively()).await).await;
    let hello = json!({"status": "online", "message": "Hi"});
    let mut phone =
        Socket::open_authenticated(&two.server, SocketRequest::device(), "alice", hello).await;
    two.both_see("online").await;
    two.alice.pause(&two.apps[0], true).await;
    let paused = two.streams[0].sees(two.uids[0], "offline").await;
    assert_eq!(paused["message"], Value::Null, "{paused}");
    phone.report("unavailable").await;
    phone.send(json!({"status": "online", "message": "Back"})).await;
    phone.expect_ok().await;
    two.streams[1].sees(two.uids[1], "unavailable").await;
    two.streams[1].sees(two.uids[1], "online").await;
    two.alice.pause(&two.apps[0], true).await;
    two.nobody_sees_more().await;
    let polled = two.apps[0].presence_of(two.uids[0]).await;
    assert_eq!((&polled["status"], &polled["message"]), (&json!("offline"), &Value::Null));
    assert_eq!(polled["since"], paused["since"]);
    two.alice.pause(&two.apps[0], false).await;
    let resumed = two.streams[0].sees(two.uids[0], "online").await;
    assert_eq!(resumed["message"], "Back", "{resumed}");
    two.nobody_sees_more().await;
}

#[tokio::test]
async fn pausing_while_offline_tells_nobody_anything() {
    let mut two = two(Server::start(lively()).await).await;
    two.alice.pause(&two.apps[0], true).await;
    let _phone = Socket::device_of(&two.server, "alice", "phone", "online").await;
    two.streams[1].sees(two.uids[1], "online").await;
    two.nobody_sees_more().await;
    two.alice.pause(&two.apps[0], false).await;
    two.streams[0].sees(two.uids[0], "online").await;
}

#[tokio::test]
async fn an_empty_visibility_hides_a_device_from_everyone_and_other_devices_stay_seen() {
    let mut two = two(Server::start(lively()).await).await;
    let mut phone = Socket::device_of(&two.server, "alice", "phone", "online").await;
    two.both_see("online").await;
    phone.send(json!({"type": "visibility", "application_ids": []})).await;
    phone.expect_ok().await;
    two.both_see("offline").await;
    phone.report("unavailable").await;
    two.nobody_sees_more().await;
    let mut tablet = Socket::device_of(&two.server, "alice", "tablet", "unavailable").await;
    two.both_see("unavailable").await;
    tablet.report("offline").await;
    two.both_see("offline").await;
    let names: Vec<&str> = two.apps.iter().map(|app| app.appid.as_str()).collect();
    phone.send(json!({"type": "visibility", "application_ids": names})).await;
    phone.expect_ok().await;
    two.both_see("unavailable").await;
}

#[tokio::test]
async fn a_visibility_is_applied_at_once_and_only_narrows() {
    let mut two = two(Server::start(lively()).await).await;
    let stranger = two.server.application_named(&two.apps[0].owner, "Stranger").await;
    let (mut stranger_stream, _) = Socket::stream(&two.server, &stranger).await;
    let mut phone = Socket::device_of(&two.server, "alice", "phone", "online").await;
    two.both_see("online").await;
    let list =
        json!([two.apps[1].appid, stranger.appid, "unknown", "0123456789abcdef0123456789abcdef"]);
    phone.send(json!({"type": "visibility", "application_ids": list})).await;
    phone.expect_ok().await;
    two.streams[0].sees(two.uids[0], "offline").await;
    phone.report("unavailable").await;
    two.streams[1].sees(two.uids[1], "unavailable").await;
    two.nobody_sees_more().await;
    // The list named the stranger before the grant was made: the grant is not in it.
    let uid = two.alice.grant(&stranger).await;
    stranger_stream.expect_no_stream_frame().await;
    assert_eq!(stranger.presence_of(uid).await["status"], "offline");
}

#[tokio::test]
async fn an_update_for_some_leaves_the_others_with_the_last_status() {
    let mut two = two(Server::start(lively()).await).await;
    let mut phone = Socket::device_of(&two.server, "alice", "phone", "online").await;
    two.both_see("online").await;
    let only = json!({"status": "unavailable", "application_ids": [two.apps[0].appid]});
    phone.send(only).await;
    phone.expect_ok().await;
    two.streams[0].sees(two.uids[0], "unavailable").await;
    two.nobody_sees_more().await;
    assert_eq!(two.apps[1].presence_of(two.uids[1]).await["status"], "online");
    phone.send(json!({"status": "offline", "application_ids": []})).await;
    phone.expect_ok().await;
    two.nobody_sees_more().await;
    phone.report("offline").await;
    two.both_see("offline").await;
    phone
        .send(json!({"status": "online", "application_ids": [two.apps[1].appid, "unknown"]}))
        .await;
    phone.expect_ok().await;
    two.streams[1].sees(two.uids[1], "online").await;
    two.nobody_sees_more().await;
    // A clean close ends all of it.
    phone.close(None).await;
    two.streams[1].sees(two.uids[1], "offline").await;
    two.nobody_sees_more().await;
}

#[tokio::test]
async fn a_visibility_outlives_a_grace_time_but_not_a_clean_close() {
    let mut two = two(Server::start(lively().with("grace-seconds", 0.3)).await).await;
    let mut phone = Socket::device_of(&two.server, "alice", "phone", "online").await;
    two.both_see("online").await;
    phone.send(json!({"type": "visibility", "application_ids": [two.apps[0].appid]})).await;
    phone.expect_ok().await;
    two.streams[1].sees(two.uids[1], "offline").await;
    drop(phone);
    two.streams[0].sees(two.uids[0], "offline").await;
    let phone = Socket::device_of(&two.server, "alice", "phone", "online").await;
    two.streams[0].sees(two.uids[0], "online").await;
    two.nobody_sees_more().await;
    phone.close(Some(1000)).await;
    two.streams[0].sees(two.uids[0], "offline").await;
    let _phone = Socket::device_of(&two.server, "alice", "phone", "online").await;
    two.both_see("online").await;
}

#[tokio::test]
async fn a_stopped_application_is_told_what_it_missed_only_by_the_present_status() {
    let mut two = two(Server::start(lively()).await).await;
    let mut phone = Socket::device_of(&two.server, "alice", "phone", "online").await;
    two.both_see("online").await;
    two.apps[0].deactivate().await;
    phone.report("unavailable").await;
    two.streams[1].sees(two.uids[1], "unavailable").await;
    two.apps[0].activate().await;
    let (mut stream, snapshot) = Socket::stream(&two.server, &two.apps[0]).await;
    assert_eq!(snapshot["presence"][0]["status"], "unavailable", "{snapshot}");
    stream.expect_no_stream_frame().await;
}

#[tokio::test]
async fn paused_hidden_and_offline_look_alike() {
    let server = Server::start(lively()).await;
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
    let told = reply["presence"].as_array().unwrap();
    for (entry, uid) in told.iter().zip(&uids) {
        let mut alike = entry.clone();
        assert_eq!(alike["uid"], uid.to_string());
        alike["uid"] = told[0]["uid"].clone();
        assert_eq!(alike, told[0]);
    }
    let mut plain = Socket::app(&server, &application, SocketRequest::app(&application)).await;
    for _ in &uids {
        let update = plain.receive().await;
        assert_eq!(update["status"], "offline", "{update}");
        assert_eq!(update["version"], told[0]["version"], "{update}");
    }
}

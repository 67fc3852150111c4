//! Devices at different servers.

use presence_protocol::CloseCode;
use presence_tests::{Server, ServerOptions, Socket};
use serde_json::{Value, json};

use super::long_grace_time;

#[tokio::test]
async fn an_application_sees_the_devices_of_all_servers_merged() {
    let [one, two] = Server::start_sharing(long_grace_time()).await;
    let (application, _, uid) = one.application_with("alice").await;
    let (mut here, _) = Socket::stream(&one, &application).await;
    let (mut there, _) = Socket::stream(&two, &application).await;
    let mut phone = Socket::device_of(&one, "alice", "phone", "unavailable").await;
    for stream in [&mut here, &mut there] {
        stream.expect_status(uid, "unavailable").await;
    }
    let laptop = Socket::device_of(&two, "alice", "laptop", "online").await;
    for stream in [&mut here, &mut there] {
        stream.expect_status(uid, "online").await;
    }
    laptop.close(None).await;
    let mut versions = Vec::new();
    for stream in [&mut here, &mut there] {
        versions.push(stream.expect_status(uid, "unavailable").await["version"].clone());
    }
    assert_eq!(versions[0], versions[1], "both servers tell the same");
    phone.report("offline").await;
    for stream in [&mut here, &mut there] {
        let offline = stream.expect_status(uid, "offline").await;
        assert_eq!(offline["cause"], "left", "{offline}");
    }
}

#[tokio::test]
async fn a_device_that_connects_to_another_server_replaces_its_earlier_connection() {
    let [one, two] = Server::start_sharing(long_grace_time()).await;
    let (application, alice, uid) = one.application_with("alice").await;
    let mut earlier = Socket::device_of(&one, "alice", "phone", "online").await;
    let mut later = Socket::device_of(&two, "alice", "phone", "unavailable").await;
    earlier.expect_close(CloseCode::Replaced).await;
    let (_, snapshot) = Socket::stream(&one, &application).await;
    assert_eq!(snapshot["presence"][0]["status"], "unavailable", "{snapshot}");
    let devices = alice.call("GET", "/devices").await.ok()["devices"].clone();
    assert_eq!(devices.as_array().map(Vec::len), Some(1), "{devices}");
    later.report("online").await;
    let answer = two.call("GET", &format!("/apps/{}/presence", application.appid));
    let answer = answer.bearer(&application.api_key).await;
    assert_eq!(answer.ok()["presence"][0]["uid"], json!(uid), "{answer:?}");
}

#[tokio::test]
async fn a_device_that_loses_its_connection_and_returns_at_another_server_was_never_away() {
    let [one, two] = Server::start_sharing(long_grace_time()).await;
    let (application, _, uid) = one.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&two, &application).await;
    drop(Socket::device_of(&one, "alice", "phone", "online").await);
    stream.expect_status(uid, "online").await;
    let mut phone = Socket::device_of(&two, "alice", "phone", "online").await;
    phone.report("unavailable").await;
    // The next change is the first one that it sees.
    stream.expect_status(uid, "unavailable").await;
}

#[tokio::test]
async fn a_lost_device_is_offline_once_its_grace_time_is_over() {
    let options = long_grace_time().with("grace-seconds", 0.3);
    let [one, two] = Server::start_sharing(options).await;
    let (application, _, uid) = one.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&two, &application).await;
    let phone = Socket::device_of(&one, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    drop(phone);
    let offline = stream.expect_status(uid, "offline").await;
    assert_eq!(offline["cause"], "lost", "{offline}");
}

#[tokio::test]
async fn the_limit_of_the_devices_of_a_user_counts_those_of_all_servers() {
    let options = ServerOptions::default().with("sockets-per-user", 2);
    let [one, two] = Server::start_sharing(options).await;
    one.sign_in("alice").await;
    let _phone = Socket::device_of(&one, "alice", "phone", "online").await;
    let _laptop = Socket::device_of(&two, "alice", "laptop", "online").await;
    let mut third = Socket::device(&one).await;
    let assertion = one.assertion("alice").await;
    third.send(json!({"assertion": assertion, "device": "tablet", "status": "online"})).await;
    third.expect_error(presence_protocol::Errno::TooManyConnections).await;
}

#[tokio::test]
async fn a_notification_reaches_devices_at_all_servers_and_its_receipt_all_streams() {
    let [one, two] = Server::start_sharing(long_grace_time()).await;
    let (application, _, uid) = one.application_with("alice").await;
    let mut phone = acknowledging(&one, "phone").await;
    let mut laptop = acknowledging(&two, "laptop").await;
    let mut streams = Vec::new();
    for server in [&one, &two] {
        streams.push(Socket::stream_with_receipts(server, &application).await);
    }
    let items = json!([{"uid": uid, "message": "Hello", "action": ""}]);
    let body = json!({"notifications": items});
    let path = format!("/apps/{}/notifications", application.appid);
    let sent = two.call("POST", &path).bearer(&application.api_key).json(&body).await;
    let id = sent.ok()["results"][0]["id"].clone();
    for device in [&mut phone, &mut laptop] {
        let received = device.receive().await;
        assert_eq!(received["notifications"][0]["id"], id, "{received}");
    }
    phone.send(json!({"type": "ack", "ids": [id]})).await;
    phone.expect_ok().await;
    for stream in &mut streams {
        let frame = stream.receive_until(|frame| frame["receipts"] != Value::Null).await;
        assert_eq!(frame["receipts"][0]["id"], id, "{frame}");
        assert_eq!(frame["receipts"][0]["state"], "acked", "{frame}");
    }
}

async fn acknowledging(server: &Server, device: &str) -> Socket {
    let first_frame = json!({"device": device, "status": "online", "acks": true});
    let request = presence_tests::SocketRequest::device();
    Socket::open_authenticated(server, request, "alice", first_frame).await
}

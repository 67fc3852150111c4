//! The account: everything that is stored about a user, and its deletion.

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Server, ServerOptions, Socket, email};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn an_account_shows_all_stored_data() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    application.notify(&json!([{"uid": uid, "message": "Hi"}])).await.ok();
    let own = server.application_named(&alice, "Own").await;
    let held = alice.call("GET", "/account").await.ok();
    assert_eq!(held["email"], email("alice"));
    assert_eq!(held["grants"][0]["appid"], application.appid);
    assert_eq!(held["apps"][0]["appid"], own.appid);
    assert_eq!(held["notifications"][0]["message"], "Hi");
    assert_eq!(held["devices"], json!([]));
    assert!(held["sessions"].as_u64() >= Some(1), "{held}");
}

#[tokio::test]
async fn an_account_with_many_notifications_is_complete_and_two_are_answered_at_once() {
    let server = Server::start(ServerOptions::default().with("notify-burst", 1000)).await;
    let (application, alice, uid) = server.application_with("alice").await;
    let developer = server.sign_in("developer").await;
    let second = server.application_named(&developer, "Second").await;
    let second_uid = alice.grant(&second).await;
    let text = "😀".repeat(500);
    for (application, uid) in [(&application, uid), (&second, second_uid)] {
        let item = |n: u32| json!({"uid": uid, "message": format!("{n} {text}"), "action": format!("https://a.example/{}", "é".repeat(490))});
        let items: Vec<Value> = (0..100).map(item).collect();
        application.notify(&json!(items)).await.ok();
    }
    let held = alice.call("GET", "/account").await.ok();
    let messages: Vec<String> = (0..200).map(|n| format!("{} {text}", n % 100)).collect();
    let notifications = held["notifications"].as_array().unwrap();
    let found: Vec<&str> =
        notifications.iter().map(|item| item["message"].as_str().unwrap()).collect();
    assert_eq!(found, messages);
    let request = format!(
        "GET /account HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        alice.token
    );
    let mut unread = Vec::new();
    for _ in 0..2 {
        let mut connection = TcpStream::connect(server.address()).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        // The response has begun.
        connection.read_exact(&mut [0; 16]).await.unwrap();
        unread.push(connection);
    }
    let refused = alice.call("GET", "/account").await;
    refused.assert_error(Errno::SlowDown);
    assert!(refused.json()["retry_after"].as_f64() > Some(0.0), "{}", refused.text);
    drop(unread);
    while alice.call("GET", "/account").await.status != 200 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_device_session_sees_no_more_in_the_account_than_elsewhere() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let paused = server.application_named(&alice, "Paused").await;
    let paused_uid = alice.grant(&paused).await;
    for (application, uid) in [(&application, uid), (&paused, paused_uid)] {
        application.notify(&json!([{"uid": uid, "message": "Hi"}])).await.ok();
    }
    alice.pause(&paused, true).await;
    let phone = server.sign_in_for("alice", "device").await;
    let held = phone.call("GET", "/account").await.ok();
    assert_eq!((&held["email"], &held["apps"]), (&json!(email("alice")), &json!([])));
    assert_eq!((&held["sessions"], &held["created_at"]), (&json!(0), &json!(0)));
    assert_eq!(held["grants"], phone.call("GET", "/grants").await.ok()["grants"]);
    let notifications = held["notifications"].as_array().unwrap();
    assert_eq!(notifications.len(), 1, "a paused grant delivers nothing: {held}");
    assert_eq!(notifications[0]["appid"], application.appid);
    assert_eq!(
        alice.call("GET", "/account").await.ok()["notifications"].as_array().unwrap().len(),
        2
    );
}

#[tokio::test]
async fn deleting_an_account_ends_its_sessions_sockets_and_grants() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let own = server.application_named(&alice, "Own").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let (mut own_stream, _) = Socket::stream(&server, &own).await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    alice.call("DELETE", "/account").await.ok();
    phone.expect_close(CloseCode::EndedByUser).await;
    own_stream.expect_close(CloseCode::ApplicationClosed).await;
    let frame = stream.receive_until(|frame| frame["presence"][0]["revoked"] == true).await;
    assert_eq!(frame["presence"][0]["uid"], uid.to_string());
    alice.call("GET", "/session").await.assert_error(Errno::SessionExpired);
    let refused = application.notify(&json!([{"uid": uid, "message": "x"}])).await.ok();
    assert_eq!(refused["results"][0]["errno"], Errno::UnknownUid.number());
    own.call("GET", "/presence").await.assert_error(Errno::InvalidApiKey);
    // The same name is a new account afterwards.
    let again = server.sign_in("alice").await;
    let held = again.call("GET", "/account").await.ok();
    assert_eq!((&held["grants"], &held["apps"]), (&json!([]), &json!([])));
    assert_ne!(again.grant(&application).await, uid);
}

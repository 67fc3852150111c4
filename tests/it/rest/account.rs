//! The account: everything that is stored about a user, and its deletion.

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Server, Socket, email};
use serde_json::json;

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

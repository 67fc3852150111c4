//! A page and a channel on the same path, and the versions of a page.

use presence_protocol::Errno;
use presence_tests::{Server, Socket, SocketRequest, User};
use serde_json::json;

#[tokio::test]
async fn an_applications_path_serves_a_page_to_browsers_and_the_channel_to_upgrades() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    for path in [format!("/myapps/{}", application.appid), "/myapps/".to_owned()] {
        let page = server.call("GET", &path).header("accept", "text/html,*/*;q=0.8").await;
        assert_eq!(page.status, 303, "{}", page.text);
        assert!(page.header("location").starts_with("/sign-in?return="));
        server.call("GET", &path).await.assert_error(Errno::InvalidField);
        server
            .call("GET", &path)
            .header("accept", "application/json")
            .await
            .assert_error(Errno::InvalidField);
        server.call("POST", &path).await.assert_error(Errno::MethodNotAllowed);
        let key = &application.api_key;
        let way = SocketRequest::to(&path).v1().bearer(key).header("accept", "text/html");
        let mut stream = Socket::open(&server, way).await;
        assert_eq!(stream.receive().await["result"], "OK");
    }
}

/// Loads the page of a user, who has a version of it. Returns the status and the version.
async fn load(user: &User, known: &str) -> (u16, String) {
    let page = user.call("GET", "/sidebar").header("accept", "text/html");
    let page = page.header("if-none-match", known).await;
    let is_empty = page.text.is_empty();
    assert_eq!(page.status == 304, is_empty, "{}", page.text);
    (page.status, page.header("etag").to_owned())
}

/// Loads the page until its version is the current one.
async fn current_version(user: &User) -> String {
    let mut version = String::new();
    for _ in 0..10 {
        match load(user, &version).await {
            (304, same) => {
                assert_eq!(same, version);
                return version;
            }
            (_, newer) => version = newer,
        }
    }
    panic!("the page changes all the time");
}

#[tokio::test]
async fn a_page_is_sent_again_only_if_something_on_it_has_changed() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    let mut other = server.sign_in("alice").await;
    assert_ne!(current_version(&alice).await, current_version(&other).await, "a page of a session");
    for change in 0..10 {
        let version = current_version(&alice).await;
        match change {
            0 => phone.report("unavailable").await,
            1 => assert!(application.presence_of(uid).await.is_object()),
            2 => alice.pause(&application, true).await,
            3 => alice.pause(&application, false).await,
            4 => {
                drop(
                    application.owner_call("PATCH", "").json(&json!({"name": "Other"})).await.ok(),
                );
            }
            5 => other = server.sign_in("alice").await,
            6 => drop(other.call("DELETE", "/session").await.ok()),
            7 => application.deactivate().await,
            8 => drop(alice.call("DELETE", "/devices/phone").await.ok()),
            _ => alice.revoke(&application).await,
        }
        assert_eq!(load(&alice, &version).await.0, 200, "change {change}");
    }
    let bob = server.sign_in("bob").await;
    let (version, of_bob) = (current_version(&alice).await, current_version(&bob).await);
    assert_ne!(version, of_bob);
    Socket::device_of(&server, "bob", "phone", "online").await;
    assert_eq!(load(&bob, &version).await.0, 200, "the version of another user");
}

#[tokio::test]
async fn while_an_application_checks_all_the_time_the_page_stays_the_same() {
    let server = Server::start_default().await;
    let (application, alice, _) = server.application_with("alice").await;
    let (stream, _) = Socket::stream(&server, &application).await;
    let version = current_version(&alice).await;
    let page = alice.call("GET", "/sidebar").header("accept", "text/html").await;
    assert!(page.text.contains("last checked now"), "{}", page.text);
    stream.close(Some(1000)).await;
    // The end of a socket has no reply.
    while load(&alice, &version).await.0 == 304 {}
    let page = alice.call("GET", "/sidebar").header("accept", "text/html").await;
    assert!(!page.text.contains("last checked now"), "{}", page.text);
}

#[tokio::test]
async fn applications_of_one_name_are_told_apart_by_their_ids() {
    let server = Server::start_default().await;
    let (chat, alice, _) = server.application_with("alice").await;
    let page = async || alice.call("GET", "/sidebar").header("accept", "text/html").await.text;
    let id = |appid: &str| format!("appid <code>{}…</code>", &appid[..8]);
    assert!(!page().await.contains(&id(&chat.appid)));
    let owner = server.sign_in("developer").await;
    let other = server.application(&owner).await;
    let chess = server.application_named(&owner, "Chess").await;
    for application in [&other, &chess] {
        alice.grant(application).await;
    }
    let page = page().await;
    assert!(page.contains(&id(&chat.appid)) && page.contains(&id(&other.appid)), "{page}");
    assert!(!page.contains(&id(&chess.appid)), "{page}");
}

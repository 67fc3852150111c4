//! Actions of users at one server take effect at all.

use presence_protocol::{CloseCode, Errno};
use presence_test_postgres::Cluster;
use presence_tests::{Server, Socket, email};
use serde_json::json;

use super::long_grace_time;

#[tokio::test]
async fn a_session_that_ends_at_one_server_ends_its_connections_at_another() {
    let [one, two] = Server::start_sharing(long_grace_time()).await;
    let alice = one.sign_in("alice").await;
    let mut phone = Socket::device(&two).await;
    phone.send(json!({"token": alice.token, "device": "phone", "status": "online"})).await;
    phone.expect_ok().await;
    assert_eq!(one.call("DELETE", "/session").bearer(&alice.token).await.status, 200);
    phone.expect_close(CloseCode::NotAuthorised).await;
    let answer = two.call("GET", "/devices").bearer(&alice.token).await;
    answer.assert_error(Errno::SessionExpired);
}

#[tokio::test]
async fn a_device_that_its_user_ends_at_one_server_is_closed_at_another() {
    let [one, two] = Server::start_sharing(long_grace_time()).await;
    let (application, alice, uid) = one.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&one, &application).await;
    let mut phone = Socket::device_of(&two, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    alice.call("DELETE", "/devices/phone").await.ok();
    stream.expect_status(uid, "offline").await;
    phone.expect_close(CloseCode::EndedByUser).await;
}

#[tokio::test]
async fn a_pause_a_revocation_and_an_erasure_hide_a_user_whose_device_is_elsewhere() {
    let [one, two] = Server::start_sharing(long_grace_time()).await;
    let (application, alice, uid) = one.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&two, &application).await;
    let mut phone = Socket::device_of(&two, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    alice.pause(&application, true).await;
    let path = format!("/apps/{}/presence", application.appid);
    for server in [&one, &two] {
        let answer = server.call("GET", &path).bearer(&application.api_key).await;
        assert_eq!(answer.ok()["presence"], json!([]), "{answer:?}");
    }
    stream.expect_status(uid, "offline").await;
    phone.report("unavailable").await;
    alice.pause(&application, false).await;
    stream.expect_status(uid, "unavailable").await;
    alice.revoke(&application).await;
    assert_eq!(stream.expect_status(uid, "offline").await["revoked"], true);
    let again = alice.grant(&application).await;
    assert_ne!(again, uid);
    stream.expect_status(again, "unavailable").await;
    assert_eq!(alice.call("DELETE", "/account").await.status, 200);
    assert_eq!(stream.expect_status(again, "offline").await["revoked"], true);
    phone.expect_close(CloseCode::EndedByUser).await;
    let left = "SELECT count(*) FROM live_connections";
    assert_eq!(Cluster::shared().run_sql(&one.database_name(), left).trim(), "0");
}

#[tokio::test]
async fn a_user_sees_the_last_check_and_the_version_of_the_page_at_whichever_server() {
    let [one, two] = Server::start_sharing(long_grace_time()).await;
    let (application, alice, _) = one.application_with("alice").await;
    let page = async |server: &Server, known: &str| {
        let page =
            server.call("GET", "/sidebar").bearer(&alice.token).header("accept", "text/html");
        page.header("if-none-match", known).await
    };
    let before = page(&one, "").await;
    let version = before.header("etag").to_owned();
    assert_eq!(page(&two, &version).await.status, 304);
    let path = format!("/apps/{}/presence", application.appid);
    one.call("GET", &path).bearer(&application.api_key).await.ok();
    // The check is written soon after the answer.
    while page(&two, &version).await.status == 304 {}
    let after = page(&two, &version).await;
    assert!(after.text.contains("last checked"), "{}", after.text);
    assert_eq!(page(&one, after.header("etag")).await.status, 304);
}

#[tokio::test]
async fn an_assertion_of_development_mode_that_one_server_makes_signs_in_once_at_any() {
    let [one, two] = Server::start_sharing(long_grace_time()).await;
    let body = json!({"email": email("alice"), "audience": two.url()});
    let made = one.call("POST", "/dev/assertion").json(&body).await.ok();
    let body = json!({"assertion": made["assertion"], "scope": "account"});
    two.call("POST", "/session").json(&body).await.ok();
    let answer = two.call("POST", "/session").json(&body).await;
    answer.assert_error(Errno::InvalidAssertion);
}

#[tokio::test]
async fn servers_with_one_public_url_in_development_mode_are_one_issuer() {
    let options = long_grace_time().with("public-url", "http://localhost:7777");
    let [one, two] = Server::start_sharing(options).await;
    for (maker, user) in [(&one, &two), (&two, &one)] {
        let body = json!({"assertion": maker.assertion("alice").await, "scope": "account"});
        let token = user.call("POST", "/session").json(&body).await.ok()["token"].clone();
        let account = maker.call("GET", "/account").bearer(token.as_str().unwrap()).await;
        assert_eq!(account.ok()["email"], email("alice"), "{account:?}");
    }
}

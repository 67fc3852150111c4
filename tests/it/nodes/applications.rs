//! Applications and their streams at different servers.

use presence_protocol::{CloseCode, Errno};
use presence_test_postgres::Cluster;
use presence_tests::{Server, ServerOptions, Socket, SocketRequest};
use serde_json::{Value, json};

use super::long_grace_time;

#[tokio::test]
async fn a_stream_resumes_at_another_server_without_a_gap() {
    let [one, two] = Server::start_sharing(long_grace_time()).await;
    let (application, _, uid) = one.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&one, &application).await;
    let mut phone = Socket::device_of(&one, "alice", "phone", "online").await;
    let frame = stream.receive().await;
    let cursor = frame["cursor"].clone();
    drop(stream);
    phone.report("unavailable").await;
    let request = || SocketRequest::app(&application).v1();
    let auth = json!({"cursor": cursor});
    let mut resumed = Socket::app_with(&two, &application, request(), auth).await;
    let frame = resumed.receive().await;
    assert_eq!(frame["gap"], Value::Null, "{frame}");
    assert_eq!(frame["snapshot"], Value::Null, "{frame}");
    assert_eq!(frame["presence"][0]["uid"], json!(uid), "{frame}");
    assert_eq!(frame["presence"][0]["status"], "unavailable", "{frame}");
    assert_eq!(frame["presence"].as_array().map(Vec::len), Some(1), "{frame}");
}

#[tokio::test]
async fn a_deactivated_application_or_a_deleted_key_closes_sockets_at_all_servers() {
    let [one, two] = Server::start_sharing(long_grace_time()).await;
    let (application, _, uid) = one.application_with("alice").await;
    let _phone = Socket::device_of(&one, "alice", "phone", "online").await;
    let (mut stream, _) = Socket::stream(&two, &application).await;
    application.deactivate().await;
    stream.expect_close(CloseCode::ApplicationClosed).await;
    let path = format!("/apps/{}/presence", application.appid);
    let answer = two.call("GET", &path).bearer(&application.api_key).await;
    answer.assert_error(Errno::ApplicationNotActive);
    application.activate().await;
    let (mut stream, snapshot) = Socket::stream(&two, &application).await;
    assert_eq!(snapshot["presence"][0]["uid"], json!(uid), "{snapshot}");
    let keys = application.owner.call("GET", &format!("/apps/{}/keys", application.appid)).await;
    let key = keys.ok()["keys"][0]["id"].clone();
    let path = format!("/apps/{}/keys/{key}", application.appid);
    assert_eq!(application.owner.call("DELETE", &path).await.status, 200);
    stream.expect_close(CloseCode::ApplicationClosed).await;
}

#[tokio::test]
async fn an_application_is_removed_everywhere_by_a_server_that_knew_nothing_of_it() {
    let [one, two, three] = Server::start_sharing(long_grace_time()).await;
    let (application, _, uid) = one.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&two, &application).await;
    let _phone = Socket::device_of(&one, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    let path = format!("/apps/{}", application.appid);
    three.call("DELETE", &path).bearer(&application.owner.token).await.ok();
    stream.expect_close(CloseCode::ApplicationClosed).await;
    let left = "SELECT count(*) FROM live_streams";
    assert_eq!(Cluster::shared().run_sql(&one.database_name(), left).trim(), "0");
}

#[tokio::test]
async fn the_limit_of_the_sockets_of_an_application_counts_those_of_all_servers() {
    let options = ServerOptions::default().with("sockets-per-app", 2);
    let [one, two] = Server::start_sharing(options).await;
    let owner = one.sign_in("developer").await;
    let application = one.application(&owner).await;
    let (_here, _) = Socket::stream(&one, &application).await;
    let (_there, _) = Socket::stream(&two, &application).await;
    let mut third = Socket::open(&one, SocketRequest::app(&application).v1()).await;
    third.send(json!({"action": "auth", "token": application.api_key})).await;
    third.expect_error(Errno::TooManyConnections).await;
}

//! The move of a server from SQLite to PostgreSQL.

use presence_test_postgres::Cluster;
use presence_tests::{Server, ServerOptions, Socket, run};
use serde_json::json;

#[tokio::test]
async fn a_server_that_moves_to_postgresql_goes_on_where_it_was() {
    let mut old = Server::start_default().await;
    let file = format!("sqlite://{}", old.database().display());
    let (application, alice, uid) = old.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&old, &application).await;
    let phone = Socket::device_of(&old, "alice", "phone", "online").await;
    let before = stream.expect_status(uid, "online").await;
    phone.close(Some(1000)).await;
    stream.expect_status(uid, "offline").await;
    let path = format!("/apps/{}/notifications", application.appid);
    let notification = json!({"notifications": [{"uid": uid, "message": "Lunch?"}]});
    let sent = old.call("POST", &path).bearer(&application.api_key).json(&notification).await;
    let sent = sent.ok()["results"][0]["id"].clone();

    let directory = tempfile::tempdir().unwrap();
    let to = Cluster::shared().create_database();
    let copy = ["copy", "--database", &file, "--to", &to];
    let refused = run(directory.path(), &copy, &[]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("is in use by another server"), "{refused:?}");
    old.terminate().await;
    let copied = run(directory.path(), &copy, &[]).await;
    assert_eq!(copied.code, Some(0), "{copied:?}");
    assert!(copied.out.contains("copied: grants, 1 rows\n"), "{copied:?}");
    let again = run(directory.path(), &copy, &[]).await;
    assert!(again.err.contains("is not empty"), "{again:?}");

    let new = Server::start(ServerOptions::default().with_database(&to)).await;
    let account = new.call("GET", "/account").bearer(&alice.token).await.ok();
    assert_eq!(account["grants"][0]["uid"], json!(uid), "{account}");
    let (mut stream, _) = Socket::stream(&new, &application).await;
    let mut phone = Socket::device(&new).await;
    phone.send(json!({"token": alice.token, "device": "phone", "status": "online"})).await;
    phone.expect_ok().await;
    assert_eq!(phone.receive().await["notifications"][0]["id"], sent);
    let after = stream.expect_status(uid, "online").await;
    assert!(after["version"].as_u64() > before["version"].as_u64(), "{before} {after}");
}

//! A running server: its health, its mode, and other servers beside it.

use presence_protocol::Errno;
use presence_tests::{Server, ServerOptions, Socket, StoppedServer, email};
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

#[tokio::test]
async fn health_and_version_need_no_credential() {
    let server = Server::start_default().await;
    let health = server.call("GET", "/__heartbeat__").await.ok();
    assert_eq!((&health["status"], &health["database"]), (&json!("ok"), &json!("ok")), "{health}");
    assert_eq!(health["development"], true);
    let tasks = json!({"connections": "ok", "grace_times": "ok", "maintenance": "ok",
        "metrics": "ok", "reload": "ok", "settlements": "ok", "timers": "ok", "writer": "ok"});
    assert_eq!(health["tasks"], tasks);
    assert_eq!(server.call("GET", "/__lbheartbeat__").await.ok()["status"], "ok");
    let version = server.call("GET", "/__version__").await.ok();
    for field in ["source", "version", "commit", "build"] {
        assert!(version[field].is_string(), "{version}");
    }
}

#[tokio::test]
async fn a_server_reports_a_failing_database_and_still_answers() {
    let server = Server::start_default().await;
    let options = SqliteConnectOptions::new().filename(server.database());
    let mut tables = options.connect().await.unwrap();
    sqlx::query("ALTER TABLE meta RENAME TO lost").execute(&mut tables).await.unwrap();
    let health = server.call("GET", "/__heartbeat__").await;
    assert_eq!(health.status, 503, "{}", health.text);
    let health = health.json();
    assert_eq!((&health["status"], &health["database"]), (&json!("error"), &json!("error")));
    server.call("GET", "/__lbheartbeat__").await.ok();
    sqlx::query("ALTER TABLE lost RENAME TO meta").execute(&mut tables).await.unwrap();
    server.call("GET", "/__heartbeat__").await.ok();
}

#[tokio::test]
async fn a_hang_up_signal_ends_no_server() {
    let mut server = Server::start_default().await;
    server.signal("HUP").await;
    server.wait_for_log("there is no certificate to reload").await;
    server.call("GET", "/__heartbeat__").await.ok();
    assert_eq!(server.terminate().await, StoppedServer::With(0));
}

#[tokio::test]
async fn the_version_of_a_container_comes_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("version.json");
    let version = json!({"source": "https://git.example/presence", "version": "1.2.3",
        "commit": "0a1b2c3", "build": "https://ci.example/7"});
    std::fs::write(&file, version.to_string()).unwrap();
    let server = Server::start(ServerOptions::default().with("version-file", file.display())).await;
    assert_eq!(server.call("GET", "/__version__").await.ok(), version);
    // A file that cannot be read counts as missing.
    std::fs::write(&file, "{").unwrap();
    assert_ne!(server.call("GET", "/__version__").await.ok()["version"], "");
}

#[tokio::test]
async fn without_development_mode_no_assertion_is_made() {
    let server = Server::start(ServerOptions::default().production()).await;
    assert_eq!(server.call("GET", "/__heartbeat__").await.ok()["development"], false);
    let body = json!({"email": email("alice")});
    server.call("POST", "/dev/assertion").json(&body).await.assert_error(Errno::NotFound);
    assert_eq!(server.call("GET", "/dev").await.status, 404);
}

#[tokio::test]
async fn two_servers_on_two_databases_do_not_disturb_each_other() {
    let (one, other) = (Server::start_default().await, Server::start_default().await);
    let (chat, alice, uid) = one.application_with("alice").await;
    let (chess, _, other_uid) = other.application_with("alice").await;
    assert_ne!(uid, other_uid);
    let (mut stream, _) = Socket::stream(&one, &chat).await;
    let (mut other_stream, _) = Socket::stream(&other, &chess).await;
    let mut phone = Socket::device_of(&one, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    other_stream.expect_no_stream_frame().await;
    let other_user = other.call("GET", "/grants").bearer(&alice.token).await;
    other_user.assert_error(Errno::SessionExpired);
    let mut tablet = Socket::device(&other).await;
    let assertion = one.assertion("alice").await;
    let elsewhere = json!({"assertion": assertion, "status": "online"});
    assert_eq!(tablet.ask(elsewhere).await["errno"], Errno::InvalidAssertion.number());
    let item = json!([{"uid": uid, "message": "to the other", "action": ""}]);
    let refused: Value = chess.notify(&item).await.json();
    assert_eq!(refused["results"][0]["errno"], Errno::UnknownUid.number(), "{refused}");
    phone.expect_no_frame().await;
}

#[tokio::test]
async fn a_server_uses_no_pages_of_2_mib() {
    let server = Server::start_default().await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("THP_enabled:"));
    assert_eq!(line.map(str::trim), Some("0"), "{status}");
}

//! A server that runs: its health, its mode, what it logs, and its neighbours.

use presence_protocol::Errno;
use presence_tests::{Application, Options, Server, Socket, email};
use serde_json::{Value, json};

#[tokio::test]
async fn health_and_version_are_told_to_anybody() {
    let server = Server::quick().await;
    let health = server.call("GET", "/__heartbeat__").await.ok();
    assert_eq!((&health["status"], &health["database"]), (&json!("ok"), &json!("ok")), "{health}");
    assert_eq!(health["development"], true);
    assert_eq!(server.call("GET", "/__lbheartbeat__").await.ok()["status"], "ok");
    let version = server.call("GET", "/__version__").await.ok();
    for field in ["source", "version", "commit", "build"] {
        assert!(version[field].is_string(), "{version}");
    }
}

#[tokio::test]
async fn without_development_mode_nobody_gets_an_assertion() {
    let server = Server::start(Options::default().production()).await;
    assert_eq!(server.call("GET", "/__heartbeat__").await.ok()["development"], false);
    let wish = json!({"email": email("alice")});
    server.call("POST", "/dev/assertion").json(&wish).await.is_ko(Errno::NotFound);
    assert_eq!(server.call("GET", "/dev").await.status, 404);
}

#[tokio::test]
async fn nothing_that_names_or_lets_in_anybody_is_logged() {
    let default = "info,poem=warn,sea_orm_migration=warn,sqlx=warn";
    for level in [default, "info", "debug"] {
        let mut server = Server::start(Options::default().with("log", level)).await;
        let secrets = live_a_day(&server).await;
        server.terminate().await;
        let log = server.log();
        let told: Vec<_> = secrets.iter().filter(|secret| log.contains(secret.as_str())).collect();
        assert!(told.is_empty(), "{told:?} was logged at {level}:\n{log}");
    }
}

/// Does a little of everything, also what goes wrong; gives what must not be logged.
async fn live_a_day(server: &Server) -> Vec<String> {
    let (application, alice, uid) = server.application_with("alice").await;
    let assertion = server.assertion("alice").await;
    let mut phone = Socket::device(server).await;
    let hello = json!({"email": email("alice"), "assertion": assertion, "status": "online",
        "message": "my private status"});
    assert_eq!(phone.ask(hello.clone()).await, json!({"result": "OK"}));
    misuse(server, &application, &assertion).await;
    let item = json!({"uid": uid, "message": "my private message", "action": ""});
    application.notify(&json!([item])).await.ok();
    phone.hear_until(|frame| frame["notifications"].is_array()).await;
    alice.pause(&application, true).await;
    alice.revoke(&application).await;
    phone.close(None).await;
    alice.call("DELETE", "/account").await;
    let words = ["my private status", "my private message", "alice@", "developer@", "mallory"];
    let mut secrets: Vec<String> = words.map(str::to_owned).to_vec();
    secrets.extend([alice.token, assertion, application.api_key, application.owner.token]);
    secrets
}

/// Tries what is refused, with credentials that must not be logged either.
async fn misuse(server: &Server, application: &Application, assertion: &str) {
    let mut thief = Socket::device(server).await;
    let stolen = json!({"email": email("mallory"), "assertion": assertion, "status": "online"});
    assert_eq!(thief.ask(stolen).await["result"], "KO");
    thief.send_raw("{\"assertion\":\"half of a").await;
    assert_eq!(thief.hear().await["result"], "KO");
    let (mut stream, _) = Socket::stream(server, application).await;
    let wrong = application.api_key.replace(|c: char| c.is_ascii_digit(), "0");
    server.call("GET", "/apps").bearer(&wrong).await;
    let wrong_auth = json!({"action": "auth", "token": wrong});
    assert_eq!(stream.ask(wrong_auth).await["result"], "KO");
}

#[tokio::test]
async fn two_servers_on_two_databases_do_not_disturb_each_other() {
    let (one, other) = (Server::quick().await, Server::quick().await);
    let (chat, alice, uid) = one.application_with("alice").await;
    let (chess, _, other_uid) = other.application_with("alice").await;
    assert_ne!(uid, other_uid);
    let (mut stream, _) = Socket::stream(&one, &chat).await;
    let (mut other_stream, _) = Socket::stream(&other, &chess).await;
    let mut phone = Socket::device_of(&one, "alice", "phone", "online").await;
    stream.sees(uid, "online").await;
    other_stream.stream_has_nothing_more().await;
    let stranger = other.call("GET", "/grants").bearer(&alice.token).await;
    stranger.is_ko(Errno::SessionExpired);
    let mut tablet = Socket::device(&other).await;
    let assertion = one.assertion("alice").await;
    let elsewhere = json!({"assertion": assertion, "status": "online"});
    assert_eq!(tablet.ask(elsewhere).await["errno"], Errno::InvalidAssertion.number());
    let item = json!([{"uid": uid, "message": "to the other", "action": ""}]);
    let refused: Value = chess.notify(&item).await.json();
    assert_eq!(refused["results"][0]["errno"], Errno::UnknownUid.number(), "{refused}");
    phone.has_nothing_more().await;
}

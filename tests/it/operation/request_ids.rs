//! The id of a request, in its answer and in the log.

use std::collections::BTreeSet;

use presence_protocol::Errno;
use presence_tests::{RestCall, RestResponse, Server, ServerOptions};
use serde_json::json;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

fn id_of(response: &RestResponse) -> String {
    let id = response.header("x-request-id").to_owned();
    let is_well_formed = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_well_formed, "{response:?}");
    id
}

fn upgrade(call: RestCall) -> RestCall {
    call.header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
}

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let server =
        Server::start(ServerOptions::default().with("metrics-listen", "127.0.0.1:0")).await;
    let refused = upgrade(server.call("GET", "/presence")).header("origin", "https://evil.example");
    let wrong_key = upgrade(server.call("GET", "/myapps/")).bearer("wrong");
    let answers = [
        (200, server.call("GET", "/__lbheartbeat__").await),
        (200, server.call("GET", "/").header("accept", "text/html").await),
        (404, server.call("GET", "/nothing").header("accept", "text/html").await),
        (401, server.call("GET", "/grants").await),
        (405, server.call("PUT", "/grants").await),
        (400, server.call("GET", "/presence").await),
        (403, refused.await),
        (401, wrong_key.await),
        (200, server.metrics().await),
    ];
    for (status, answer) in &answers {
        assert_eq!(answer.status, *status, "{answer:?}");
    }
    let ids: BTreeSet<_> = answers.iter().map(|(_, answer)| id_of(answer)).collect();
    assert_eq!(ids.len(), answers.len());
}

#[tokio::test]
async fn log_lines_about_a_request_have_its_id() {
    for format in ["pretty", "json"] {
        // At the level `debug` each failure has a line, and not only the first one of a minute.
        let options = ServerOptions::default().with("log", "warn,presence_service=debug");
        let options = options.with("log-format", format);
        let server = Server::start(options).await;
        let (application, _, uid) = server.application_with("alice").await;
        let options = SqliteConnectOptions::new().filename(server.database());
        let mut tables = options.connect().await.unwrap();
        sqlx::query("BEGIN IMMEDIATE").execute(&mut tables).await.unwrap();
        let item = json!([{"uid": uid, "message": "hello", "action": ""}]);
        let failed = application.notify(&item).await;
        let errno = &failed.json()["results"][0]["errno"];
        assert_eq!(errno, Errno::StorageUnavailable.number(), "{failed:?}");
        sqlx::query("ROLLBACK").execute(&mut tables).await.unwrap();
        // Failures of the maintenance are logged meanwhile too, and are no part of the request.
        server.wait_for_log_line(&["store.failed", &id_of(&failed)]).await;
    }
}

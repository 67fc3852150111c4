//! A log that cannot be written stops nothing, and a failure that repeats itself does not fill it.

use std::fs::File;
use std::io::pipe;
use std::os::fd::OwnedFd;

use presence_protocol::Errno;
use presence_tests::{Server, ServerOptions, Socket, StoppedServer, TIMEOUT};
use serde_json::json;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::unix::pipe::Sender;
use tokio::time::timeout;

/// Uses a server while its database fails, which it logs. Then all must be as before.
async fn fail_and_recover(server: &Server) {
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(server, &application).await;
    let phone = Socket::device_of(server, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    let item = json!([{"uid": uid, "message": "hello", "action": ""}]);
    rename(server, "notifications", "lost").await;
    for _ in 0..20 {
        let refused = application.notify(&item).await.json();
        let errno = &refused["results"][0]["errno"];
        assert_eq!(errno, Errno::StorageUnavailable.number(), "{refused}");
    }
    rename(server, "lost", "notifications").await;
    let accepted = application.notify(&item).await.ok();
    assert_eq!(accepted["results"][0]["result"], "OK", "{accepted}");
    drop(phone);
    stream.expect_status(uid, "offline").await;
    server.call("GET", "/__heartbeat__").await.ok();
}

async fn rename(server: &Server, from: &str, to: &str) {
    let options = SqliteConnectOptions::new().filename(server.database());
    let mut tables = options.connect().await.unwrap();
    let rename = format!("PRAGMA legacy_alter_table = ON; ALTER TABLE {from} RENAME TO {to}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(rename)).execute(&mut tables).await.unwrap();
}

async fn dropped_lines(server: &Server) -> u64 {
    counter(server, "presence_log_lines_dropped_total").await
}

async fn counter(server: &Server, name: &str) -> u64 {
    let metrics = server.metrics().await.text;
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
}

async fn start_logging_to(output: impl Into<OwnedFd>) -> Server {
    Server::start(ServerOptions::default().with_metrics().log_to(output)).await
}

#[tokio::test]
async fn a_log_whose_reader_is_gone_stops_nothing_and_its_lines_are_counted() {
    let (reader, writer) = pipe().unwrap();
    let mut server = start_logging_to(writer).await;
    drop(reader);
    fail_and_recover(&server).await;
    assert!(dropped_lines(&server).await > 0);
    assert_eq!(server.terminate().await, StoppedServer::With(0));
}

#[tokio::test]
async fn a_log_on_a_full_disk_stops_nothing_and_its_lines_are_counted() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut server = start_logging_to(full).await;
    fail_and_recover(&server).await;
    assert!(dropped_lines(&server).await > 0);
    assert_eq!(server.terminate().await, StoppedServer::With(0));
}

#[tokio::test]
async fn a_log_whose_reader_is_stuck_stops_nothing() {
    let (reader, writer) = pipe().unwrap();
    let filled = fill(writer).await;
    let mut server = start_logging_to(filled).await;
    fail_and_recover(&server).await;
    assert_eq!(server.terminate().await, StoppedServer::With(0));
    drop(reader);
}

/// Writes to a pipe until it has no more room.
async fn fill(writer: impl Into<OwnedFd>) -> OwnedFd {
    let sender = Sender::from_owned_fd(writer.into()).unwrap();
    timeout(TIMEOUT, sender.writable()).await.unwrap().unwrap();
    let mut bytes = 0;
    while let Ok(written) = sender.try_write(b"\n") {
        bytes += written;
    }
    assert!(bytes >= 4096, "the pipe has room for {bytes} bytes only");
    sender.into_blocking_fd().unwrap()
}

#[tokio::test]
async fn at_the_limit_of_open_files_one_line_a_minute_is_logged() {
    let options = ServerOptions::default().with_metrics().open_files_at_most(80);
    let mut server = Server::start(options).await;
    let failures = || counter(&server, "presence_accept_failures_total");
    // Open sockets are not closed for others, as idle connections are.
    let upgrade = "GET /presence HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n";
    let repeated = async {
        while failures().await < 10 {
            let mut connections = Vec::new();
            for _ in 0..120 {
                let mut connection = TcpStream::connect(server.address()).await.unwrap();
                // The server may have closed it already.
                let _ = connection.write_all(upgrade.as_bytes()).await;
                connections.push(connection);
            }
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
    };
    timeout(TIMEOUT, repeated).await.unwrap();
    let log = server.complete_log().await;
    let lines = log.lines().filter(|line| line.contains("could not be accepted"));
    assert_eq!(lines.count(), 1, "{log}");
}

//! A graceful stop.

use std::time::Duration;

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Server, ServerOptions, Socket, StoppedServer};
use serde_json::json;
use tokio::time::Instant;

#[tokio::test]
async fn a_stop_closes_all_sockets_in_time_and_exits_with_0() {
    for (signal, code) in [
        ("TERM", CloseCode::GoingAway),
        ("INT", CloseCode::GoingAway),
        ("USR2", CloseCode::Restart),
    ] {
        let mut server = Server::start(ServerOptions::default().with("drain-seconds", 1)).await;
        let (application, _, _) = server.application_with("alice").await;
        let (mut stream, _) = Socket::stream(&server, &application).await;
        let mut devices = Vec::new();
        for number in 0..10 {
            let name = format!("user{number}");
            devices.push(Socket::device_of(&server, &name, "phone", "online").await);
        }
        let begun = Instant::now();
        server.signal(signal).await;
        for device in &mut devices {
            device.expect_close(code).await;
        }
        stream.expect_close(code).await;
        assert_eq!(server.stopped().await, StoppedServer::With(0), "{signal}");
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn new_connections_are_refused_during_a_stop() {
    let mut server = Server::start(ServerOptions::default().with("drain-seconds", 3)).await;
    let user = server.sign_in("alice").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    server.signal("TERM").await;
    device.expect_close(CloseCode::GoingAway).await;
    user.call("GET", "/grants").await.assert_error(Errno::ShuttingDown);
    // A load balancer stops sending clients to this server.
    server.call("GET", "/__lbheartbeat__").await.assert_error(Errno::ShuttingDown);
    assert_eq!(server.stopped().await, StoppedServer::With(0));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_silent_clients() {
    let mut server = Server::start_default().await;
    let _silent = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let _stranger = Socket::device(&server).await;
    let _device = Socket::device_of(&server, "alice", "phone", "online").await;
    let begun = Instant::now();
    assert_eq!(server.terminate().await, StoppedServer::With(0));
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn after_a_stop_everything_is_in_the_one_database_file() {
    let mut server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    application.notify(&json!([{"uid": uid, "message": "Keep me", "action": ""}])).await.ok();
    assert_eq!(server.terminate().await, StoppedServer::With(0));
    let copy = server.database().with_file_name("copy.db");
    std::fs::copy(server.database(), &copy).unwrap();
    for entry in std::fs::read_dir(server.database().parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains("presence.db") {
            std::fs::remove_file(path).unwrap();
        }
    }
    std::fs::rename(copy, server.database()).unwrap();
    server.restart().await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    let heard = phone.receive().await;
    assert_eq!(heard["notifications"][0]["message"], "Keep me", "{heard}");
}

#[tokio::test]
async fn sockets_are_closed_in_batches_over_the_drain_time_in_random_order() {
    let mut server = Server::start(ServerOptions::default().with("drain-seconds", 4)).await;
    let mut devices = Vec::new();
    for number in 0..60 {
        let name = format!("user{number}");
        devices.push(Socket::device_of(&server, &name, "phone", "online").await);
    }
    server.signal("TERM").await;
    let begun = Instant::now();
    let mut closed = tokio::task::JoinSet::new();
    for (number, mut device) in devices.into_iter().enumerate() {
        closed.spawn(async move {
            device.expect_close(CloseCode::GoingAway).await;
            (begun.elapsed(), number)
        });
    }
    let mut closed = closed.join_all().await;
    closed.sort_unstable();
    let times: Vec<Duration> = closed.iter().map(|(time, _)| *time).collect();
    // Twenty batches, a fifth of a second apart: the first at once, the last at the end.
    assert!(times[59].abs_diff(times[0]) > Duration::from_secs(2), "{times:?}");
    let apart = times
        .windows(2)
        .filter(|pair| pair[1].abs_diff(pair[0]) > Duration::from_millis(80))
        .count();
    assert!((8..20).contains(&apart), "{apart} in {times:?}");
    let order: Vec<usize> = closed.iter().map(|(_, number)| *number).collect();
    assert!(!order.is_sorted(), "{order:?}");
    assert_eq!(server.stopped().await, StoppedServer::With(0));
}

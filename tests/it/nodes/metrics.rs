//! The metrics of servers that share presence: each thing is counted once, by the server that did
//! it.

use presence_protocol::Puid;
use presence_tests::{Application, Server, Socket, SocketRequest, TIMEOUT};
use serde_json::json;
use tokio::time::timeout;

use super::long_grace_time;
use crate::operation::metrics::Scrape;

/// Waits until servers have counted so many together, and returns what each has counted.
async fn counted<const N: usize>(servers: &[Server; N], name: &str, together: u64) -> [u64; N] {
    let waiting = async {
        loop {
            let mut counts = [0; N];
            for (count, server) in counts.iter_mut().zip(servers) {
                *count = Scrape::of(server).await.count(name);
            }
            if counts.iter().sum::<u64>() >= together {
                return counts;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let counts = timeout(TIMEOUT, waiting).await;
    counts.unwrap_or_else(|_| panic!("{name} does not become {together}"))
}

#[tokio::test]
async fn a_device_that_returns_at_another_server_is_counted_there_once() {
    let servers: [Server; 2] = Server::start_sharing(long_grace_time().with_metrics()).await;
    let (application, alice, uid) = servers[0].application_with("alice").await;
    let (mut stream, _) = Socket::stream(&servers[1], &application).await;
    drop(Socket::device_of(&servers[0], "alice", "phone", "online").await);
    stream.expect_status(uid, "online").await;
    alice.wait_until_lost("phone").await;
    let mut phone = Socket::device_of(&servers[1], "alice", "phone", "online").await;
    assert_eq!(counted(&servers, "presence_returns_total", 1).await, [0, 1]);
    phone.report("unavailable").await;
    stream.expect_status(uid, "unavailable").await;
    // A device that is replaced while it is connected was not lost.
    let _phone = Socket::device_of(&servers[0], "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    assert_eq!(counted(&servers, "presence_returns_total", 1).await, [0, 1]);
    let name = "presence_time_to_offline_seconds_count";
    assert_eq!(counted(&servers, name, 0).await, [0, 0], "nobody went offline");
}

#[tokio::test]
async fn the_end_of_a_grace_time_is_measured_by_the_server_that_ends_it() {
    let options = long_grace_time().with("grace-seconds", 0.5).with_metrics();
    let servers: [Server; 2] = Server::start_sharing(options).await;
    let (application, _, uid) = servers[0].application_with("alice").await;
    let (mut stream, _) = Socket::stream(&servers[1], &application).await;
    for _ in 0..2 {
        drop(Socket::device_of(&servers[0], "alice", "phone", "online").await);
        stream.expect_status(uid, "online").await;
        stream.expect_status(uid, "offline").await;
    }
    let counts = counted(&servers, "presence_time_to_offline_seconds_count", 2).await;
    assert_eq!(counts.iter().sum::<u64>(), 2, "{counts:?}");
    let mut seconds = 0.0;
    for server in &servers {
        seconds += Scrape::of(server).await.get("presence_time_to_offline_seconds_sum");
    }
    assert!((1.0..20.0).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn each_receipt_is_counted_once_over_all_servers() {
    let servers: [Server; 2] = Server::start_sharing(long_grace_time().with_metrics()).await;
    let (application, alice, uid) = servers[0].application_with("alice").await;
    let first_frame = json!({"device": "phone", "status": "online", "acks": true});
    let mut phone =
        Socket::open_authenticated(&servers[1], SocketRequest::device(), "alice", first_frame)
            .await;
    notify(&servers[0], &application, uid, 3).await;
    let mut ids = Vec::new();
    while ids.len() < 3 {
        let frame = phone.receive().await;
        let items = frame["notifications"].as_array().unwrap();
        ids.extend(items.iter().map(|item| item["id"].clone()));
    }
    phone.send(json!({"type": "ack", "ids": ids})).await;
    phone.expect_ok().await;
    let acked = "presence_receipts_total{state=\"acked\"}";
    assert_eq!(counted(&servers, acked, 3).await.iter().sum::<u64>(), 3);
    phone.close(None).await;
    // The rest of the queue ends with the grant.
    notify(&servers[1], &application, uid, 2).await;
    alice.revoke(&application).await;
    let revoked = "presence_receipts_total{state=\"revoked\"}";
    assert_eq!(counted(&servers, revoked, 2).await.iter().sum::<u64>(), 2);
    assert_eq!(counted(&servers, acked, 3).await.iter().sum::<u64>(), 3);
}

#[tokio::test]
async fn the_lag_of_a_replica_is_measured_where_it_is_read() {
    let servers: [Server; 2] = Server::start_sharing(long_grace_time().with_metrics()).await;
    let (application, _, uid) = servers[0].application_with("alice").await;
    let (mut stream, _) = Socket::stream(&servers[1], &application).await;
    let mut phone = Socket::device_of(&servers[0], "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    phone.report("unavailable").await;
    stream.expect_status(uid, "unavailable").await;
    assert_eq!(counted(&servers, "presence_replica_lag_seconds_count", 2).await, [0, 2]);
    let lag = Scrape::of(&servers[1]).await.get("presence_replica_lag_seconds_sum");
    assert!((0.0..20.0).contains(&lag), "{lag}");
}

/// Sends notifications to a user by a server.
async fn notify(server: &Server, application: &Application, uid: Puid, count: usize) {
    let item = json!({"uid": uid, "message": "Hello", "action": ""});
    let body = json!({"notifications": vec![item; count]});
    let path = format!("/apps/{}/notifications", application.appid);
    server.call("POST", &path).bearer(&application.api_key).json(&body).await.ok();
}

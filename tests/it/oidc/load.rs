//! Many concurrent sign-ins, and an issuer that does not answer.

use std::sync::atomic::{AtomicUsize, Ordering};

use presence_protocol::Errno;
use presence_tests::{Server, ServerOptions, Socket, TIMEOUT};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::issuer::{OidcIssuer, issuer_settings, with_issuers};

/// The number of concurrent sign-ins.
const CONCURRENT: usize = 100;
/// The number of sign-ins one after another.
const CALLS: usize = 40;
/// The maximum number of sign-ins that wait for an issuer.
const WAITING: usize = 64;

#[tokio::test]
async fn sign_ins_beyond_the_queue_of_a_silent_issuer_are_refused_at_once() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = OidcIssuer::start().await;
    let url = format!("http://{}", silent.local_addr().unwrap());
    let server =
        Server::start(with_issuers(ServerOptions::default(), &[issuer_settings(&url, &json!({}))]))
            .await;
    let token = || issuer.token(&json!({"iss": url}));
    let mut calls = JoinSet::new();
    for _ in 0..CONCURRENT {
        let call = server.call("POST", "/session").json(&json!({"assertion": token()}));
        calls.spawn(async move { call.await });
    }
    // The issuer has received a request, and does not answer it.
    let (pending, _) = timeout(TIMEOUT, silent.accept()).await.unwrap().unwrap();
    // A sign-in without a place in the queue is refused at once: these responses arrive while the
    // issuer has not answered.
    let mut answered = Vec::new();
    while answered.len() < CONCURRENT - WAITING {
        answered.push(calls.join_next().await.unwrap().unwrap());
    }
    // On a very slow machine the server may have given up, and answered others that the issuer is
    // down.
    let (busy, rest): (Vec<_>, Vec<_>) =
        answered.into_iter().partition(|answer| answer.json()["errno"] == Errno::SlowDown.number());
    assert!(!busy.is_empty() && busy.iter().all(|answer| answer.json()["retry_after"].is_number()));
    rest.iter().for_each(|answer| answer.assert_error(Errno::IdentityUnavailable));
    drop((pending, silent));
    while let Some(answer) = calls.join_next().await {
        answer.unwrap().assert_error(Errno::IdentityUnavailable);
    }
}

#[tokio::test]
async fn an_issuer_that_is_down_is_reported_at_once_and_not_contacted_for_each_sign_in() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = OidcIssuer::start().await;
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server =
        Server::start(with_issuers(ServerOptions::default(), &[issuer_settings(&url, &json!({}))]))
            .await;
    // The issuer closes each connection, and counts them.
    let connections = AtomicUsize::new(0);
    let closing = async {
        while listener.accept().await.is_ok() {
            connections.fetch_add(1, Ordering::Relaxed);
        }
    };
    let calls = async {
        for _ in 0..CALLS {
            let body = json!({"assertion": issuer.token(&json!({"iss": url}))});
            let answer = server.call("POST", "/session").json(&body).await;
            answer.assert_error(Errno::IdentityUnavailable);
            assert!(answer.json()["retry_after"].is_number(), "{}", answer.text);
        }
    };
    tokio::select! {
        () = calls => {}
        () = closing => unreachable!("the listener works"),
    }
    // One request in each pause of ten seconds, with a margin for a very slow machine.
    let connections = connections.into_inner();
    assert!((1..=10).contains(&connections), "{connections} connections");
    drop(listener);
    let mut device = Socket::device(&server).await;
    device.send(json!({"assertion": issuer.token(&json!({"iss": url})), "status": "online"})).await;
    let refusal = device.expect_error(Errno::IdentityUnavailable).await;
    assert!(refusal["retry_after"].is_number(), "{refusal}");
}

#[tokio::test]
async fn the_same_token_again_on_its_socket_is_not_verified_again() {
    let issuer = OidcIssuer::start().await;
    let options = ServerOptions::default().with_metrics().with("status-burst", 100);
    let server = issuer.server(options).await;
    let token = issuer.token(&json!({}));
    let mut device = Socket::device(&server).await;
    for status in ["online", "unavailable", "online", "offline", "online"] {
        device.send(json!({"assertion": token, "status": status})).await;
        device.expect_ok().await;
    }
    let metrics = server.metrics().await.text;
    let verified = metrics.lines().find(|line| line.starts_with("presence_sign_in_seconds_count"));
    let verified = verified.unwrap_or_else(|| panic!("{metrics}"));
    assert!(verified.ends_with(" 1"), "{verified}");
}

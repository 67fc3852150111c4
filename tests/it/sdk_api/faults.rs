//! Servers that are down, slow or closing, and idle connections that died.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use presence_client::{Error, NewApplication, NewNotification, Puid, Scope, Timing, UserApi};
use presence_tests::{FaultProxy, Server, TIMEOUT};
use tokio::net::TcpListener;
use tokio::sync::Barrier;

use super::scripted_server::{ScriptedAction, ScriptedServer, json_response};
use super::{api_at, api_of, api_with_short_timeout, sign_in};

const SESSION: &str = r#"{"email":"alice@dev.localhost","scope":"account","expires_at":7}"#;

fn session() -> ScriptedAction {
    ScriptedAction::Respond(json_response("200 OK", SESSION))
}

fn user(server: &ScriptedServer) -> UserApi {
    api_at(&server.url()).user("token".into())
}

#[tokio::test]
async fn a_server_that_is_down_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = api_at(&url).user("token".into()).session().await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable(_)), "{error:?}");
    assert!(error.retryable() && error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_server_that_never_completes_its_response_times_out() {
    for beginning in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"] {
        let server =
            ScriptedServer::start([vec![ScriptedAction::StopResponding(beginning.into())]]).await;
        let begun = Instant::now();
        let answered = api_with_short_timeout(&server.url()).user("token".into()).session().await;
        assert_eq!(answered, Err(Error::TimedOut), "{beginning}");
        assert!(begun.elapsed() < TIMEOUT, "{beginning}");
        assert_eq!(server.connections(), 1, "{beginning}");
    }
}

#[tokio::test]
async fn a_server_that_never_completes_the_handshake_is_unreachable() {
    let server = ScriptedServer::start([vec![ScriptedAction::StopResponding(Vec::new())]]).await;
    let connect_timeout = Duration::from_millis(400);
    let timing = Timing { connect_timeout, ..Timing::default() };
    let api = api_at(&server.url().replace("http:", "https:")).with_timing(&timing);
    let error = api.user("token".into()).session().await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable(text) if text.contains("timed out")), "{error:?}");
}

#[tokio::test]
async fn calls_one_after_another_share_a_connection() {
    let server = ScriptedServer::start([vec![session(), session(), session()]]).await;
    let alice = user(&server);
    for _ in 0..3 {
        alice.clone().session().await.unwrap();
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_died_idle_fails_no_idempotent_call() {
    let dying = || vec![session(), ScriptedAction::Close];
    let server = ScriptedServer::start([dying(), vec![session()]]).await;
    let alice = user(&server);
    alice.session().await.unwrap();
    alice.session().await.unwrap();
    assert_eq!((server.connections(), server.requests().len()), (2, 3));

    let together = Arc::new(Barrier::new(3));
    let one = || {
        let first = ScriptedAction::RespondTogether(
            Arc::clone(&together),
            json_response("200 OK", SESSION),
        );
        vec![first, ScriptedAction::Close]
    };
    let server = ScriptedServer::start([one(), one(), one(), vec![session()]]).await;
    let alice = user(&server);
    for result in join_all([alice.session(), alice.session(), alice.session()]).await {
        result.unwrap();
    }
    alice.session().await.unwrap();
    assert_eq!((server.connections(), server.requests().len()), (4, 7));
}

#[tokio::test]
async fn notifications_are_sent_again_over_a_dead_connection_with_the_same_keys() {
    let answer = r#"{"result":"OK","queue_size":1,"results":[{"result":"OK","queue_size":1,"id":"0123456789abcdef0123456789abcdef"}]}"#;
    let page = r#"{"presence":[]}"#;
    let dying = vec![ScriptedAction::Respond(json_response("200 OK", page)), ScriptedAction::Close];
    let server = ScriptedServer::start([
        dying,
        vec![ScriptedAction::Respond(json_response("200 OK", answer))],
    ])
    .await;
    let service = api_at(&server.url()).app_service("0".repeat(32).parse().unwrap(), "key".into());
    service.presence_page(None, None).await.unwrap();
    let hello = NewNotification::new(Puid::from_bits(1), "Hello");
    assert_eq!(service.notify_one(hello).await.unwrap().queue_size, 1);
    let requests = server.requests();
    let body = |request: &str| request.split_once("\r\n\r\n").unwrap().1.to_owned();
    assert!(body(&requests[1]).contains("idempotency_key"), "{requests:?}");
    assert_eq!(body(&requests[1]), body(&requests[2]));
}

#[tokio::test]
async fn calls_that_are_not_idempotent_are_never_repeated() {
    let registered = json_response("201 Created", "{}");
    let server = ScriptedServer::start([
        vec![session(), ScriptedAction::Close],
        vec![ScriptedAction::Respond(registered)],
    ])
    .await;
    let alice = user(&server);
    alice.session().await.unwrap();
    let (name, domain) = ("Chat".to_owned(), "chat.example".to_owned());
    let application = NewApplication { name, domain, description: String::new() };
    let error = alice.register(application).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    assert_eq!((server.connections(), server.requests().len()), (1, 2));

    // A new connection that dies is a fault of the server, so the application gets an error.
    let server = ScriptedServer::start([vec![ScriptedAction::Close], vec![session()]]).await;
    let error = user(&server).session().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_dropped_rest_call_does_not_affect_others() {
    let server =
        ScriptedServer::start([vec![ScriptedAction::StopResponding(Vec::new())], vec![session()]])
            .await;
    let alice = user(&server);
    tokio::select! {
        answered = alice.session() => panic!("{answered:?}"),
        () = wait_for_request(&server) => {}
    }
    alice.session().await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_restart_of_the_server_between_calls_causes_no_error() {
    let mut server = Server::start_default().await;
    let alice = sign_in(&api_of(&server), "alice", Scope::Account).await;
    for kill in [true, false] {
        let before = alice.session().await.unwrap();
        if kill {
            server.kill().await;
        } else {
            server.terminate().await;
        }
        server.restart_in_place().await;
        assert_eq!(alice.session().await.unwrap(), before);
    }
}

#[tokio::test]
async fn a_connection_broken_during_a_call_is_an_error_and_the_next_call_works() {
    let server = Server::start_default().await;
    let proxy = FaultProxy::to(&server).await;
    let token = server.sign_in("alice").await.token;
    let url = format!("http://{}", proxy.address());
    let alice = api_at(&url).user(token.as_str().into());
    alice.session().await.unwrap();
    proxy.stall();
    let impatient = api_with_short_timeout(&url).user(token.as_str().into());
    assert_eq!(impatient.session().await, Err(Error::TimedOut));
    proxy.reset();
    alice.session().await.unwrap();
}

#[tokio::test]
async fn a_hundred_calls_at_once_are_all_answered() {
    let server = Server::start_default().await;
    let alice = sign_in(&api_of(&server), "alice", Scope::Account).await;
    let answers = join_all((0..100).map(|_| alice.session())).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

/// Waits until the first request has arrived.
async fn wait_for_request(server: &ScriptedServer) {
    while server.requests().is_empty() {
        tokio::task::yield_now().await;
    }
}

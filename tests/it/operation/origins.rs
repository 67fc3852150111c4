//! The origins of pages that may open sockets.

use presence_protocol::Errno;
use presence_tests::{Application, Server, ServerOptions, Socket, SocketRequest};

async fn is_accepted(server: &Server, application: &Application, origin: &str) -> bool {
    let mut let_in = Vec::new();
    for way in [
        SocketRequest::device(),
        SocketRequest::app(application),
        SocketRequest::app(application).bearer(&application.api_key),
    ] {
        match Socket::try_open(server, way.header("origin", origin)).await {
            Ok(_) => let_in.push(true),
            Err(refused) => {
                refused.assert_error(Errno::Forbidden);
                let_in.push(false);
            }
        }
    }
    assert!(let_in.iter().all(|one| *one == let_in[0]), "the channels differ: {let_in:?}");
    let_in[0]
}

#[tokio::test]
async fn pages_of_this_server_may_open_sockets_and_others_may_not() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let (own, port) = (server.url(), server.address().port());
    assert!(is_accepted(&server, &application, &own).await);
    assert!(is_accepted(&server, &application, &format!("http://localhost:{port}")).await);
    for other in [
        &format!("http://127.0.0.2:{port}"),
        "https://evil.example",
        "null",
        "",
        "http://127.0.0.1",
        &format!("{own}.evil.example"),
        &format!("{own}/"),
    ] {
        assert!(!is_accepted(&server, &application, other).await, "{other}");
    }
    // Two origins are refused.
    let both =
        SocketRequest::device().header("origin", &own).header("origin", "https://evil.example");
    Socket::try_open(&server, both).await.unwrap_err().assert_error(Errno::Forbidden);
    // A client that is no page sends no origin.
    Socket::device_of(&server, "alice", "phone", "online").await;
}

#[tokio::test]
async fn clients_that_are_no_browsers_may_send_an_origin() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let host = server.address();
    for origin in [
        "ws://elsewhere.example",
        "wss://elsewhere.example:8443",
        &format!("ws://{host}"),
        &format!("http://{host}"),
        &format!("https://{host}"),
    ] {
        assert!(is_accepted(&server, &application, origin).await, "{origin}");
    }
    // The address that the client connected to counts, as the proxy in front passes it on.
    let options = ServerOptions::default().production().with("public-url", "https://a.example");
    let server = Server::start(options).await;
    let named = |host: &str, origin: &str| {
        SocketRequest::device().header("host", host).header("origin", origin)
    };
    Socket::open(&server, named("b.example", "https://b.example")).await;
    Socket::open(&server, named("b.example:8080", "http://b.example:8080")).await;
    for (host, origin) in [
        ("b.example", "https://evil.example"),
        ("b.example", "https://b.example:8080"),
        ("b.example:8080", "http://b.example"),
        ("b.example", "null"),
        ("null", "null"),
    ] {
        let refused = Socket::try_open(&server, named(host, origin)).await.unwrap_err();
        refused.assert_error(Errno::Forbidden);
    }
}

#[tokio::test]
async fn the_operator_can_allow_names_below_a_domain_and_apps() {
    let origins = "https://*.example.org,capacitor://localhost,chrome-extension://abc";
    let server = Server::start(ServerOptions::default().with("allowed-origins", origins)).await;
    let (application, _, _) = server.application_with("alice").await;
    for origin in [
        "https://app.example.org",
        "https://a.b.example.org",
        "capacitor://localhost",
        "chrome-extension://abc",
    ] {
        assert!(is_accepted(&server, &application, origin).await, "{origin}");
    }
    for origin in [
        "https://example.org",
        "https://badexample.org",
        "http://app.example.org",
        "capacitor://elsewhere",
        "chrome-extension://abcd",
        "null",
    ] {
        assert!(!is_accepted(&server, &application, origin).await, "{origin}");
    }
}

#[tokio::test]
async fn the_operator_can_allow_other_origins() {
    let origins = "https://app.example,https://APP.example:8443";
    let server = Server::start(ServerOptions::default().with("allowed-origins", origins)).await;
    let (application, _, _) = server.application_with("alice").await;
    assert!(is_accepted(&server, &application, "https://app.example").await);
    assert!(is_accepted(&server, &application, "https://app.example:8443").await);
    assert!(is_accepted(&server, &application, &server.url()).await);
    assert!(!is_accepted(&server, &application, "http://app.example").await);
    let server = Server::start(ServerOptions::default().with("allowed-origins", "*")).await;
    let (application, _, _) = server.application_with("alice").await;
    assert!(is_accepted(&server, &application, "https://anything.example").await);
    assert!(!is_accepted(&server, &application, "null").await);
}

#[tokio::test]
async fn in_production_only_the_public_url_is_the_own_origin() {
    let options =
        ServerOptions::default().production().with("public-url", "https://presence.example");
    let server = Server::start(options).await;
    let from = |origin: &str| SocketRequest::device().header("origin", origin);
    Socket::open(&server, from("https://presence.example")).await;
    let other = format!("http://localhost:{}", server.address().port());
    let refused = Socket::try_open(&server, from(&other)).await.unwrap_err();
    refused.assert_error(Errno::Forbidden);
}

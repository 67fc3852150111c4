//! A server that gets its certificate by itself, from a certificate authority for tests.
//! `tests/acme/run` installs the authority and runs these tests.

mod pebble;

use std::sync::Arc;
use std::time::Duration;

use presence_tests::{Server, ServerOptions, TIMEOUT, run};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, ClientConfig, Error};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::pebble::{CONTACT, NAME, Pebble, REFUSED_NAME};

type Connected = Result<TlsStream<TcpStream>, std::io::Error>;

async fn connect_as(server: &Server, name: &str, config: &Arc<ClientConfig>) -> Connected {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connecting = TlsConnector::from(Arc::clone(config)).connect(name, stream);
    timeout(TIMEOUT, connecting).await.unwrap()
}

/// Waits until a server has a certificate that a client accepts, and returns the connection.
async fn accepted(server: &Server, config: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let accepted = async {
        loop {
            match connect_as(server, NAME, config).await {
                Ok(stream) => return stream,
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    };
    let accepted = timeout(TIMEOUT, accepted).await;
    accepted.unwrap_or_else(|_| panic!("no certificate: {}", server.log_so_far()))
}

fn certificate(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// Sends a request over a connection, and returns the status and the body.
async fn get(stream: &mut TlsStream<TcpStream>, path: &str) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {NAME}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = async {
        // The bodies are in one piece.
        while !answer.ends_with(b"}") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "the connection ended");
        }
    };
    timeout(TIMEOUT, read).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

/// Returns the certificate of a challenge, or the error of the handshake.
async fn challenge(server: &Server, name: &str) -> Connected {
    let mut config = ClientConfig::clone(&insecure_client());
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    connect_as(server, name, &Arc::new(config)).await
}

/// Returns a client that trusts nobody, whose handshakes fail at the certificate at the latest.
fn insecure_client() -> Arc<ClientConfig> {
    presence_tests::CertificateAuthority::default().client()
}

/// Lets a server look whether an order is due, which it does at SIGHUP. The second one is answered
/// after that.
async fn let_look(server: &Server) {
    for signals in 1..=2 {
        server.signal("HUP").await;
        let answered = async {
            while server.log_so_far().matches("SIGHUP:").count() < signals {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(TIMEOUT, answered).await.unwrap_or_else(|_| panic!("{}", server.log_so_far()));
    }
}

fn alert(connected: Connected) -> Option<AlertDescription> {
    let error = connected.err()?;
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    if let Error::AlertReceived(alert) = error { Some(*alert) } else { None }
}

#[tokio::test]
#[ignore = "needs Pebble: tests/acme/run"]
async fn a_server_gets_its_certificate_and_a_client_accepts_it() {
    let pebble = Pebble::start().await;
    let options = pebble.server_options().with("log", "trace").with_metrics();
    let mut server = Server::start(options).await;
    pebble.port_443.forward_to(&server);
    let client = pebble.client().await;
    let mut stream = accepted(&server, &client).await;
    let (status, body) = get(&mut stream, "/__heartbeat__").await;
    assert_eq!(status, "HTTP/1.1 200 OK", "{body}");
    assert!(body.contains(r#""certificate":"ok""#), "{body}");
    let metrics = server.metrics().await.text;
    assert!(metrics.contains("presence_acme_orders_total{outcome=\"ok\"} 1\n"), "{metrics}");
    let end = metrics.lines().find(|line| line.starts_with("presence_tls_certificate_expires"));
    assert!(!end.unwrap().ends_with(" 0"), "{end:?}");
    // The rest of the promises is about strangers and the log.
    let orders = pebble.orders();
    for name in [NAME, "other.pebble.test", REFUSED_NAME] {
        assert!(challenge(&server, name).await.is_err(), "{name}");
        let other = connect_as(&server, name, &client).await;
        assert_eq!(other.is_ok(), name == NAME, "{name}");
    }
    let_look(&server).await;
    assert_eq!((orders, pebble.orders()), (1, 1));
    let log = server.complete_log().await;
    assert!(log.contains("tls.acme_issued") && log.contains("tls.acme_challenge_answered"));
    for secret in [CONTACT, "PRIVATE KEY", "key_pkcs8"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    drop(stream);
}

#[tokio::test]
#[ignore = "needs Pebble: tests/acme/run"]
async fn without_its_authority_a_server_starts_says_so_and_goes_on_trying() {
    let mut pebble = Pebble::stopped(Duration::from_hours(24)).await;
    let server = Server::start(pebble.server_options().with_metrics()).await;
    pebble.port_443.forward_to(&server);
    let refused = connect_as(&server, NAME, &insecure_client()).await;
    assert_eq!(alert(refused), Some(AlertDescription::AccessDenied));
    let log = server.wait_for_log("tls.acme_failed").await;
    let line = log.lines().find(|line| line.contains("tls.acme_failed")).unwrap();
    assert!(line.contains("retry_in_seconds") && line.contains("onnect"), "{line}");
    let metrics = server.metrics().await.text;
    assert!(metrics.contains("presence_tls_certificate_expires_seconds 0\n"), "{metrics}");
    assert!(!metrics.contains("presence_acme_orders_total{outcome=\"failed\"} 0\n"), "{metrics}");
    pebble.run().await;
    accepted(&server, &pebble.client().await).await;
}

#[tokio::test]
#[ignore = "needs Pebble: tests/acme/run"]
async fn a_certificate_is_renewed_in_time_and_no_connection_is_dropped() {
    let mut pebble = Pebble::stopped(Duration::from_secs(30)).await;
    pebble.run().await;
    let server = Server::start(pebble.server_options()).await;
    pebble.port_443.forward_to(&server);
    let client = pebble.client().await;
    let mut stream = accepted(&server, &client).await;
    let first = certificate(&stream);
    let renewed = async {
        // Each connection is accepted, so the old certificate is served until there is a new one.
        while certificate(&connect_as(&server, NAME, &client).await.unwrap()) == first {
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(TIMEOUT, renewed).await.unwrap_or_else(|_| panic!("{}", server.log_so_far()));
    assert_eq!(pebble.orders(), 2);
    assert_eq!(get(&mut stream, "/__lbheartbeat__").await.0, "HTTP/1.1 200 OK");
    assert_eq!(certificate(&stream), first);
}

#[tokio::test]
#[ignore = "needs Pebble: tests/acme/run"]
async fn of_two_servers_one_orders_and_both_serve_the_certificate() {
    let mut pebble = Pebble::stopped(Duration::from_hours(24)).await;
    let options = pebble.server_options();
    let [mut one, mut other] = Server::start_sharing(options).await;
    pebble.port_443.forward_to(&one);
    pebble.run().await;
    let client = pebble.client().await;
    let of_one = certificate(&accepted(&one, &client).await);
    assert_eq!(certificate(&accepted(&other, &client).await), of_one);
    assert_eq!(pebble.orders(), 1, "{}", pebble.log());
    let logs = one.complete_log().await + &other.complete_log().await;
    assert_eq!(logs.matches("tls.acme_issued").count(), 1, "{logs}");
    assert_eq!(logs.matches("tls.acme_loaded").count(), 1, "{logs}");
}

#[tokio::test]
#[ignore = "needs Pebble: tests/acme/run"]
async fn a_challenge_is_answered_by_a_server_that_has_not_ordered() {
    let pebble = Pebble::start().await;
    let options = pebble.server_options().with("log", "debug");
    let both_names = format!("{NAME},second.pebble.test");
    let database = presence_test_postgres::Cluster::shared().create_database();
    let with_both = options.clone().with_database(&database).with("acme-domains", both_names);
    let mut answers = Server::start(with_both).await;
    pebble.port_443.forward_to(&answers);
    let client = pebble.client().await;
    accepted(&answers, &client).await;
    // It has its certificate, so what it answers from here on is for the other server.
    let answered = |server: &Server| server.log_so_far().matches("challenge_answered").count();
    let before = answered(&answers);
    let mut orders = Server::start(options.with_database(&database)).await;
    // A stranger who has just asked in vain delays no answer.
    tokio::select! {
        () = ask_all_the_time(&answers) => {}
        _ = orders.wait_for_log("tls.acme_issued") => {}
    }
    assert!(answered(&answers) > before, "{}", answers.log_so_far());
    assert!(!orders.log_so_far().contains("tls.acme_failed"), "{}", orders.log_so_far());
    assert_eq!(answered(&orders), 0);
    assert_eq!(answers.complete_log().await.matches("tls.acme_issued").count(), 1);
    orders.terminate().await;
}

#[tokio::test]
#[ignore = "needs Pebble: tests/acme/run"]
async fn while_one_server_orders_another_waits_and_takes_over_if_the_order_is_cut_off() {
    let pebble = Pebble::start().await;
    let database = presence_test_postgres::Cluster::shared().create_database();
    let options = pebble.server_options().with_database(&database);
    // The authority cannot verify the name.
    pebble.port_443.stall();
    let mut cut_off = Server::start(options.clone()).await;
    while pebble.orders() == 0 {
        sleep(Duration::from_millis(20)).await;
    }
    let other = Server::start(options).await;
    let_look(&other).await;
    assert_eq!(pebble.orders(), 1, "{}", pebble.log());
    cut_off.terminate().await;
    pebble.port_443.resume_traffic();
    pebble.port_443.forward_to(&other);
    // The lease of a server that does not give it back ends after a minute.
    let issued = timeout(Duration::from_secs(30), other.wait_for_log("tls.acme_issued")).await;
    assert!(issued.is_ok(), "{}", other.log_so_far());
}

/// Asks for the answer to the challenge as strangers may.
async fn ask_all_the_time(server: &Server) {
    loop {
        challenge(server, NAME).await.ok();
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
#[ignore = "needs Pebble: tests/acme/run"]
async fn an_account_that_the_authority_has_forgotten_is_created_again() {
    let mut pebble = Pebble::start().await;
    let options = pebble.server_options().with("acme-domains", REFUSED_NAME);
    let mut server = Server::start(options).await;
    // It has an account, and no certificate.
    server.wait_for_log("tls.acme_failed").await;
    server.terminate().await;
    // The authority keeps its accounts in memory.
    pebble.stop().await;
    pebble.run().await;
    server.change(|options: ServerOptions| options.with("acme-domains", NAME));
    server.restart().await;
    pebble.port_443.forward_to(&server);
    accepted(&server, &pebble.client().await).await;
}

#[tokio::test]
#[ignore = "needs Pebble: tests/acme/run"]
async fn after_a_change_of_the_names_the_earlier_certificate_is_served_until_there_is_another() {
    let mut pebble = Pebble::start().await;
    let mut server = Server::start(pebble.server_options()).await;
    pebble.port_443.forward_to(&server);
    let client = pebble.client().await;
    let earlier = certificate(&accepted(&server, &client).await);
    server.terminate().await;
    pebble.stop().await;
    let both_names = format!("{NAME},second.pebble.test");
    server.change(|options: ServerOptions| options.with("acme-domains", both_names));
    server.restart().await;
    let current = async || certificate(&connect_as(&server, NAME, &client).await.unwrap());
    assert_eq!(current().await, earlier);
    server.wait_for_log("tls.acme_failed").await;
    assert_eq!(current().await, earlier);
}

#[tokio::test]
#[ignore = "needs Pebble: tests/acme/run"]
async fn rejected_nonces_delay_a_certificate_and_no_more() {
    let mut pebble = Pebble::stopped(Duration::from_hours(24)).await;
    pebble.set("PEBBLE_WFE_NONCEREJECT", "30");
    pebble.run().await;
    let server = Server::start(pebble.server_options()).await;
    pebble.port_443.forward_to(&server);
    accepted(&server, &pebble.client().await).await;
    assert!(pebble.log().contains("reject 30% of good nonces"), "{}", pebble.log());
}

#[tokio::test]
#[ignore = "needs Pebble: tests/acme/run"]
async fn an_order_that_is_refused_is_logged_with_its_reason_and_tried_again_more_and_more_slowly() {
    let pebble = Pebble::start().await;
    let options = pebble.server_options().with("acme-domains", REFUSED_NAME);
    let mut server = Server::start(options).await;
    server.wait_for_log("attempts=2").await;
    server.terminate().await;
    // The delay outlives a restart, and ends at SIGHUP.
    server.restart().await;
    server.signal("HUP").await;
    let log = server.wait_for_log("SIGHUP").await;
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("tls.acme_failed")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    for line in &lines {
        assert!(line.contains("rejectedIdentifier") && line.contains(REFUSED_NAME), "{line}");
    }
    let delay = |line: &str| -> u64 {
        let (_, rest) = line.split_once("retry_in_seconds=").unwrap();
        rest.split(' ').next().unwrap().parse().unwrap()
    };
    assert!(delay(lines[0]) <= 1 && (2..=3).contains(&delay(lines[1])), "{log}");
    let first_attempts = || server.log_so_far().matches("attempts=1").count();
    let again = async {
        while first_attempts() < 2 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(TIMEOUT, again).await.unwrap_or_else(|_| panic!("{}", server.log_so_far()));
    assert!(!server.complete_log().await.contains(CONTACT));
}

#[tokio::test]
#[ignore = "needs Pebble: tests/acme/run"]
async fn keys_are_sealed_with_the_secret_and_a_restart_needs_no_authority() {
    let mut pebble = Pebble::start().await;
    let secret = pebble.file("secret", &"s".repeat(40));
    let options = pebble.server_options();
    let (mut readable, mut sealed) = (
        Server::start(options.clone()).await,
        Server::start(options.clone().with("shared-secret-file", secret.display())).await,
    );
    let client = pebble.client().await;
    for (server, has_keys) in [(&mut readable, true), (&mut sealed, false)] {
        pebble.port_443.forward_to(server);
        accepted(server, &client).await;
        server.terminate().await;
        let database = std::fs::read(server.database()).unwrap();
        for part in ["PRIVATE KEY", "key_pkcs8"] {
            let is_there = database.windows(part.len()).any(|bytes| bytes == part.as_bytes());
            assert_eq!(is_there, has_keys, "{part}");
        }
    }
    pebble.stop().await;
    sealed.restart().await;
    connect_as(&sealed, NAME, &client).await.unwrap();
    sealed.terminate().await;
    // Another secret opens nothing, and orders nothing.
    let other = pebble.file("other", &"o".repeat(40)).display().to_string();
    assert_refused(&sealed, &[("shared-secret-file", &other)], "shared_secret_file").await;
    // A readable database is sealed by the first start with a secret.
    readable.change(|options: ServerOptions| options.with("shared-secret-file", secret.display()));
    readable.restart().await;
    connect_as(&readable, NAME, &client).await.unwrap();
    readable.terminate().await;
    assert_refused(&readable, &[], "shared_secret_file").await;
}

/// Asserts that a server does not start with the database of a stopped one, and why.
async fn assert_refused(server: &Server, flags: &[(&str, &str)], reason: &str) {
    let database = format!("sqlite://{}", server.database().display());
    let mut arguments: Vec<String> =
        flags.iter().map(|(name, value)| format!("--{name}={value}")).collect();
    let given = [
        ("database", database.as_str()),
        ("listen", "127.0.0.1:0"),
        ("acme-domains", NAME),
        ("acme-terms-agreed", "true"),
        ("acme-directory", &server_directory(server)),
        ("browserid-issuers", "idp.example.org"),
    ];
    arguments.extend(given.iter().map(|(name, value)| format!("--{name}={value}")));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &arguments, &[]).await.failed(1, reason);
}

/// Returns the directory of a server, whose records are those of this directory.
fn server_directory(server: &Server) -> String {
    server.flag("acme-directory").unwrap().to_owned()
}

#[tokio::test]
#[ignore = "needs Pebble: tests/acme/run"]
async fn an_authority_that_requires_an_external_account_gets_its_key() {
    let mut pebble = Pebble::stopped(Duration::from_hours(24)).await;
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    pebble.configure("externalAccountBindingRequired", json!(true));
    pebble.configure("externalAccountMACKeys", json!({"kid-1": key}));
    pebble.run().await;
    let with_key = |content: &str| {
        let file = pebble.file("eab", content);
        pebble
            .server_options()
            .with("acme-eab-key-id", "kid-1")
            .with("acme-eab-key-file", file.display())
    };
    let wrong = Server::start(with_key("AAAA")).await;
    wrong.wait_for_log("tls.acme_failed").await;
    let server = Server::start(with_key(key)).await;
    pebble.port_443.forward_to(&server);
    accepted(&server, &pebble.client().await).await;
}

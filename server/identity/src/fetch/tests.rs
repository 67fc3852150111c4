//! The guarded client against a real server on the loopback interface.

use std::io;
use std::sync::Mutex;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const PUBLIC: GuardOptions =
    GuardOptions { allow_http: false, allow_loopback: false, allow_internal: false };
const LOCAL: GuardOptions = GuardOptions { allow_loopback: true, ..PUBLIC };
const TEST_TIMEOUT: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_response_is_returned_as_sent() {
    let response = "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 5\r\n\r\nhello";
    let fetched = fetch(LOCAL, response).await.unwrap();
    assert_eq!((fetched.status, fetched.body.as_slice()), (404, &b"hello"[..]));
    assert_eq!(fetched.content_type.as_deref(), Some("text/plain; charset=utf-8"));
}

#[tokio::test]
async fn the_max_age_of_a_response_is_read_from_cache_control() {
    for (header, seconds) in [
        ("", None),
        ("cache-control: public, Max-Age=3600\r\n", Some(3600)),
        ("cache-control: max-age=\"60\"\r\n", Some(60)),
        ("cache-control: public\r\ncache-control: max-age=7\r\n", Some(7)),
        ("cache-control: max-age=3600, no-store\r\n", Some(0)),
        ("cache-control: No-Cache\r\n", Some(0)),
        ("cache-control: max-age=-1\r\n", None),
        ("cache-control: max-age=soon\r\n", None),
        ("cache-control: s-maxage=9\r\n", None),
    ] {
        let response = format!("HTTP/1.1 200 OK\r\n{header}content-length: 0\r\n\r\n");
        let fetched = fetch(LOCAL, &response).await.unwrap();
        assert_eq!(fetched.max_age, seconds.map(Duration::from_secs), "{header}");
    }
}

/// Holds rule 18.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let response =
            format!("HTTP/1.1 {status} Moved\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(fetch(LOCAL, &response).await, Err(FetchError::Redirect), "{status}");
    }
}

/// Holds threat 3.
#[tokio::test]
async fn the_size_of_a_body_is_limited_with_and_without_content_length() {
    for (length, fits) in [(65_536, true), (65_537, false)] {
        let body = "x".repeat(length);
        for header in [format!("content-length: {length}\r\n"), String::new()] {
            let outcome = fetch(LOCAL, &format!("HTTP/1.1 200 OK\r\n{header}\r\n{body}")).await;
            let expected = if fits { Ok(length) } else { Err(FetchError::TooLarge) };
            assert_eq!(outcome.map(|fetched| fetched.body.len()), expected, "{length} {header}");
        }
    }
}

/// Holds threat 3.
#[tokio::test]
async fn a_compressed_body_is_not_decompressed() {
    let response = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nbomb";
    assert_eq!(fetch(LOCAL, response).await.unwrap().body, b"bomb");
}

/// Holds threat 3.
#[tokio::test]
async fn a_body_that_does_not_end_is_a_timeout() {
    let limits = FetchLimits { total: Duration::from_millis(300), ..FetchLimits::default() };
    let client = GuardedClient::with_limits(LOCAL, limits).unwrap();
    let (listener, url) = listen().await;
    let server = async {
        let mut peer = accept(&listener).await;
        peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhel").await.unwrap();
        std::future::pending::<()>().await;
    };
    let outcome = tokio::select! {
        outcome = tokio::time::timeout(TEST_TIMEOUT, client.get(&url)) => outcome.unwrap(),
        () = server => unreachable!("the server never ends"),
    };
    assert_eq!(outcome, Err(FetchError::Timeout));
}

#[tokio::test]
async fn a_response_that_is_not_http_is_a_connection_error() {
    assert_eq!(fetch(LOCAL, "220 smtp.example ESMTP\r\n").await, Err(FetchError::Connection));
    let (listener, url) = listen().await;
    drop(listener);
    assert_eq!(GuardedClient::new(LOCAL).unwrap().get(&url).await, Err(FetchError::Connection));
}

/// Holds threat 1.
#[tokio::test]
async fn internal_addresses_are_rejected_in_every_spelling() {
    let client = GuardedClient::new(GuardOptions { allow_http: true, ..PUBLIC }).unwrap();
    for url in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0/",
        "https://169.254.169.254/",
        "https://10.0.0.1/",
        "http://localhost/",
    ] {
        assert_eq!(
            client.get(&Url::parse(url).unwrap()).await,
            Err(FetchError::ForbiddenAddress),
            "{url}"
        );
    }
}

#[tokio::test]
async fn with_loopback_allowed_other_internal_addresses_are_rejected() {
    let client =
        GuardedClient::with_lookup(LOCAL, FetchLimits::default(), StubLookup::new(&["127.0.0.1"]))
            .unwrap();
    for (url, expected) in [
        ("https://127.0.0.2/", FetchError::ForbiddenAddress),
        ("https://10.0.0.1/", FetchError::ForbiddenAddress),
        ("https://rebound.example/", FetchError::ForbiddenAddress),
        ("https://app.localhost/", FetchError::ForbiddenAddress),
        ("http://presence.example/", FetchError::NotAllowed),
        ("https://presence.example:8443/", FetchError::NotAllowed),
    ] {
        assert_eq!(client.get(&Url::parse(url).unwrap()).await, Err(expected), "{url}");
    }
}

#[tokio::test]
async fn only_https_on_standard_ports_without_user_info_is_allowed() {
    let lookup = StubLookup::new(&["9.9.9.9"]);
    let client = GuardedClient::with_lookup(
        PUBLIC,
        FetchLimits::default(),
        Arc::clone(&lookup) as Arc<dyn Lookup>,
    )
    .unwrap();
    for url in [
        "http://a.example/",
        "ftp://a.example/",
        "file:///etc/passwd",
        "data:,x",
        "https://user@a.example/",
        "https://:secret@a.example/",
        "https://a.example:22/",
        "https://a.example:8080/",
        "https://9.9.9.9:25/",
    ] {
        assert_eq!(
            client.get(&Url::parse(url).unwrap()).await,
            Err(FetchError::NotAllowed),
            "{url}"
        );
    }
    assert!(lookup.names().is_empty());
}

/// Holds threat 1.
#[tokio::test]
async fn a_name_with_one_internal_address_is_rejected() {
    for addresses in [
        &["9.9.9.9", "127.0.0.1"][..],
        &["2606:4700::1111", "::1"],
        &["9.9.9.9", "64:ff9b::7f00:1"],
    ] {
        let lookup = StubLookup::new(addresses);
        let client = GuardedClient::with_lookup(
            PUBLIC,
            FetchLimits::default(),
            Arc::clone(&lookup) as Arc<dyn Lookup>,
        )
        .unwrap();
        let outcome = client.get(&Url::parse("https://rebound.example/").unwrap()).await;
        assert_eq!(outcome, Err(FetchError::ForbiddenAddress));
        assert_eq!(lookup.names(), ["rebound.example"]);
    }
}

#[tokio::test]
async fn an_address_that_the_operator_chose_may_be_internal_but_needs_tls() {
    let options = GuardOptions { allow_internal: true, ..PUBLIC };
    let lookup = StubLookup::new(&["127.0.0.1"]);
    let client = GuardedClient::with_lookup(options, FetchLimits::default(), lookup).unwrap();
    let (listener, url) = listen().await;
    let port = url.port().unwrap();
    drop(listener);
    for url in [format!("https://127.0.0.1:{port}/"), format!("https://sso.example:{port}/")] {
        // The connection was attempted, and no server listens.
        let outcome = client.get(&Url::parse(&url).unwrap()).await;
        assert_eq!(outcome, Err(FetchError::Connection), "{url}");
    }
    for url in ["http://127.0.0.1/", "http://sso.example/"] {
        let outcome = client.get(&Url::parse(url).unwrap()).await;
        assert_eq!(outcome, Err(FetchError::NotAllowed), "{url}");
    }
}

#[tokio::test]
async fn a_form_is_posted_and_its_response_returned() {
    let client = GuardedClient::new(LOCAL).unwrap();
    let (listener, url) = listen().await;
    let server = async {
        let mut peer = accept(&listener).await;
        let mut form = [0; 3];
        peer.read_exact(&mut form).await.unwrap();
        peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        form
    };
    let (outcome, form) =
        tokio::join!(client.post_form(&url, "a=b".to_owned(), Some("Basic eA==")), server);
    assert_eq!((outcome.unwrap().body.as_slice(), &form), (&b"ok"[..], b"a=b"));
}

#[tokio::test]
async fn a_name_without_addresses_cannot_be_resolved() {
    let client =
        GuardedClient::with_lookup(PUBLIC, FetchLimits::default(), StubLookup::new(&[])).unwrap();
    let outcome = client.get(&Url::parse("https://unknown.example/").unwrap()).await;
    assert_eq!(outcome, Err(FetchError::NotResolvable));
}

/// Holds threat 1.
#[tokio::test]
async fn the_connection_goes_to_the_checked_address() {
    let (listener, mut url) = listen().await;
    url.set_host(Some("localhost")).unwrap();
    let client =
        GuardedClient::with_lookup(LOCAL, FetchLimits::default(), StubLookup::new(&["127.0.0.1"]))
            .unwrap();
    let server = respond(&listener, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let (outcome, ()) = tokio::join!(client.get(&url), server);
    assert_eq!(outcome.unwrap().status, 200);
}

/// Fetches from a local server that sends this response, and returns the result.
async fn fetch(options: GuardOptions, text: &str) -> Result<FetchedResponse, FetchError> {
    let limits =
        FetchLimits { connect: TEST_TIMEOUT, total: TEST_TIMEOUT, ..FetchLimits::default() };
    let client = GuardedClient::with_limits(options, limits).unwrap();
    let (listener, url) = listen().await;
    let (outcome, ()) = tokio::join!(client.get(&url), respond(&listener, text));
    outcome
}

async fn listen() -> (TcpListener, Url) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/__presence", listener.local_addr().unwrap());
    (listener, Url::parse(&url).unwrap())
}

async fn respond(listener: &TcpListener, text: &str) {
    let mut peer = accept(listener).await;
    // The client may close the connection early.
    let _ = peer.write_all(text.as_bytes()).await;
    let _ = peer.shutdown().await;
}

/// Accepts a request and reads it to its empty line.
async fn accept(listener: &TcpListener) -> TcpStream {
    let (mut peer, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(peer.read_u8().await.unwrap());
    }
    peer
}

/// A resolver that returns the same addresses for each name, and records the names.
/// Holds threat 2.
#[tokio::test]
async fn name_servers_that_do_not_answer_hold_up_their_own_requests_only() {
    let limits = FetchLimits {
        connect: Duration::from_millis(300),
        concurrent: 2,
        ..FetchLimits::default()
    };
    let client = GuardedClient::with_lookup(PUBLIC, limits, Arc::new(SilentLookup)).unwrap();
    let url = Url::parse("https://slow.example/").unwrap();
    let requests = async { tokio::join!(client.get(&url), client.get(&url), client.get(&url)) };
    let outcomes = tokio::time::timeout(TEST_TIMEOUT, requests).await.unwrap();
    let timeout = Err(FetchError::Timeout);
    assert_eq!(outcomes, (timeout.clone(), timeout, Err(FetchError::Busy)));
    // The permits came back, and another client has its own.
    assert_eq!(client.permits.available_permits(), 2);
    let cut_off = tokio::time::timeout(Duration::from_millis(1), client.get(&url)).await;
    assert!(cut_off.is_err());
    assert_eq!(client.permits.available_permits(), 2);
}

#[tokio::test]
async fn no_name_server_is_asked_about_localhost() {
    let lookup = StubLookup::new(&["10.0.0.1"]);
    let stub = Arc::clone(&lookup) as Arc<dyn Lookup>;
    let client = GuardedClient::with_lookup(LOCAL, FetchLimits::default(), stub).unwrap();
    let (listener, url) = listen().await;
    let port = url.port().unwrap();
    drop(listener);
    let url = Url::parse(&format!("http://localhost:{port}/")).unwrap();
    assert_eq!(client.get(&url).await, Err(FetchError::Connection));
    assert_eq!(lookup.names(), Vec::<String>::new());
}

/// Name servers that do not answer.
struct SilentLookup;

#[async_trait]
impl Lookup for SilentLookup {
    async fn lookup(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }
}

struct StubLookup {
    addresses: Vec<IpAddr>,
    names: Mutex<Vec<String>>,
}

impl StubLookup {
    fn new(addresses: &[&str]) -> Arc<Self> {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self { addresses, names: Mutex::default() })
    }

    fn names(&self) -> Vec<String> {
        self.names.lock().unwrap().clone()
    }
}

#[async_trait]
impl Lookup for StubLookup {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.names.lock().unwrap().push(host.to_owned());
        Ok(self.addresses.clone())
    }
}

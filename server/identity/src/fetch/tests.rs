//! The guarded client against a real server on this machine.

use std::io;
use std::sync::Mutex;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const PUBLIC: GuardOptions =
    GuardOptions { allow_http: false, allow_loopback: false, allow_internal: false };
const LOCAL: GuardOptions = GuardOptions { allow_loopback: true, ..PUBLIC };
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn an_answer_comes_back_as_it_was_sent() {
    let answer = "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 5\r\n\r\nhello";
    let fetched = fetch(LOCAL, answer).await.unwrap();
    assert_eq!((fetched.status, fetched.body.as_slice()), (404, &b"hello"[..]));
    assert_eq!(fetched.content_type.as_deref(), Some("text/plain; charset=utf-8"));
}

#[tokio::test]
async fn an_answer_says_how_long_it_may_be_kept() {
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
        let answer = format!("HTTP/1.1 200 OK\r\n{header}content-length: 0\r\n\r\n");
        let fetched = fetch(LOCAL, &answer).await.unwrap();
        assert_eq!(fetched.max_age, seconds.map(Duration::from_secs), "{header}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let answer =
            format!("HTTP/1.1 {status} Moved\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(fetch(LOCAL, &answer).await, Err(FetchError::Redirect), "{status}");
    }
}

#[tokio::test]
async fn a_body_is_counted_whether_its_length_is_announced_or_not() {
    for (length, fits) in [(65_536, true), (65_537, false)] {
        let body = "x".repeat(length);
        for header in [format!("content-length: {length}\r\n"), String::new()] {
            let outcome = fetch(LOCAL, &format!("HTTP/1.1 200 OK\r\n{header}\r\n{body}")).await;
            let expected = if fits { Ok(length) } else { Err(FetchError::TooLarge) };
            assert_eq!(outcome.map(|fetched| fetched.body.len()), expected, "{length} {header}");
        }
    }
}

#[tokio::test]
async fn a_compressed_body_is_not_unpacked() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nbomb";
    assert_eq!(fetch(LOCAL, answer).await.unwrap().body, b"bomb");
}

#[tokio::test]
async fn a_body_that_does_not_end_is_given_up() {
    let limits = Limits { total: Duration::from_millis(300), ..Limits::default() };
    let client = GuardedClient::with_limits(LOCAL, limits).unwrap();
    let (listener, url) = listen().await;
    let server = async {
        let mut peer = accept(&listener).await;
        peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhel").await.unwrap();
        std::future::pending::<()>().await;
    };
    let outcome = tokio::select! {
        outcome = tokio::time::timeout(PATIENCE, client.get(&url)) => outcome.unwrap(),
        () = server => unreachable!("the server waits for ever"),
    };
    assert_eq!(outcome, Err(FetchError::Timeout));
}

#[tokio::test]
async fn what_is_not_http_is_a_failed_connection() {
    assert_eq!(fetch(LOCAL, "220 smtp.example ESMTP\r\n").await, Err(FetchError::Connection));
    let (listener, url) = listen().await;
    drop(listener);
    assert_eq!(GuardedClient::new(LOCAL).unwrap().get(&url).await, Err(FetchError::Connection));
}

#[tokio::test]
async fn this_machine_is_refused_unless_it_is_allowed() {
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
async fn where_this_machine_is_allowed_the_rest_stays_guarded() {
    let client =
        GuardedClient::with_lookup(LOCAL, Limits::default(), Answers::new(&["127.0.0.1"])).unwrap();
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
async fn only_https_on_the_usual_ports_and_without_a_user_is_asked_for() {
    let lookup = Answers::new(&["9.9.9.9"]);
    let client = GuardedClient::with_lookup(
        PUBLIC,
        Limits::default(),
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
    assert!(lookup.asked().is_empty());
}

#[tokio::test]
async fn an_answer_of_the_resolver_with_one_bad_address_is_dropped_whole() {
    for addresses in [
        &["9.9.9.9", "127.0.0.1"][..],
        &["2606:4700::1111", "::1"],
        &["9.9.9.9", "64:ff9b::7f00:1"],
    ] {
        let lookup = Answers::new(addresses);
        let client = GuardedClient::with_lookup(
            PUBLIC,
            Limits::default(),
            Arc::clone(&lookup) as Arc<dyn Lookup>,
        )
        .unwrap();
        let outcome = client.get(&Url::parse("https://rebound.example/").unwrap()).await;
        assert_eq!(outcome, Err(FetchError::ForbiddenAddress));
        assert_eq!(lookup.asked(), ["rebound.example"]);
    }
}

#[tokio::test]
async fn where_the_operator_chose_the_address_it_may_be_anywhere_but_not_without_tls() {
    let options = GuardOptions { allow_internal: true, ..PUBLIC };
    let lookup = Answers::new(&["127.0.0.1"]);
    let client = GuardedClient::with_lookup(options, Limits::default(), lookup).unwrap();
    let (listener, url) = listen().await;
    let port = url.port().unwrap();
    drop(listener);
    for url in [format!("https://127.0.0.1:{port}/"), format!("https://sso.example:{port}/")] {
        // It was tried: nobody listens.
        let outcome = client.get(&Url::parse(&url).unwrap()).await;
        assert_eq!(outcome, Err(FetchError::Connection), "{url}");
    }
    for url in ["http://127.0.0.1/", "http://sso.example/"] {
        let outcome = client.get(&Url::parse(url).unwrap()).await;
        assert_eq!(outcome, Err(FetchError::NotAllowed), "{url}");
    }
}

#[tokio::test]
async fn a_form_is_posted_and_its_answer_comes_back() {
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
    let client = GuardedClient::with_lookup(PUBLIC, Limits::default(), Answers::new(&[])).unwrap();
    let outcome = client.get(&Url::parse("https://nobody.example/").unwrap()).await;
    assert_eq!(outcome, Err(FetchError::NotResolvable));
}

#[tokio::test]
async fn the_connection_goes_to_the_vetted_address() {
    let (listener, mut url) = listen().await;
    url.set_host(Some("localhost")).unwrap();
    let client =
        GuardedClient::with_lookup(LOCAL, Limits::default(), Answers::new(&["127.0.0.1"])).unwrap();
    let server = answer(&listener, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let (outcome, ()) = tokio::join!(client.get(&url), server);
    assert_eq!(outcome.unwrap().status, 200);
}

/// What the client makes of this answer of a server on this machine.
async fn fetch(options: GuardOptions, text: &str) -> Result<Fetched, FetchError> {
    let limits = Limits { connect: PATIENCE, total: PATIENCE, ..Limits::default() };
    let client = GuardedClient::with_limits(options, limits).unwrap();
    let (listener, url) = listen().await;
    let (outcome, ()) = tokio::join!(client.get(&url), answer(&listener, text));
    outcome
}

async fn listen() -> (TcpListener, Url) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/__presence", listener.local_addr().unwrap());
    (listener, Url::parse(&url).unwrap())
}

async fn answer(listener: &TcpListener, text: &str) {
    let mut peer = accept(listener).await;
    // The client may hang up on what it does not want.
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

/// A resolver that gives the same answer to everything, and remembers what it was asked.
struct Answers {
    addresses: Vec<IpAddr>,
    asked: Mutex<Vec<String>>,
}

impl Answers {
    fn new(addresses: &[&str]) -> Arc<Self> {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self { addresses, asked: Mutex::default() })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Lookup for Answers {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        Ok(self.addresses.clone())
    }
}

//! The metrics, compared with the work that was done.

use std::collections::{BTreeMap, BTreeSet};

use presence_protocol::{CloseCode, Errno, Puid};
use presence_tests::{
    Application, Server, ServerOptions, Socket, SocketRequest, StoppedServer, TIMEOUT, email, now,
};
use serde_json::json;
use tokio::time::timeout;

use crate::operator::operator_session::{OperatorSession, make_token};

/// All samples, by name and labels.
#[derive(Debug)]
pub(crate) struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    pub(crate) async fn of(server: &Server) -> Self {
        let answer = server.metrics().await;
        assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
        Self::parse(&answer.text)
    }

    fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
        };
        Self(samples.map(sample).collect())
    }

    pub(crate) fn get(&self, name: &str) -> f64 {
        *self.0.get(name).unwrap_or_else(|| panic!("no {name} in {:#?}", self.0))
    }

    /// Returns the number of observations.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let text = self.get(name).to_string();
        text.parse().unwrap_or_else(|_| panic!("{name} is no count: {text}"))
    }
}

/// Asserts the growth of each sample.
#[track_caller]
fn assert_growth(before: &Scrape, after: &Scrape, expected: &[(&str, u64)]) {
    let grown: Vec<_> =
        expected.iter().map(|(name, _)| (*name, after.count(name) - before.count(name))).collect();
    assert_eq!(grown, expected);
}

/// An Application's stream, and a device that has connected and sent nothing yet.
struct MetricsScenario {
    server: Server,
    application: Application,
    uid: Puid,
    stream: Socket,
    phone: Socket,
}

impl MetricsScenario {
    async fn new() -> Self {
        let server = Server::start(ServerOptions::default().with_metrics()).await;
        let (application, _, uid) = server.application_with("alice").await;
        let (stream, _) = Socket::stream(&server, &application).await;
        let phone = Socket::device(&server).await;
        Self { server, application, uid, stream, phone }
    }

    /// Connects a device and reports statuses, one of them above the rate limit: 6 frames, of which
    /// 5 change something.
    async fn connect_device(&mut self, assertion: &str) {
        let hello =
            json!({"assertion": assertion, "status": "online", "device": "phone", "acks": true});
        self.phone.send(hello).await;
        self.phone.expect_ok().await;
        self.stream.expect_status(self.uid, "online").await;
        for status in ["unavailable", "online", "unavailable", "online"] {
            self.phone.report(status).await;
            self.stream.expect_status(self.uid, status).await;
        }
        self.phone.send(json!({"status": "unavailable"})).await;
        self.phone.expect_error(Errno::SlowDown).await;
    }

    /// Sends 7 notifications in one call and 1 on the channel, all acknowledged by one frame.
    /// Returns the number of frames in which they arrived.
    async fn receive_eight(&mut self) -> u64 {
        let item = json!({"uid": self.uid, "message": "Hello", "action": ""});
        self.application.notify(&json!(vec![&item; 7])).await.ok();
        let reply = self.stream.ask(json!({"action": "notify", "notifications": [item]})).await;
        assert_eq!(reply["result"], "OK");
        let (mut ids, mut frames) = (Vec::new(), 0);
        while ids.len() < 8 {
            let heard = self.phone.receive().await;
            frames += 1;
            let items = heard["notifications"].as_array().unwrap();
            ids.extend(items.iter().map(|item| item["id"].clone()));
        }
        self.phone.send(json!({"type": "ack", "ids": ids})).await;
        self.phone.expect_ok().await;
        frames
    }
}

#[tokio::test]
async fn each_metric_counts_the_work_that_was_done() {
    let mut scenario = MetricsScenario::new().await;
    let stolen = scenario.server.assertion("alice").await;
    let assertion = scenario.server.assertion("alice").await;
    let before = Scrape::of(&scenario.server).await;
    scenario.connect_device(&assertion).await;
    let frames = scenario.receive_eight().await;
    // An assertion of another user for the own name.
    let mut thief = Socket::device(&scenario.server).await;
    thief.send(json!({"email": email("mallory"), "assertion": stolen, "status": "online"})).await;
    thief.expect_error(Errno::EmailMismatch).await;
    let middle = Scrape::of(&scenario.server).await;
    // The device is lost, and offline when its grace period is over.
    drop((scenario.phone, thief));
    scenario.stream.expect_status(scenario.uid, "offline").await;
    let after = metrics_without_users(&scenario.server).await;

    counters_grew(&before, &after, frames);
    // Not before half a second, which is the grace period here.
    let waited = after.get("presence_time_to_offline_seconds_sum");
    assert!((0.5..10.0).contains(&waited), "{waited}");
    let grown = |name: &str| after.count(name) - before.count(name);
    // The notifications, the acknowledgement, the load of the device, and the maintenance.
    let commits = grown("presence_commit_requests_count");
    let requests = grown("presence_commit_requests_sum");
    assert!(requests >= 4 && commits >= 2 && requests >= commits, "{requests} in {commits}");
    assert_eq!(grown("presence_commit_seconds_count"), commits);
    // All updates and receipts of the stream are kept for a resumption.
    assert_eq!(grown("presence_stream_depth"), 6 + 8);
    for (name, then, last) in [
        ("presence_connections{channel=\"device\"}", 2, 0),
        ("presence_connections{channel=\"app\"}", 1, 1),
        ("presence_devices_connected", 1, 0),
        ("presence_users_present", 1, 0),
        ("presence_app_sockets", 1, 1),
        ("presence_mailbox_depth", 0, 0),
        ("presence_draining", 0, 0),
        ("presence_warming_up", 0, 0),
    ] {
        assert_eq!((middle.count(name), after.count(name)), (then, last), "{name}");
    }
}

fn counters_grew(before: &Scrape, after: &Scrape, frames: u64) {
    let expected = [
        ("presence_connections_opened_total{channel=\"device\"}", 1),
        ("presence_connections_opened_total{channel=\"app\"}", 0),
        ("presence_frames_received_total{channel=\"device\"}", 6 + 1 + 1),
        ("presence_frame_seconds_count{channel=\"device\"}", 6 + 1 + 1),
        ("presence_frame_seconds_bucket{channel=\"device\",le=\"+Inf\"}", 6 + 1 + 1),
        ("presence_frames_sent_total{channel=\"device\"}", 6 + 1 + 1 + frames),
        ("presence_frames_received_total{channel=\"app\"}", 1),
        // The reply, and the updates: online, 4 changes, offline.
        ("presence_frames_sent_total{channel=\"app\"}", 1 + 1 + 4 + 1),
        ("presence_updates_total", 1 + 4 + 1),
        ("presence_updates_written_total", 1 + 4 + 1),
        // One in sixteen, beginning with the first.
        ("presence_fan_out_seconds_count", 1),
        ("presence_ko_total{errno=\"slow_down\"}", 1),
        ("presence_ko_total{errno=\"email_mismatch\"}", 1),
        ("presence_ko_total{errno=\"invalid_assertion\"}", 0),
        ("presence_sign_ins_total{outcome=\"ok\"}", 1),
        ("presence_sign_ins_total{outcome=\"email_mismatch\"}", 1),
        ("presence_verifications_total{outcome=\"proven\"}", 2),
        ("presence_verifications_total{outcome=\"invalid\"}", 0),
        ("presence_sign_in_seconds_count", 2),
        ("presence_notifications_accepted_total", 7 + 1),
        ("presence_deliveries_total", 7 + 1),
        ("presence_notify_commit_seconds_count", 2),
        ("presence_receipts_total{state=\"acked\"}", 8),
        ("presence_receipts_total{state=\"delivered\"}", 0),
        ("presence_time_to_offline_seconds_count", 1),
        ("presence_http_answers_total{status=\"4xx\"}", 0),
    ];
    assert_growth(before, after, &expected);
}

/// Returns the metrics once no device is connected and no user is loaded.
async fn metrics_without_users(server: &Server) -> Scrape {
    let gone = async {
        loop {
            let scrape = Scrape::of(server).await;
            let left = ["presence_connections{channel=\"device\"}", "presence_users_present"];
            if left.iter().all(|name| scrape.count(name) == 0) {
                return scrape;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    timeout(TIMEOUT, gone).await.unwrap()
}

#[tokio::test]
async fn a_lost_device_that_returns_in_its_grace_time_is_counted() {
    let options = ServerOptions::default().with("grace-seconds", 600).with_metrics();
    let server = Server::start(options).await;
    let alice = server.sign_in("alice").await;
    drop(Socket::device_of(&server, "alice", "phone", "online").await);
    alice.wait_until_lost("phone").await;
    let _phone = Socket::device_of(&server, "alice", "phone", "online").await;
    // A connection that is replaced was not lost.
    let _phone = Socket::device_of(&server, "alice", "phone", "online").await;
    let metrics = Scrape::of(&server).await;
    assert_eq!(metrics.count("presence_returns_total"), 1);
    assert_eq!(metrics.count("presence_devices_connected"), 1);
}

#[tokio::test]
async fn every_metric_is_described_and_has_no_personal_data() {
    let server = Server::start(ServerOptions::default().with_metrics()).await;
    let (application, _, uid) = server.application_with("alice").await;
    let (_stream, _) = Socket::stream(&server, &application).await;
    let _phone = Socket::device_of(&server, "alice", "my-phone", "online").await;
    let text = server.metrics().await.text;
    let names: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .collect();
    for name in names {
        let suffixes = ["_bucket", "_sum", "_count"];
        let family = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
        let has = |word: &str| {
            text.contains(&format!("# {word} {family} "))
                || text.contains(&format!("# {word} {name} "))
        };
        assert!(has("HELP") && has("TYPE"), "{name}");
    }
    let labels: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.split_once('{')?.1.split_once('}'))
        .flat_map(|(labels, _)| labels.split(','))
        .map(|label| label.split('=').next().unwrap())
        .collect();
    let known = [
        "channel", "commit", "errno", "file", "le", "outcome", "place", "server", "state",
        "status", "version",
    ];
    assert!(labels.iter().all(|label| known.contains(label)), "{labels:?}");
    let uid = uid.to_string();
    for private in ["alice", "developer", "my-phone", "@", &uid, &application.appid, "127.0.0.1"] {
        assert!(!text.contains(private), "{private}");
    }
}

#[tokio::test]
async fn a_verification_that_fails_is_counted_by_its_outcome() {
    let server = Server::start(ServerOptions::default().with_metrics()).await;
    let before = Scrape::of(&server).await;
    let wrong = server.call("POST", "/session").json(&json!({"assertion": "made up"}));
    wrong.await.assert_error(Errno::InvalidAssertion);
    let after = Scrape::of(&server).await;
    let expected = [
        ("presence_verifications_total{outcome=\"proven\"}", 0),
        ("presence_verifications_total{outcome=\"invalid\"}", 1),
        ("presence_verifications_total{outcome=\"unavailable\"}", 0),
        ("presence_verifications_total{outcome=\"busy\"}", 0),
        ("presence_sign_in_seconds_count", 0),
    ];
    assert_growth(&before, &after, &expected);
}

#[tokio::test]
async fn the_process_and_its_database_are_measured() {
    let server = Server::start(ServerOptions::default().with_metrics()).await;
    let idle = Scrape::of(&server).await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(Socket::device(&server).await);
    }
    let busy = Scrape::of(&server).await;
    assert!(busy.get("process_open_fds") >= idle.get("process_open_fds") + 20.0);
    assert!(busy.get("process_max_fds") > busy.get("process_open_fds"));
    let resident = busy.get("process_resident_memory_bytes");
    assert!(resident > 1e6 && busy.get("process_virtual_memory_bytes") > resident);
    assert!(busy.get("process_threads") >= 1.0);
    busy.count("process_cpu_seconds_total");
    let age = (now() / 1000).abs_diff(busy.count("process_start_time_seconds"));
    assert!(age < 3600, "{age}");
    let size = |suffix: &str| {
        let mut path = server.database().as_os_str().to_owned();
        path.push(suffix);
        std::fs::metadata(path).unwrap().len()
    };
    let bytes = |file: &str| busy.count(&format!("presence_database_bytes{{file=\"{file}\"}}"));
    assert_eq!(bytes("database"), size(""));
    // The log only grows, until it is written back into the file.
    assert!((1..=size("-wal")).contains(&bytes("log")), "{busy:?}");
}

#[tokio::test]
async fn on_the_public_address_only_the_operators_token_reads_the_metrics() {
    let without_operator = Server::start_default().await;
    let (token, server) = OperatorSession::start_server(ServerOptions::default()).await;
    let operator = OperatorSession::sign_in(&server, &token).await;
    let (other, digest) = make_token().await;
    let user = server.sign_in("alice").await;
    let application = server.application(&user).await;
    let session = operator.cookie.split_once('=').unwrap().1;
    for wrong in [&other, &digest, &user.token, &application.api_key, "", session] {
        let call = server.call("GET", "/metrics").bearer(wrong);
        call.await.assert_error(Errno::NotFound);
    }
    server.call("GET", "/metrics").await.assert_error(Errno::NotFound);
    let basic = server.call("GET", "/metrics").header("authorization", &format!("Basic {token}"));
    basic.await.assert_error(Errno::NotFound);
    // The cookie of the pages is not enough, since browsers send it for every page.
    operator.get(&server, "/metrics").await.assert_error(Errno::NotFound);
    without_operator.call("GET", "/metrics").bearer(&token).await.assert_error(Errno::NotFound);
    // Wrong tokens from the same address do not lock the operator out.
    for scheme in ["Bearer", "bearer"] {
        let credential = format!("{scheme} {token}");
        let read = server.call("GET", "/metrics").header("authorization", &credential).await;
        assert_eq!((read.status, read.header("x-content-type-options")), (200, "nosniff"));
        assert!(read.text.contains("presence_users_present 0"), "{}", read.text);
    }
    let written = server.call("POST", "/metrics").bearer(&token).await;
    written.assert_error(Errno::MethodNotAllowed);
}

#[tokio::test]
async fn a_listener_of_their_own_serves_the_metrics_and_nothing_else() {
    let options = ServerOptions::default().with_metrics().with("drain-seconds", 2);
    let mut server = Server::start(options).await;
    let url = server.metrics_url().to_owned();
    server.call("GET", "/metrics").await.assert_error(Errno::NotFound);
    let metrics = async |url: &str| {
        let answer = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let answer = answer.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    let (status, text) = metrics(&url).await;
    assert_eq!((status, Scrape::parse(&text).count("presence_devices_connected")), (200, 1));
    let elsewhere = url.replace("/metrics", "/__heartbeat__");
    assert_eq!(metrics(&elsewhere).await.0, 404);
    // The same while the server drains.
    server.signal("TERM").await;
    phone.expect_close(CloseCode::GoingAway).await;
    let (_, text) = metrics(&url).await;
    assert_eq!(Scrape::parse(&text).count("presence_draining"), 1);
    assert_eq!(server.stopped().await, StoppedServer::With(0));
}

#[tokio::test]
async fn draining_and_warming_up_can_be_seen() {
    let options = ServerOptions::default().with_metrics().with("drain-seconds", 2);
    let mut server = Server::start(options).await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    server.signal("TERM").await;
    phone.expect_close(CloseCode::GoingAway).await;
    let scrape = Scrape::of(&server).await;
    assert_eq!(scrape.count("presence_draining"), 1);
    assert_eq!(server.stopped().await, StoppedServer::With(0));
    server.change(|options| options.with("warm-up-seconds", 600));
    server.restart().await;
    let scrape = Scrape::of(&server).await;
    assert_eq!((scrape.count("presence_warming_up"), scrape.count("presence_draining")), (1, 0));
    assert_eq!(server.call("GET", "/__heartbeat__").await.ok()["warming_up"], true);
}

#[tokio::test]
async fn handshakes_and_certificates_are_counted() {
    let authority = presence_tests::CertificateAuthority::default();
    let server = Server::start(ServerOptions::default().over_tls(&authority).with_metrics()).await;
    let before = Scrape::of(&server).await;
    let mut plain = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut plain, b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::io::AsyncReadExt::read_to_end(&mut plain, &mut rest);
    // Both a graceful and an abrupt end are counted.
    let _ = timeout(TIMEOUT, ended).await.unwrap();
    Socket::open(&server, SocketRequest::device()).await;
    server.signal("HUP").await;
    server.wait_for_log("tls.reloaded").await;
    let after = Scrape::of(&server).await;
    assert_growth(
        &before,
        &after,
        &[
            ("presence_tls_handshakes_total{outcome=\"failed\"}", 1),
            ("presence_tls_handshakes_total{outcome=\"ok\"}", 1),
            ("presence_tls_reloads_total{outcome=\"ok\"}", 1),
            ("presence_tls_reloads_total{outcome=\"failed\"}", 0),
            ("presence_http_answers_total{status=\"1xx\"}", 1),
        ],
    );
}

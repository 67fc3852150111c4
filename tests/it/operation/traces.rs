//! Traces by OTLP, which name no person and delay nothing.

mod collector;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use opentelemetry_proto::tonic::trace::v1::Span;
use presence_tests::{Application, Issuer, Server, ServerOptions, StoppedServer, run};
use serde_json::{Value, json};
use tempfile::tempdir;

use self::collector::{Collector, attributes};
use super::logs::use_all_features;

/// A text that clients send in all places, and that is not exported.
const CANARY: &str = "canary-5f3a";
/// The attributes of all spans.
const ATTRIBUTES: [&str; 10] = [
    "db.operation.batch.size",
    "db.system.name",
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "presence.channel",
    "presence.fetch.purpose",
    "presence.notifications",
    "presence.request.id",
];

/// Returns the options of a server that traces all requests.
fn options(endpoint: &str) -> ServerOptions {
    ServerOptions::default().with("traces-endpoint", endpoint).with("traces-ratio", 1)
}

fn of_span(span: &Span) -> BTreeMap<String, String> {
    attributes(&span.attributes)
}

/// Calls each operation of the OpenAPI document with the canary in all places.
async fn call_all(server: &Server) -> usize {
    let document = server.call("GET", "/openapi.json").await.ok();
    let mut calls = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let mut named = String::new();
        for (number, part) in path.split(['{', '}']).enumerate() {
            named.push_str(if number % 2 == 0 { part } else { CANARY });
        }
        for method in operations.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let call = server.call(&method.to_uppercase(), &format!("{named}?uid={CANARY}"));
            calls.push(
                call.bearer(CANARY)
                    .header("cookie", &format!("presence_session={CANARY}"))
                    .header("user-agent", CANARY)
                    .header("tracestate", &format!("{CANARY}=1"))
                    .json(&json!({"email": format!("{CANARY}@x.example"), "assertion": CANARY})),
            );
        }
    }
    let number = calls.len();
    join_all(calls.into_iter().map(IntoFuture::into_future)).await;
    number
}

/// Uses all features and all calls. Returns the texts that must not be exported.
async fn use_all(server: &Server, issuer: &Issuer) -> Vec<String> {
    let mut secrets = use_all_features(server).await;
    assert!(call_all(server).await > 30);
    let assertion = issuer.assertion("carol", &server.url());
    server.call("POST", "/session").json(&json!({"assertion": assertion})).await.ok();
    let (application, bob, uid) = server.application_with("bob").await;
    let Application { appid, api_key, .. } = application;
    server.call("GET", &format!("/grant/{appid}?id={CANARY}&state={CANARY}")).await;
    for method in ["GET", "CANARY"] {
        server.call(method, &format!("/{CANARY}")).await;
    }
    secrets.extend([appid, api_key, bob.token, uid.to_string(), assertion, issuer.host()]);
    secrets.extend([CANARY, "127.0.0.1"].map(str::to_owned));
    secrets
}

#[tokio::test]
async fn spans_have_only_the_listed_attributes_and_name_no_person() {
    let (collector, issuer) = (Collector::start().await, Issuer::start().await);
    let options = options(&collector.endpoint()).with("browserid-issuers", issuer.host());
    let mut server = Server::start(options.with("traces-service-name", "pres")).await;
    let secrets = use_all(&server, &issuer).await;
    assert_eq!(server.terminate().await, StoppedServer::With(0));
    let (spans, received) = (collector.spans(), collector.received());
    let found: Vec<_> = secrets.iter().filter(|secret| received.contains(*secret)).collect();
    assert!(found.is_empty(), "{found:?} was exported: {spans:#?}");
    let values = spans.iter().flat_map(|span| of_span(span).into_values());
    let texts: Vec<String> = values.chain(spans.iter().map(|span| span.name.clone())).collect();
    // Ids of spans are random bytes, so short words are looked for in texts only.
    for word in ["@", "?", "CANARY", "Chat", "alice", "bob", "carol", "localhost"] {
        assert!(!texts.iter().any(|text| text.contains(word)), "{word} was exported: {spans:#?}");
    }

    let keys: BTreeSet<_> = spans.iter().flat_map(|span| of_span(span).into_keys()).collect();
    assert_eq!(keys, ATTRIBUTES.map(str::to_owned).into());
    assert!(spans.iter().all(|span| span.events.is_empty() && span.trace_state.is_empty()));
    let names: BTreeSet<_> = spans.iter().map(|span| span.name.as_str()).collect();
    for name in [
        "GET",
        "_OTHER",
        "GET /grant/{appid}",
        "POST /apps/{appid}/notifications",
        "GET /presence",
        "GET /myapps/{appid}",
        "channel.open",
        "notifications.accept",
        "database.commit",
        "fetch",
    ] {
        assert!(names.contains(name), "{name} is not in {names:?}");
    }
    let purposes: BTreeSet<_> =
        spans.iter().filter_map(|span| of_span(span).remove("presence.fetch.purpose")).collect();
    assert_eq!(purposes, ["browserid_issuer", "domain_proof"].map(str::to_owned).into());
    let resource = collector.resource();
    assert_eq!(resource["service.name"], "pres");
    assert_eq!(resource.len(), 2, "{resource:?}");
}

#[tokio::test]
async fn a_span_of_a_request_has_its_id_route_and_status_and_those_below_it_are_children() {
    let collector = Collector::start().await;
    let mut server = Server::start(options(&collector.endpoint())).await;
    let (application, _, uid) = server.application_with("alice").await;
    let item = json!([{"uid": uid, "message": "hello", "action": ""}]);
    let accepted = application.notify(&item).await;
    accepted.ok();
    server.terminate().await;
    let spans = collector.spans();
    let id = accepted.header("x-request-id");
    let is_of_request =
        |span: &&Span| of_span(span).get("presence.request.id").is_some_and(|known| known == id);
    let request = spans.iter().find(is_of_request).unwrap();
    assert_eq!(request.name, "POST /apps/{appid}/notifications");
    let attributes = of_span(request);
    assert_eq!(attributes["http.route"], "/apps/{appid}/notifications");
    assert_eq!(attributes["http.response.status_code"], "200");
    assert!(request.parent_span_id.is_empty());
    let child = spans.iter().find(|span| span.name == "notifications.accept").unwrap();
    assert_eq!((&child.parent_span_id, &child.trace_id), (&request.span_id, &request.trace_id));
    assert_eq!(of_span(child)["presence.notifications"], "1");
    let fetch = spans.iter().find(|span| span.name == "fetch").unwrap();
    let caller = spans.iter().find(|span| span.span_id == fetch.parent_span_id).unwrap();
    assert_eq!(caller.name, "POST /apps/{appid}/verify");
}

#[tokio::test]
async fn a_client_cannot_force_a_trace_and_a_trusted_proxy_can_if_that_is_set() {
    let trace = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128;
    let parent = format!("00-{trace:032x}-b7ad6b7169203331-01");
    for (proxies, trusts, expected) in
        [("10.0.0.1", true, 0), ("127.0.0.1", false, 0), ("127.0.0.1", true, 1)]
    {
        let collector = Collector::start().await;
        let options = options(&collector.endpoint())
            .with("traces-ratio", 0)
            .with("trusted-proxies", proxies)
            .with("traces-from-proxies", trusts);
        let mut server = Server::start(options).await;
        server.call("GET", "/__version__").header("traceparent", &parent).await.ok();
        server.call("GET", "/__version__").await.ok();
        server.terminate().await;
        let spans = collector.spans();
        assert_eq!(spans.len(), expected, "{spans:?}");
        for span in spans {
            let id = span.trace_id.as_slice().try_into().map(u128::from_be_bytes).unwrap();
            assert_eq!((id, span.parent_span_id.len()), (trace, 8));
        }
    }
}

#[tokio::test]
async fn the_headers_of_the_file_are_sent_and_never_shown() {
    let (collector, directory) = (Collector::start().await, tempdir().unwrap());
    let file = directory.path().join("headers");
    std::fs::write(&file, "authorization: Bearer hunter2\n").unwrap();
    let options = options(&collector.endpoint()).with("log", "trace");
    let mut server = Server::start(options.with("traces-headers-file", file.display())).await;
    server.call("GET", "/__version__").await.ok();
    let log = server.complete_log().await;
    let heads = collector.heads();
    assert!(!heads.is_empty() && !log.contains("hunter2"), "{log}");
    for head in heads {
        let head = head.to_lowercase();
        assert!(head.starts_with("post /v1/traces "), "{head}");
        assert!(head.contains("authorization: bearer hunter2"), "{head}");
        assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    }
    let path = file.display().to_string();
    let flag = format!("--traces-headers-file={path}");
    let endpoint = format!("--traces-endpoint={}", collector.endpoint());
    let shown = run(directory.path(), &["config", &flag, &endpoint], &[]).await;
    assert!(shown.out.contains(&path) && !shown.out.contains("hunter2"), "{shown:?}");
    std::fs::write(&file, "hunter2").unwrap();
    let refused = run(directory.path(), &["--dev", &flag, &endpoint], &[]).await;
    refused.failed(2, "traces_headers_file: line 1 of ");
    assert!(!refused.err.contains("hunter2"), "{refused:?}");
    for wrong in ["http://user:hunter2@localhost", "http://localhost/?key=hunter2", "localhost:1"] {
        let refused = run(directory.path(), &["--traces-endpoint", wrong, "--dev"], &[]).await;
        refused.failed(2, "traces_endpoint must be a URL");
        assert!(!refused.err.contains("hunter2"), "{refused:?}");
    }
}

#[tokio::test]
async fn check_asks_the_collector() {
    let (collector, directory) = (Collector::start().await, tempdir().unwrap());
    let endpoint = format!("--traces-endpoint={}", collector.endpoint());
    let database = "--database=sqlite://presence.db?mode=rwc";
    let check = ["check", "--dev", database, &endpoint];
    let output = run(directory.path(), &check, &[]).await;
    assert!(output.out.contains("traces: ok"), "{output:?}");
    collector.answer(Some(401));
    let output = run(directory.path(), &check, &[]).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.err.contains("traces: the collector answers with status 401"), "{output:?}");
    let output = run(directory.path(), &[check.as_slice(), &["--offline"]].concat(), &[]).await;
    assert!(output.out.contains("traces: not asked (--offline)\n"), "{output:?}");
    assert_eq!((output.code, collector.heads().len()), (Some(0), 2), "{output:?}");
}

/// Returns the number of spans with an outcome.
async fn spans(server: &Server, outcome: &str) -> u64 {
    let prefix = format!("presence_trace_spans_total{{outcome=\"{outcome}\"}} ");
    let metrics = server.metrics().await.text;
    let value = metrics.lines().find_map(|line| line.strip_prefix(&prefix));
    value.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
}

async fn wait_for_spans(server: &Server, outcome: &str) {
    let counted = async { while spans(server, outcome).await == 0 {} };
    tokio::time::timeout(presence_tests::TIMEOUT, counted).await.unwrap();
}

fn lines_with(log: &str, text: &str) -> usize {
    log.lines().filter(|line| line.contains(text)).count()
}

#[tokio::test]
async fn a_collector_that_does_not_answer_delays_no_call_and_the_end_by_two_seconds_only() {
    let collector = Collector::start().await;
    collector.answer(None);
    let mut server = Server::start(options(&collector.endpoint()).with_metrics()).await;
    server.call("GET", "/__version__").await.ok();
    // More spans than wait: the others are dropped, and no call waits for the collector.
    let begun = Instant::now();
    for _ in 0..40 {
        let calls = (0..64).map(|_| server.call("GET", "/__lbheartbeat__").into_future());
        join_all(calls).await.iter().for_each(|answer| drop(answer.ok()));
    }
    let slowest = begun.elapsed();
    wait_for_spans(&server, "dropped").await;
    assert!(slowest < Duration::from_secs(40), "{slowest:?}");
    let begun = Instant::now();
    assert_eq!(server.terminate().await, StoppedServer::With(0));
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert_eq!(lines_with(&server.log_so_far(), "traces.lost"), 1, "{}", server.log_so_far());
}

#[tokio::test]
async fn one_line_is_logged_when_the_export_begins_to_fail_and_one_when_it_works_again() {
    let port = Collector::absent_port().await;
    let endpoint = format!("http://127.0.0.1:{port}/v1/traces");
    let mut server = Server::start(options(&endpoint).with_metrics()).await;
    server.call("GET", "/__version__").await.ok();
    wait_for_spans(&server, "failed").await;
    let collector = Collector::start_on(port).await;
    collector.answer(Some(500));
    server.call("GET", "/__version__").await.ok();
    let asked = async {
        while collector.heads().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(presence_tests::TIMEOUT, asked).await.unwrap();
    collector.answer(Some(200));
    server.call("GET", "/__version__").await.ok();
    server.wait_for_log("traces.sent").await;
    wait_for_spans(&server, "sent").await;
    collector.answer(Some(503));
    server.call("GET", "/__version__").await.ok();
    let log = server.complete_log().await;
    assert_eq!(lines_with(&log, "traces.failed"), 2, "{log}");
    assert_eq!(lines_with(&log, "traces.sent"), 1, "{log}");
    assert!(!log.contains("v1/traces"), "{log}");
}

#[tokio::test]
async fn without_an_endpoint_nothing_is_traced_whatever_the_log_shows() {
    let options = ServerOptions::default().with("log", "trace,presence_traces=trace");
    let mut server = Server::start(options.with("log-format", "json").with_metrics()).await;
    server.call("GET", "/__version__").await.ok();
    assert_eq!(spans(&server, "sent").await + spans(&server, "dropped").await, 0);
    let log = server.complete_log().await;
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let named = lines.filter(|line| line["spans"].as_array().is_some_and(|spans| spans.len() > 1));
    assert_eq!(named.count(), 0, "{log}");
}

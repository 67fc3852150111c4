//! Sending notifications.

use std::time::{Duration, Instant};

use presence_protocol::{CloseCode, Errno, Puid};
use presence_tests::{Server, ServerOptions, Socket, SocketRequest};
use serde_json::{Value, json};

fn item(uid: Puid, message: &str) -> Value {
    json!({"uid": uid, "message": message, "action": ""})
}

fn notify(items: impl Into<Value>) -> Value {
    json!({"action": "notify", "notifications": items.into()})
}

/// Returns the errno of each entry of a reply, which is 0 for OK.
fn errnos(reply: &Value) -> Vec<u64> {
    let results = reply["results"].as_array().unwrap_or_else(|| panic!("no results: {reply}"));
    results.iter().map(|result| result["errno"].as_u64().unwrap_or(0)).collect()
}

#[tokio::test]
async fn the_single_form_of_notify_gets_a_single_reply() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut plain = Socket::app(&server, &application, SocketRequest::app(&application)).await;
    plain.expect_status(uid, "offline").await;
    let reply =
        plain.ask(json!({"action": "notify", "target": uid, "message": "Hello", "id": 9})).await;
    let actual = (&reply["action"], &reply["result"], &reply["queue_size"], &reply["id"]);
    assert_eq!(actual, (&json!("notify"), &json!("OK"), &json!(1), &json!(9)), "{reply}");
    plain.send(json!({"action": "notify", "target": "nonsense", "message": "Hello"})).await;
    plain.expect_error(Errno::UnknownUid).await;
    plain.send(json!({"action": "notify", "target": uid})).await;
    plain.expect_error(Errno::MissingField).await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let received = device.receive().await;
    let list = received["notifications"].as_array().unwrap();
    assert_eq!(list.len(), 1, "{received}");
    let (message, source) = (&list[0]["message"], &list[0]["source"]);
    assert_eq!((message, source), (&json!("Hello"), &json!("Chat")), "{received}");
}

#[tokio::test]
async fn each_notification_gets_its_own_result_in_order() {
    let server = Server::start_default().await;
    let (application, _, alice) = server.application_with("alice").await;
    let bob = server.sign_in("bob").await;
    let bobs = bob.grant(&application).await;
    let other = server.application_named(&application.owner, "Other").await;
    let elsewhere = bob.grant(&other).await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let items = json!([
        item(alice, "one"),
        {"uid": alice},
        item(elsewhere, "x"),
        item(bobs, "two"),
        7,
        {"uid": "nonsense", "message": "x"},
        item(alice, "three"),
    ]);
    let reply = stream.ask(notify(items)).await;
    assert_eq!(errnos(&reply), [0, 11, 44, 0, 10, 44, 0], "{reply}");
    let results = reply["results"].as_array().unwrap();
    let sizes: Vec<_> = results.iter().map(|result| &result["queue_size"]).collect();
    assert_eq!(json!(sizes), json!([1, null, null, 1, null, null, 2]), "{reply}");
    assert_eq!(reply["queue_size"], 2);
    assert_eq!(reply["result"], "OK");
    let ids: std::collections::HashSet<_> =
        results.iter().filter_map(|result| result["id"].as_str()).collect();
    assert_eq!(ids.len(), 3, "{reply}");
    assert_eq!(stream.ask(notify(json!([]))).await["queue_size"], 0);
}

#[tokio::test]
async fn text_limits_count_characters_and_longer_texts_are_refused() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let longest = "𝄞".repeat(512);
    let url = |chars: usize| format!("https://a.example/{}", "x".repeat(chars - 18));
    let items = json!([
        {"uid": uid, "message": longest, "action": url(512)},
        {"uid": uid, "message": "x".repeat(513)},
        {"uid": uid, "message": "x", "action": url(513)},
    ]);
    assert_eq!(errnos(&stream.ask(notify(items)).await), [0, 12, 12]);
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let received = device.receive().await;
    assert_eq!(received["notifications"][0]["message"], longest);
    assert_eq!(received["notifications"][0]["action"], url(512));
}

#[tokio::test]
async fn a_notify_frame_has_at_most_500_items() {
    let server = Server::start(ServerOptions::default().with("notify-burst", 1000)).await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let items = |count: usize| Value::Array(vec![item(uid, "x"); count]);
    let reply = stream.ask(notify(items(500))).await;
    assert_eq!(reply["results"].as_array().unwrap().len(), 500);
    stream.send(notify(items(501))).await;
    stream.expect_error(Errno::TooLarge).await;
}

#[tokio::test]
async fn a_ttl_is_a_whole_number_of_seconds_up_to_30_days() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let ttls = [json!(0), json!(1), json!(2_592_000), json!(null)];
    let wrong = [json!(2_592_001), json!(-1), json!(1.5), json!("60")];
    let items: Vec<_> = ttls
        .iter()
        .chain(&wrong)
        .map(|ttl| json!({"uid": uid, "message": "x", "ttl": ttl}))
        .collect();
    assert_eq!(errnos(&stream.ask(notify(items)).await), [0, 0, 0, 0, 12, 12, 12, 12]);
}

#[tokio::test]
async fn an_action_with_an_unsafe_scheme_is_refused() {
    let server = Server::start(ServerOptions::default().with("action-schemes", "myapp")).await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let good = [
        "",
        "https://a.example/x?y#z",
        "http://localhost:3000/",
        "http://127.0.0.1/",
        "myapp://chat/7",
    ];
    let bad = [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "http://a.example/",
        "otherapp://x",
        "//a.example",
        "x",
        " https://a.example/",
        "https://a.example/\u{202e}",
        "vbscript:x",
        "https://user@a.example/",
        "myapp://user:secret@chat/7",
    ];
    let items: Vec<_> = good
        .iter()
        .chain(&bad)
        .map(|action| json!({"uid": uid, "message": "x", "action": action}))
        .collect();
    let answers = errnos(&stream.ask(notify(items)).await);
    for (action, errno) in good.iter().zip(&answers) {
        assert_eq!(*errno, 0, "{action}");
    }
    for (action, errno) in bad.iter().zip(&answers[good.len()..]) {
        assert_eq!(*errno, 12, "{action}");
    }
}

#[tokio::test]
async fn a_notification_shows_the_given_source_beside_the_application_and_its_domain() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let forged = json!({"uid": uid, "message": "x", "source": "bob@chat.example", "appid": "bank",
        "application": "Bank", "domain": "bank.example", "id": "mine", "sent_at": 1});
    stream.ask(notify(json!([forged, item(uid, "y")]))).await;
    let received = device.receive().await;
    let notification = &received["notifications"][0];
    let domain = application.domain.name();
    assert_eq!(notification["source"], "bob@chat.example", "{received}");
    assert_eq!(notification["application"], "Chat", "{received}");
    assert_eq!(notification["domain"], json!(domain), "{received}");
    assert_eq!(notification["appid"], json!(application.appid), "{received}");
    assert_ne!(notification["id"], "mine");
    assert!(notification["sent_at"].as_u64().unwrap() > 1_600_000_000_000, "{received}");
    let mut names: Vec<_> = notification.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected =
        ["action", "appid", "application", "domain", "id", "message", "sent_at", "source"];
    assert_eq!(names, expected);
    let other =
        if received["notifications"][1].is_null() { device.receive().await } else { received };
    let last = other["notifications"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["message"], &last["source"]), (&json!("y"), &json!("Chat")));
}

#[tokio::test]
async fn a_source_waits_with_its_notification_over_a_restart() {
    let mut server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let items = json!([{"uid": uid, "message": "x", "source": "Bob"}, item(uid, "y")]);
    application.notify(&items).await.ok();
    let account = alice.call("GET", "/account").await.ok();
    let listed = &account["notifications"][0];
    assert_eq!((&listed["source"], &listed["application"]), (&json!("Bob"), &json!("Chat")));
    server.kill().await;
    server.restart().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let received = device.receive().await;
    let sources: Vec<_> = received["notifications"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["source"].clone(), item["application"].clone()))
        .collect();
    assert_eq!(sources, [(json!("Bob"), json!("Chat")), (json!("Chat"), json!("Chat"))]);
}

#[tokio::test]
async fn a_source_that_looks_like_another_applications_name_is_refused() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let bank = server.application_named(&server.sign_in("banker").await, "Bank of Peace").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let from = |source: &str| json!({"uid": uid, "message": "x", "source": source});
    let refused = [
        "Bank of Peace",
        "bank of peace",
        " BANK OF PEACE ",
        "Bank  of Peace",
        "BankofPeace",
        "Bаnk of Pеасе",
        "Ｂａｎｋ of Peace",
        "Bank\u{a0}of Peace",
    ];
    let taken = ["Chat", "chat", "Bob", "Bank of Peace and War", "bob@bank.example", ""];
    let items: Vec<_> = refused.iter().chain(&taken).map(|source| from(source)).collect();
    let reply = stream.ask(notify(json!(items))).await;
    let expected: Vec<u64> = refused.iter().map(|_| 12).chain(taken.iter().map(|_| 0)).collect();
    assert_eq!(errnos(&reply), expected, "{reply}");
    // The name of the other Application counts from its registration to its change.
    let name = json!({"name": "Bank of War"});
    bank.owner_call("PATCH", "").json(&name).await.ok();
    let reply = stream.ask(notify(json!([from("Bank of Peace"), from("Bаnk of Wаr")]))).await;
    assert_eq!(errnos(&reply), [0, 12], "{reply}");
}

#[tokio::test]
async fn a_renamed_application_shows_its_old_name_too() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    application.owner_call("PATCH", "").json(&json!({"name": "Your Bank"})).await.ok();
    let items =
        json!([{"uid": uid, "message": "x"}, {"uid": uid, "message": "y", "source": "Your Bank"}]);
    application.notify(&items).await.ok();
    let mut received = Vec::new();
    while received.len() < 2 {
        let frame = device.receive().await;
        received.extend(frame["notifications"].as_array().unwrap().iter().cloned());
    }
    let both = "Your Bank (before: Chat)";
    assert_eq!(received[0]["source"], both, "{received:?}");
    assert_eq!(received[0]["application"], both, "{received:?}");
    assert_eq!(received[1]["application"], both, "{received:?}");
    let grants = alice.call("GET", "/grants").await.ok();
    let grant = &grants["grants"][0];
    assert_eq!((&grant["name"], &grant["previous_name"]), (&json!("Your Bank"), &json!("Chat")));
    // The first name is kept over several changes, and forgotten if it comes back.
    application.owner_call("PATCH", "").json(&json!({"name": "My Bank"})).await.ok();
    let grants = alice.call("GET", "/grants").await.ok();
    assert_eq!(grants["grants"][0]["previous_name"], "Chat");
    application.owner_call("PATCH", "").json(&json!({"name": "Chat"})).await.ok();
    let grants = alice.call("GET", "/grants").await.ok();
    assert_eq!(grants["grants"][0].get("previous_name"), None);
}

#[tokio::test]
async fn a_source_belongs_to_the_body_of_an_idempotency_key() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let from = |source: &str| json!({"uid": uid, "message": "x", "source": source, "idempotency_key": "k"});
    let first = stream.ask(notify(json!([from("Bob")]))).await;
    assert_eq!(stream.ask(notify(json!([from("Bob")]))).await, first);
    for other in ["", "Eve"] {
        assert_eq!(errnos(&stream.ask(notify(json!([from(other)]))).await), [12], "{other:?}");
    }
}

#[tokio::test]
async fn a_notify_of_which_nothing_was_taken_is_an_error_with_results() {
    let options = ServerOptions::default().with("notify-burst", 1).with("notify-per-second", 1);
    let server = Server::start(options).await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let unknown = json!({"uid": "nonsense", "message": "x"});
    let reply = stream.ask(notify(json!([unknown, item(uid, "x")]))).await;
    assert_eq!((&reply["result"], &reply["failed"]), (&json!("OK"), &json!(1)), "{reply}");
    let refused = notify(json!([item(uid, "y"), item(uid, "z")]));
    let reply = stream.ask(refused.clone()).await;
    assert_eq!((&reply["result"], &reply["errno"]), (&json!("KO"), &json!(20)), "{reply}");
    assert_eq!((&reply["action"], &reply["failed"]), (&json!("notify"), &json!(2)), "{reply}");
    assert!(reply["retry_after"].as_f64().is_some_and(|seconds| seconds > 0.0), "{reply}");
    assert_eq!(errnos(&reply), [20, 20], "{reply}");
    let mixed = stream.ask(notify(json!([unknown, item(uid, "y")]))).await;
    assert_eq!((&mixed["errno"], mixed.get("retry_after")), (&json!(44), None), "{mixed}");
    let over_rest = application.notify(&json!([unknown])).await;
    let answer = over_rest.json();
    assert_eq!((over_rest.status, &answer["result"]), (200, &json!("KO")), "{answer}");
    assert_eq!((&answer["errno"], &answer["failed"]), (&json!(44), &json!(1)), "{answer}");
    assert_eq!(answer["results"][0]["errno"], 44, "{answer}");
}

#[tokio::test]
async fn a_repeated_idempotency_key_gets_the_first_reply_and_is_queued_once() {
    let server = Server::start_default().await;
    let (application, _, alice) = server.application_with("alice").await;
    let bobs = server.sign_in("bob").await.grant(&application).await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let keyed = |uid: Puid, message: &str| json!({"uid": uid, "message": message, "action": "", "idempotency_key": "k"});
    let first = stream.ask(notify(json!([keyed(alice, "one")]))).await;
    stream.ask(notify(json!([item(alice, "two")]))).await;
    let again = stream.ask(notify(json!([keyed(alice, "one")]))).await;
    assert_eq!(again, first);
    let over_rest = application.notify(&json!([keyed(alice, "one")])).await.ok();
    assert_eq!(over_rest["results"], first["results"]);
    let within = stream.ask(notify(json!([keyed(bobs, "b"), keyed(bobs, "b")]))).await;
    assert_eq!(within["results"][0], within["results"][1]);
    assert_ne!(within["results"][0]["id"], first["results"][0]["id"]);
    let other_body = stream.ask(notify(json!([keyed(alice, "other")]))).await;
    assert_eq!(errnos(&other_body), [12]);
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let received = device.receive().await;
    assert_eq!(received["notifications"].as_array().unwrap().len(), 2, "{received}");
    // The key is remembered also after the notification was settled.
    let again = application.notify(&json!([keyed(alice, "one")])).await.ok();
    assert_eq!(again["results"][0]["id"], first["results"][0]["id"]);
    device.expect_no_frame().await;
}

#[tokio::test]
async fn an_error_is_not_remembered_for_its_idempotency_key() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let keyed = |action: &str| json!({"uid": uid, "message": "x", "action": action, "idempotency_key": "k"});
    assert_eq!(errnos(&stream.ask(notify(json!([keyed("file:///x")]))).await), [12]);
    assert_eq!(errnos(&stream.ask(notify(json!([keyed("")]))).await), [0]);
    for wrong in [json!(""), json!("k".repeat(129)), json!(7), json!("a\nb")] {
        let item = json!({"uid": uid, "message": "x", "idempotency_key": wrong});
        assert_eq!(errnos(&stream.ask(notify(json!([item]))).await), [12], "{wrong}");
    }
}

#[tokio::test]
async fn the_notification_rate_is_limited_for_each_user() {
    let options = ServerOptions::default().with("notify-burst", 5).with("notify-per-second", 1);
    let server = Server::start(options).await;
    let (application, _, alice) = server.application_with("alice").await;
    let bobs = server.sign_in("bob").await.grant(&application).await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let mut items = vec![item(alice, "x"); 6];
    items.push(item(bobs, "x"));
    let begun = Instant::now();
    let reply = stream.ask(notify(items)).await;
    assert_eq!(errnos(&reply), [0, 0, 0, 0, 0, 20, 0], "{reply}");
    let wait = reply["results"][5]["retry_after"].as_f64().unwrap();
    assert!(0.0 < wait && wait <= 1.0, "{reply}");
    stream.expect_no_stream_frame().await;
    tokio::time::sleep(Duration::from_secs_f64(wait)).await;
    assert_eq!(errnos(&stream.ask(notify(vec![item(alice, "x")])).await), [0]);
    // The burst is five, so the sixth notification is refused for at least a second.
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn made_up_uids_use_up_the_budget_of_their_application() {
    let options = [("notify-burst", 5), ("notify-per-second", 1), ("app-notify-burst", 600)];
    let options = options
        .into_iter()
        .fold(ServerOptions::default(), |options, (name, value)| options.with(name, value));
    let server = Server::start(options.with("app-notify-per-second", 1)).await;
    let (application, _, alice) = server.application_with("alice").await;
    let (other, _, _) = server.application_with("bob").await;
    let bob = server.sign_in("bob").await.grant(&other).await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let made_up = |first: u128| {
        let items = (first..first + 500).map(|n| item(Puid::from_bits(n), "x"));
        notify(items.collect::<Vec<_>>())
    };
    assert_eq!(errnos(&stream.ask(made_up(1_000)).await), [44; 500]);
    let limited = errnos(&stream.ask(made_up(2_000)).await);
    assert_eq!(limited[..100], [44; 100]);
    // The bucket may have got a few tokens meanwhile.
    assert!(limited.iter().filter(|errno| **errno == 20).count() > 300, "{limited:?}");
    assert_eq!(errnos(&stream.ask(notify(vec![item(alice, "x")])).await), [20]);
    let (mut stream_of_other, _) = Socket::stream(&server, &other).await;
    assert_eq!(errnos(&stream_of_other.ask(notify(vec![item(bob, "x")])).await), [0]);
}

#[tokio::test]
async fn repeated_rate_violations_close_the_socket_in_both_forms() {
    let options = ServerOptions::default().with("notify-burst", 5).with("notify-per-second", 1);
    let server = Server::start(options).await;
    let (application, _, uid) = server.application_with("alice").await;
    for frame in
        [notify(vec![item(uid, "x")]), json!({"action": "notify", "target": uid, "message": "x"})]
    {
        let (mut stream, _) = Socket::stream(&server, &application).await;
        stream.send_all(vec![frame; 60]).await;
        stream.expect_close(CloseCode::TooSlowOrTooFast).await;
    }
}

#[tokio::test]
async fn replies_arrive_in_the_order_of_the_requests() {
    let server = Server::start(ServerOptions::default().with("notify-burst", 1000)).await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let frame = |id: usize| match id % 4 {
        0 => json!({"action": "notify", "notifications": [item(uid, "x")], "id": id}),
        1 => json!({"action": "query", "uids": [uid], "id": id}),
        2 => json!({"action": "dance", "id": id}),
        _ => json!({"action": "notify", "target": uid, "message": "x", "id": id}),
    };
    stream.send_all((0..300).map(frame)).await;
    for id in 0..300 {
        assert_eq!(stream.receive().await["id"], id);
    }
}

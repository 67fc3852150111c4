//! Rate limits by address, and the client's address behind a proxy.

use std::time::{Duration, Instant};

use presence_protocol::Errno;
use presence_tests::{
    Application, RejectedUpgrade, Server, ServerOptions, Socket, SocketRequest, TIMEOUT,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const CLIENT: &str = "x-forwarded-for";

/// Opens sockets until one is refused, and returns the number of those opened.
async fn count_opened(
    server: &Server,
    request: impl Fn(usize) -> SocketRequest,
) -> (usize, Option<RejectedUpgrade>) {
    let mut sockets = Vec::new();
    while sockets.len() < 20 {
        match Socket::try_open(server, request(sockets.len())).await {
            Ok(socket) => sockets.push(socket),
            Err(refused) => return (sockets.len(), Some(refused)),
        }
    }
    (sockets.len(), None)
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_limits_of_its_own() {
    let options = ServerOptions::default()
        .production()
        .with("trusted-proxies", "127.0.0.0/8,10.0.0.0/8")
        .with("connects-per-second", 3)
        .with("log", "debug");
    let mut server = Server::start(options).await;
    let (several, refused) = count_opened(&server, |number| {
        SocketRequest::device().header(CLIENT, &format!("203.0.113.{number}"))
    })
    .await;
    assert!(refused.is_none(), "refused after {several}");
    // The address that the client invented stands before the one that the proxy added. Another
    // proxy in between does not hide it.
    let (few, refused) = count_opened(&server, |number| {
        SocketRequest::device().header(CLIENT, &format!("192.0.2.{number}, 198.51.100.1, 10.0.0.1"))
    })
    .await;
    assert!((3..20).contains(&few), "{few}");
    refused.unwrap().assert_error(Errno::TooManyConnections);
    let log = server.complete_log().await;
    assert!(log.contains("address=198.51.100.1"), "{log}");
    assert!(!log.contains("192.0.2.") && !log.contains("address=127.0.0.1"), "{log}");
}

#[tokio::test]
async fn forwarding_headers_of_untrusted_clients_are_ignored() {
    for options in
        [ServerOptions::default(), ServerOptions::default().with("trusted-proxies", "10.0.0.0/8")]
    {
        let options = options.production().with("connects-per-second", 3).with("log", "debug");
        let mut server = Server::start(options).await;
        let (few, refused) = count_opened(&server, |number| {
            let request = SocketRequest::device().header(CLIENT, &format!("203.0.113.{number}"));
            request.header("forwarded", &format!("for=203.0.113.{number}"))
        })
        .await;
        assert!((3..20).contains(&few), "{few}");
        refused.unwrap().assert_error(Errno::TooManyConnections);
        let log = server.complete_log().await;
        assert!(log.contains("address=127.0.0.1") && !log.contains("203.0.113."), "{log}");
    }
}

/// Starts a server with low limits that do not recover during a test.
async fn start_with_low_limits() -> Server {
    let options = ServerOptions::default()
        .with("failed-credentials-burst", 5)
        .with("failed-credentials-per-second", 1);
    Server::start(options).await
}

fn retry_after(refusal: &Value) -> Duration {
    let wait = refusal["retry_after"].as_f64().unwrap();
    assert!(0.0 < wait && wait <= 1.0, "{wait}");
    Duration::from_secs_f64(wait)
}

/// Returns a key that is well-formed but wrong.
fn wrong_key(application: &Application) -> String {
    presence_tests::forged(&application.api_key)
}

#[tokio::test]
async fn wrong_keys_over_rest_are_rate_limited_by_address_and_a_good_key_is_not() {
    let server = start_with_low_limits().await;
    let (application, alice, _) = server.application_with("alice").await;
    let (wrong, path) = (wrong_key(&application), format!("/apps/{}/presence", application.appid));
    let (mut refused, begun) = (0, Instant::now());
    let slow_down = loop {
        let answer = server.call("GET", &path).bearer(&wrong).await;
        if answer.status == 429 {
            break answer;
        }
        answer.assert_error(Errno::InvalidApiKey);
        refused += 1;
        assert!(refused < 50, "there is no limit");
    };
    assert!(refused >= 5, "{refused}");
    slow_down.assert_error(Errno::SlowDown);
    retry_after(&slow_down.json());
    assert_ne!(slow_down.header("retry-after"), "");
    application.call("GET", "/presence").await.ok();
    alice.call("GET", "/grants").await.ok();
    // Wrong tokens use the same bucket.
    while server.call("GET", "/grants").bearer("made up").await.status != 429 {
        refused += 1;
        assert!(refused < 50, "there is no limit");
    }
    // Five at once, and then one per second.
    while refused < 7 {
        let answer = server.call("GET", "/grants").bearer("made up").await;
        if answer.status == 429 {
            tokio::time::sleep(retry_after(&answer.json())).await;
        } else {
            refused += 1;
        }
    }
    assert!(begun.elapsed() >= Duration::from_secs(refused - 5), "{refused} were verified");
}

#[tokio::test]
async fn bad_assertions_are_rate_limited_by_address_before_another_is_verified() {
    let server = start_with_low_limits().await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    let mut attempts = 0;
    let wait = loop {
        // A socket is closed after three.
        let mut attacker = Socket::device(&server).await;
        let refusal = attacker.ask(json!({"assertion": "made up", "status": "online"})).await;
        if refusal["errno"] == Errno::SlowDown.number() {
            break retry_after(&refusal);
        }
        assert_eq!(refusal["errno"], Errno::InvalidAssertion.number(), "{refusal}");
        attempts += 1;
        assert!(attempts < 50, "there is no limit");
    };
    assert!(attempts >= 5, "{attempts}");
    phone.report("unavailable").await;
    assert_good_device_refused(&server).await;
    let wait = wait.max(assert_good_assertion_refused(&server).await);
    tokio::time::sleep(wait).await;
    let good = json!({"assertion": server.assertion("bob").await});
    sign_in_after_wait(&server, &good).await;
}

/// Signs in after waiting as long as the server asks.
async fn sign_in_after_wait(server: &Server, body: &Value) {
    let begun = Instant::now();
    let mut answer = server.call("POST", "/session").json(body).await;
    while answer.status == 429 {
        assert!(begun.elapsed() < TIMEOUT, "the time to wait is never over");
        tokio::time::sleep(retry_after(&answer.json())).await;
        answer = server.call("POST", "/session").json(body).await;
    }
    answer.ok();
}

/// Sends one bad assertion too many, and checks that a device with a good one is refused without a
/// check.
async fn assert_good_device_refused(server: &Server) {
    for number in 0..20 {
        let good = server.assertion(&format!("device{number}")).await;
        let (mut attacker, mut phone) =
            (Socket::device(server).await, Socket::device(server).await);
        attacker.ask(json!({"assertion": "made up", "status": "online"})).await;
        let answer = phone.ask(json!({"assertion": good, "status": "online"})).await;
        if answer["errno"] == Errno::SlowDown.number() {
            return;
        }
        // On a busy machine the time to wait may have passed by then.
        assert_eq!(answer["result"], "OK", "{answer}");
    }
    panic!("assertions of devices are verified although the address is limited");
}

/// Sends one bad assertion too many, and checks that a good one is refused without a check. Returns
/// the time to wait.
async fn assert_good_assertion_refused(server: &Server) -> Duration {
    for number in 0..20 {
        let good = json!({"assertion": server.assertion(&format!("user{number}")).await});
        server.call("POST", "/session").json(&json!({"assertion": "made up"})).await;
        let answer = server.call("POST", "/session").json(&good).await;
        if answer.status == 429 {
            answer.assert_error(Errno::SlowDown);
            return retry_after(&answer.json());
        }
        // On a busy machine the time to wait may have passed by then.
    }
    panic!("assertions are verified although the address is limited");
}

#[tokio::test]
async fn wrong_keys_on_the_channel_of_applications_are_counted_too() {
    let server = start_with_low_limits().await;
    let (application, _, _) = server.application_with("alice").await;
    let wrong = wrong_key(&application);
    let mut attempts = 0;
    loop {
        // Once in a frame, and once in the upgrade.
        let errno = if attempts % 2 == 0 {
            let mut socket = Socket::open(&server, SocketRequest::app(&application)).await;
            socket.ask(json!({"action": "auth", "token": wrong})).await["errno"].clone()
        } else {
            let request = SocketRequest::app(&application).bearer(&wrong);
            Socket::try_open(&server, request).await.unwrap_err().body["errno"].clone()
        };
        if errno == Errno::SlowDown.number() {
            break;
        }
        assert_eq!(errno, Errno::InvalidApiKey.number());
        attempts += 1;
        assert!(attempts < 50, "there is no limit");
    }
    assert!(attempts >= 5, "{attempts}");
    Socket::app(&server, &application, SocketRequest::app(&application)).await;
}

#[tokio::test]
async fn sign_ins_of_one_address_are_counted() {
    let server = Server::start(ServerOptions::default().with("sign-ins-per-second", 2)).await;
    let (mut bodies, mut calls) = (Vec::new(), JoinSet::new());
    for number in 0..20 {
        bodies.push(json!({"assertion": server.assertion(&format!("user{number}")).await}));
    }
    for body in bodies {
        let call = server.call("POST", "/session").json(&body);
        calls.spawn(async move { (body, call.await) });
    }
    let (done, refused): (Vec<_>, Vec<_>) =
        calls.join_all().await.into_iter().partition(|(_, answer)| answer.status == 200);
    assert!(done.len() >= 2 && !refused.is_empty(), "{} and {}", done.len(), refused.len());
    refused.iter().for_each(|(_, answer)| answer.assert_error(Errno::SlowDown));
    // An assertion that was refused by the rate limit can still be used. Another client may have
    // used the freed capacity when the time to wait was over.
    let (body, answer) = &refused[0];
    tokio::time::sleep(retry_after(&answer.json())).await;
    sign_in_after_wait(&server, body).await;
}

//! One scenario for each error.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use presence_protocol::{CloseCode, Errno};
use presence_tests::{Server, ServerOptions, Socket, SocketRequest, email, wait_until_refused};
use serde_json::{Value, json};

use super::scenario::RegistryScenario;

#[tokio::test]
async fn every_error_can_be_reached_from_outside() {
    let scenario = RegistryScenario::new().await;
    join_all(Errno::ALL.iter().map(|errno| reach(&scenario, *errno))).await;
}

/// Causes an error. Scenarios that would disturb others have a server of their own.
#[expect(
    clippy::too_many_lines,
    clippy::cognitive_complexity,
    reason = "one arm for each entry of the registry"
)]
async fn reach(scenario: &RegistryScenario, errno: Errno) {
    let RegistryScenario { server, application, alice, uid } = scenario;
    match errno {
        Errno::NotJson => scenario.expect_frame_error("online", errno).await,
        Errno::MissingField => scenario.expect_frame_error("{}", errno).await,
        Errno::InvalidField => scenario.expect_frame_error(r#"{"status":"away"}"#, errno).await,
        Errno::UnknownType => scenario.expect_frame_error(r#"{"type":"dance"}"#, errno).await,
        Errno::TooLarge => {
            let request = SocketRequest::to("/myapps/").bearer(&application.api_key).v1();
            let mut stream = Socket::open(server, request).await;
            stream.send(json!({"action": "query", "uids": vec![uid; 501]})).await;
            let refusal = stream.receive_until(|frame| frame["result"] == "KO").await;
            assert_eq!(refusal["errno"], errno.number(), "{refusal}");
        }
        Errno::UnsupportedMediaType => {
            server.call("POST", "/session").body("text/plain", "{}").await.assert_error(errno);
        }
        Errno::SlowDown => {
            let mut device = scenario.device("fast").await;
            device.send_all(vec![json!({"status": "online"}); 10]).await;
            let refusal = device.receive_until(|frame| frame["result"] == "KO").await;
            assert_eq!(refusal["errno"], errno.number(), "{refusal}");
        }
        Errno::TooManyConnections => too_many_connections().await,
        Errno::NotAuthenticated => server.call("GET", "/session").await.assert_error(errno),
        Errno::IdentityUnavailable => identity_unavailable().await,
        Errno::SessionExpired => session_expired().await,
        Errno::InvalidAssertion => {
            scenario
                .expect_first_frame_error(json!({"assertion": "x", "status": "online"}), errno)
                .await;
        }
        Errno::EmailMismatch => {
            let mut hello = scenario.hello("phone").await;
            hello["email"] = email("bob").into();
            scenario.expect_first_frame_error(hello, errno).await;
        }
        Errno::UnknownApplication => {
            let nowhere = "/apps/0123456789abcdef0123456789abcdef";
            alice.call("GET", nowhere).await.assert_error(errno);
        }
        Errno::InvalidApiKey => {
            application.call("GET", "/presence").bearer("prs_x").await.assert_error(errno);
        }
        Errno::ApplicationNotActive => {
            let other = server.application_named(alice, "Stopped").await;
            other.deactivate().await;
            other.call("GET", "/presence").await.assert_error(errno);
        }
        Errno::DomainNotVerified => {
            let body = json!({"name": "New", "domain": "localhost:1"});
            let made = alice.call("POST", "/apps").json(&body).await.ok();
            let path = format!("/apps/{}/activate", made["appid"].as_str().unwrap());
            alice.call("POST", &path).await.assert_error(errno);
        }
        Errno::UnknownUid => {
            let answer = application.notify(&json!([{"uid": "x", "message": "x"}])).await.ok();
            assert_eq!(answer["results"][0]["errno"], errno.number(), "{answer}");
        }
        Errno::Forbidden => {
            server.call("GET", "/session").bearer(&application.api_key).await.assert_error(errno);
        }
        Errno::RedirectNotAllowed => {
            let body = json!({"redirect": "https://elsewhere.example/"});
            let path = format!("/grant/{}", application.appid);
            alice.call("POST", &path).json(&body).await.assert_error(errno);
        }
        Errno::NotFound => server.call("GET", "/nothing").await.assert_error(errno),
        Errno::MethodNotAllowed => server.call("PUT", "/session").await.assert_error(errno),
        Errno::Internal => internal().await,
        Errno::StorageUnavailable => storage_unavailable().await,
        Errno::ShuttingDown => shutting_down().await,
        Errno::Unknown(_) => unreachable!("the registry has no unknown error"),
    }
}

async fn too_many_connections() {
    let scenario =
        RegistryScenario::with(ServerOptions::default().with("sockets-per-user", 1)).await;
    let _first = scenario.device("phone").await;
    let hello = scenario.hello("tablet").await;
    scenario.expect_first_frame_error(hello, Errno::TooManyConnections).await;
}

async fn identity_unavailable() {
    let scenario =
        RegistryScenario::with(ServerOptions::default().with("browserid-issuers", "idp.invalid"))
            .await;
    let assertion = unresolvable(&scenario).await;
    let body = json!({"assertion": assertion});
    let refused = scenario.server.call("POST", "/session").json(&body).await;
    refused.assert_error(Errno::IdentityUnavailable);
    let hello = json!({"assertion": assertion, "status": "online"});
    scenario.expect_first_frame_error(hello, Errno::IdentityUnavailable).await;
}

async fn session_expired() {
    let server = Server::start(ServerOptions::default().with("session-seconds", 1)).await;
    let alice = server.sign_in("alice").await;
    let refused = wait_until_refused(|| alice.call("GET", "/session")).await;
    refused.assert_error(Errno::SessionExpired);
}

/// Causes an error with a row that the server did not write.
async fn internal() {
    let scenario = RegistryScenario::new().await;
    // The session of somebody who has made a call is cached.
    let dave = scenario.server.sign_in("dave").await;
    let nonsense = "UPDATE users SET email = 'nonsense' WHERE email LIKE 'dave@%'";
    sqlx::query(nonsense).execute(&mut scenario.tables().await).await.unwrap();
    dave.call("GET", "/session").await.assert_error(Errno::Internal);
}

/// Causes an error while another process locks the tables.
async fn storage_unavailable() {
    let scenario = RegistryScenario::new().await;
    let assertion = scenario.server.assertion("carol").await;
    let mut tables = scenario.tables().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut tables).await.unwrap();
    let body = json!({"assertion": assertion});
    let refused = scenario.server.call("POST", "/session").json(&body).await;
    refused.assert_error(Errno::StorageUnavailable);
    assert!(refused.json()["retry_after"].is_number(), "{}", refused.text);
    assert_ne!(refused.header("retry-after"), "");
}

async fn shutting_down() {
    let server = Server::start(ServerOptions::default().with("drain-seconds", 60)).await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    server.signal("TERM").await;
    assert_eq!(device.closed().await, Some(CloseCode::GoingAway.number()));
    let refused = Socket::try_open(&server, SocketRequest::device()).await.unwrap_err();
    refused.assert_error(Errno::ShuttingDown);
    let answer = server.call("GET", "/session").await;
    answer.assert_error(Errno::ShuttingDown);
    assert_ne!(answer.header("retry-after"), "");
}

/// Returns an assertion of an allowed issuer whose host cannot be resolved. The server asks the
/// issuer for its keys before it checks any signature.
async fn unresolvable(scenario: &RegistryScenario) -> String {
    let body = json!({"email": email("alice")});
    let made = scenario.server.call("POST", "/dev/assertion").json(&body).await.ok();
    let (audience, expires_at) = (&made["audience"], &made["expires_at"]);
    let signed = |payload: Value| {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signature = BASE64_URL_SAFE_NO_PAD.encode([7; 256]);
        format!("{}.{}.{signature}", part(&json!({"alg": "RS256"})), part(&payload))
    };
    let key = json!({"algorithm": "RS", "n": "12345", "e": "65537"});
    let certificate = json!({
        "iss": "idp.invalid",
        "exp": expires_at,
        "public-key": key,
        "principal": {"email": "user@idp.invalid"},
    });
    let assertion = json!({"aud": audience, "exp": expires_at});
    format!("{}~{}", signed(certificate), signed(assertion))
}

#[tokio::test]
async fn every_answer_with_an_error_links_to_its_row_and_each_403_names_its_cause() {
    let server = Server::start_default().await;
    let (application, alice, _) = server.application_with("alice").await;
    let device = server.sign_in_for("alice", "device").await;
    let grant = format!("/grant/{}", application.appid);
    let poll = format!("/apps/{}/presence", application.appid);
    let own = server.url();
    let body = json!({"assertion": server.assertion("bob").await, "scope": "account"});
    let opened = server.call("POST", "/session").json(&body).header("origin", &own).await;
    let cookie = opened.header("set-cookie").split(';').next().unwrap().to_owned();
    let by_cookie = |origin: &str| {
        let call = server.call("POST", &grant).json(&json!({}));
        call.header("cookie", &cookie).header("origin", origin)
    };
    for (call, cause) in [
        (device.call("POST", &grant).json(&json!({})), "scope"),
        (server.call("POST", &grant).json(&json!({})).bearer(&application.api_key), "API key"),
        (alice.call("GET", &poll), "API key"),
        (by_cookie(&own), "CSRF token"),
        (by_cookie("https://evil.example"), "Origin"),
    ] {
        let answer = call.await;
        assert_eq!(answer.status, 403, "{}", answer.text);
        assert_eq!(answer.json()["errno"], 45, "{}", answer.text);
        assert!(answer.text.contains(cause), "{cause}: {}", answer.text);
        assert_eq!(answer.header("link"), "</docs/errors#errno-45>; rel=\"help\"");
    }
    let page = server.call("GET", "/docs/errors").header("accept", "text/html").await;
    assert!(page.text.contains(r#"id="errno-45""#), "{}", page.text);
}

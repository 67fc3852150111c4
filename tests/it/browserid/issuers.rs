//! The domains for which an issuer may certify users.

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Issuer, Key, Server, ServerOptions, Socket, run};
use serde_json::{Value, json};

use super::server_of;

/// Returns the options of a server that accepts these issuers.
fn options_for(issuers: &[&Issuer]) -> ServerOptions {
    let hosts: Vec<String> = issuers.iter().map(|issuer| issuer.host()).collect();
    ServerOptions::default().with("browserid-issuers", hosts.join(","))
}

/// Presents an assertion on a device channel, and returns the reply.
async fn present(server: &Server, assertion: &str) -> Value {
    let mut device = Socket::device(server).await;
    device.ask(json!({"assertion": assertion, "status": "online"})).await
}

#[track_caller]
fn assert_refused(answer: &Value, errno: Errno) {
    assert_eq!(answer["errno"], errno.number(), "{answer}");
}

/// Returns an assertion with one changed character in a part, which can be the signature.
fn tampered(assertion: &str, part: usize) -> String {
    let separators = ['.', '.', '~', '.', '.'];
    let mut parts: Vec<String> = assertion.split(['.', '~']).map(str::to_owned).collect();
    let text = &mut parts[part];
    // The last character is not changed, because some of its bits may be unused.
    let at = text.len() / 2;
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    text.replace_range(at..=at, other);
    let mut whole = parts[0].clone();
    for (separator, part) in separators.iter().zip(&parts[1..]) {
        whole.push(*separator);
        whole.push_str(part);
    }
    whole
}

#[tokio::test]
async fn a_listed_issuer_certifies_its_own_users_over_rest_and_sockets_with_both_key_types() {
    for user_key in [Key::rsa(), Key::dsa()] {
        let issuer = Issuer::with_keys(Key::rsa(), user_key).await;
        let server = server_of(&issuer).await;
        let assertion = issuer.assertion("alice", &server.url());
        let body = json!({"assertion": assertion, "email": issuer.email("alice")});
        let opened = server.call("POST", "/session").json(&body).await.ok();
        assert_eq!(opened["email"], issuer.email("alice"));
        let answer = present(&server, &issuer.assertion("alice", &server.url())).await;
        assert_eq!(answer, json!({"result": "OK"}));
        // The issuer was asked once for all assertions.
        let domain = issuer.host().replace(':', "%3A");
        assert_eq!(
            issuer.domain.requested_paths(),
            [format!("/.well-known/browserid?domain={domain}")]
        );
    }
}

#[tokio::test]
async fn an_assertion_with_any_changed_part_is_refused() {
    let issuer = Issuer::with_keys(Key::rsa(), Key::dsa()).await;
    let server = server_of(&issuer).await;
    let assertion = issuer.assertion("alice", &server.url());
    for part in 0..6 {
        let body = json!({"assertion": tampered(&assertion, part)});
        server.call("POST", "/session").json(&body).await.assert_error(Errno::InvalidAssertion);
        assert_refused(
            &present(&server, &tampered(&assertion, part)).await,
            Errno::InvalidAssertion,
        );
    }
    server.call("POST", "/session").json(&json!({"assertion": assertion})).await.ok();
}

#[tokio::test]
async fn an_issuer_cannot_certify_users_of_other_domains() {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let server = Server::start(options_for(&[&issuer, &other])).await;
    let of_other = issuer.mint("alice", &server.url(), |certificate, _| {
        certificate["principal"]["email"] = other.email("alice").into();
    });
    assert_refused(&present(&server, &of_other).await, Errno::InvalidAssertion);
    let pretended = issuer.mint("alice", &server.url(), |certificate, _| {
        certificate["principal"]["email"] = other.email("alice").into();
        certificate["iss"] = other.host().into();
    });
    // Both issuers have the same key, so only the name of the issuer decides.
    assert_eq!(present(&server, &pretended).await, json!({"result": "OK"}));
    let of_development = issuer.mint("alice", &server.url(), |certificate, _| {
        certificate["principal"]["email"] = "alice@dev.localhost".into();
        certificate["iss"] = "dev.localhost".into();
    });
    assert_refused(&present(&server, &of_development).await, Errno::InvalidAssertion);
}

#[tokio::test]
async fn an_unlisted_issuer_is_not_contacted() {
    let issuer = Issuer::start().await;
    for options in [
        ServerOptions::default(),
        ServerOptions::default().with("browserid-discovery", "open"),
        ServerOptions::default().with("browserid-discovery", "off"),
    ] {
        let server = Server::start(options).await;
        let answer = present(&server, &issuer.assertion("alice", &server.url())).await;
        assert_refused(&answer, Errno::InvalidAssertion);
    }
    assert_eq!(issuer.domain.requested_paths(), Vec::<String>::new());
}

#[tokio::test]
async fn a_loopback_issuer_is_accepted_in_development_mode_only() {
    let directory = tempfile::tempdir().unwrap();
    for flag in ["--browserid-issuers", "--browserid-trusted-issuers", "--browserid-fallback"] {
        let arguments = ["--listen=127.0.0.1:0", flag, "localhost:8000"];
        let output = run(directory.path(), &arguments, &[]).await;
        output.failed(2, "only in development mode");
    }
    let output = run(directory.path(), &["--dev", "--browserid-issuers=10.0.0.1:80"], &[]).await;
    output.failed(2, "must be host names");
}

#[tokio::test]
async fn a_domain_can_delegate_to_another_host() {
    let (domain, issuer) = (Issuer::start().await, Issuer::start().await);
    domain.publish(&json!({"authority": issuer.host()}));
    let server = Server::start(options_for(&[&domain, &issuer])).await;
    let assertion = issuer.mint("alice", &server.url(), |certificate, _| {
        certificate["principal"]["email"] = domain.email("alice").into();
    });
    assert_eq!(present(&server, &assertion).await, json!({"result": "OK"}));
    // A domain cannot delegate to an issuer that is not listed.
    let server = server_of(&domain).await;
    let assertion = issuer.mint("alice", &server.url(), |certificate, _| {
        certificate["principal"]["email"] = domain.email("alice").into();
    });
    assert_refused(&present(&server, &assertion).await, Errno::InvalidAssertion);
}

#[tokio::test]
async fn an_unavailable_issuer_gives_a_retryable_error() {
    let issuer = Issuer::start().await;
    issuer.domain.answer("/.well-known/browserid", "503 Service Unavailable", &[], b"");
    let server = server_of(&issuer).await;
    let mut device = Socket::device(&server).await;
    for _ in 0..3 {
        let assertion = issuer.assertion("alice", &server.url());
        device.send(json!({"assertion": assertion, "status": "online"})).await;
        let refusal = device.expect_error(Errno::IdentityUnavailable).await;
        assert!(refusal["retry_after"].as_f64() > Some(0.0), "{refusal}");
    }
    // The close code 4003 would keep clients from trying the same assertion again.
    device.expect_close(CloseCode::TryAgainLater).await;
    let body = json!({"assertion": issuer.assertion("alice", &server.url())});
    server.call("POST", "/session").json(&body).await.assert_error(Errno::IdentityUnavailable);
    assert_eq!(
        issuer.domain.requested_paths().len(),
        1,
        "an unavailable issuer is asked again too soon"
    );
}

#[tokio::test]
async fn a_trusted_issuer_certifies_for_every_domain_and_optionally_for_the_email_of_an_account() {
    let issuer = Issuer::start().await;
    let trusting = ServerOptions::default().with("browserid-trusted-issuers", issuer.host());
    let mint = |server: &Server| {
        issuer.mint("0123abcd", &server.url(), |certificate, _| {
            certificate["principal"]["email"] = "0123abcd@accounts.example".into();
            certificate["fxa-verifiedEmail"] = "alice@mail.example".into();
        })
    };
    for (choice, email) in [(false, "0123abcd@accounts.example"), (true, "alice@mail.example")] {
        let server = Server::start(trusting.clone().with("browserid-verified-email", choice)).await;
        let opened = server.call("POST", "/session").json(&json!({"assertion": mint(&server)}));
        assert_eq!(opened.await.ok()["email"], email);
    }
    // An issuer that is only listed is not trusted for other domains.
    let server = server_of(&issuer).await;
    assert_refused(&present(&server, &mint(&server)).await, Errno::InvalidAssertion);
}

#[tokio::test]
async fn the_fallback_issuer_certifies_only_for_domains_that_disabled_their_own() {
    let (issuer, disabled, primary) =
        (Issuer::start().await, Issuer::start().await, Issuer::start().await);
    disabled.publish(&json!({"disabled": true}));
    let options = options_for(&[&disabled, &primary]).with("browserid-fallback", issuer.host());
    let server = Server::start(options).await;
    for (domain, expected) in [(&disabled, None), (&primary, Some(Errno::InvalidAssertion))] {
        let assertion = issuer.mint("alice", &server.url(), |certificate, _| {
            certificate["principal"]["email"] = domain.email("alice").into();
        });
        let answer = present(&server, &assertion).await;
        assert_eq!(answer["errno"].as_u64(), expected.map(|errno| errno.number().into()));
    }
}

#[tokio::test]
async fn restricted_issuers_exclude_all_others() {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let options = options_for(&[&issuer, &other]).with("browserid-allowed-issuers", issuer.host());
    let server = Server::start(options).await;
    let answer = present(&server, &issuer.assertion("alice", &server.url())).await;
    assert_eq!(answer, json!({"result": "OK"}));
    let answer = present(&server, &other.assertion("alice", &server.url())).await;
    assert_refused(&answer, Errno::InvalidAssertion);
    assert_eq!(other.domain.requested_paths(), Vec::<String>::new());
}

#[tokio::test]
async fn a_weak_issuer_key_is_accepted_only_with_its_setting() {
    let issuer = Issuer::with_keys(Key::dsa(), Key::rsa()).await;
    let server = server_of(&issuer).await;
    let answer = present(&server, &issuer.assertion("alice", &server.url())).await;
    assert_refused(&answer, Errno::InvalidAssertion);
    let options = options_for(&[&issuer]).with("browserid-legacy-issuers", true);
    let server = Server::start(options).await;
    let answer = present(&server, &issuer.assertion("alice", &server.url())).await;
    assert_eq!(answer, json!({"result": "OK"}));
}

#[tokio::test]
async fn the_check_command_reports_whether_the_issuers_can_be_reached() {
    let issuer = Issuer::start().await;
    let directory = tempfile::tempdir().unwrap();
    let host = issuer.host();
    let arguments = ["check", "--dev", "--browserid-issuers", &host];
    let output = run(directory.path(), &arguments, &[]).await;
    assert!(output.out.contains(&format!("issuer {host}: ok")), "{output:?}");
    issuer.domain.answer("/.well-known/browserid", "404 Not Found", &[], b"");
    let output = run(directory.path(), &arguments, &[]).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.err.contains(&format!("issuer {host}: has no support document")), "{output:?}");
}

//! The domains that an issuer may speak for.

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Issuer, Key, Server, ServerOptions, Socket, run};
use serde_json::{Value, json};

use super::server_of;

/// The options of a server that asks these issuers.
fn asking(issuers: &[&Issuer]) -> ServerOptions {
    let hosts: Vec<String> = issuers.iter().map(|issuer| issuer.host()).collect();
    ServerOptions::default().with("browserid-issuers", hosts.join(","))
}

/// Presents an assertion on a device channel, and returns the reply.
async fn present(server: &Server, assertion: &str) -> Value {
    let mut device = Socket::device(server).await;
    device.ask(json!({"assertion": assertion, "status": "online"})).await
}

#[track_caller]
fn is_refused(answer: &Value, errno: Errno) {
    assert_eq!(answer["errno"], errno.number(), "{answer}");
}

/// An assertion with one character of some part changed, the signature of that part too.
fn tampered(assertion: &str, part: usize) -> String {
    let separators = ['.', '.', '~', '.', '.'];
    let mut parts: Vec<String> = assertion.split(['.', '~']).map(str::to_owned).collect();
    let text = &mut parts[part];
    // Not the last character, of which some bits may be spare.
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
async fn a_listed_issuer_is_believed_about_its_own_users_at_both_doors_and_with_both_kinds_of_keys()
{
    for user_key in [Key::rsa(), Key::dsa()] {
        let issuer = Issuer::with_keys(Key::rsa(), user_key).await;
        let server = server_of(&issuer).await;
        let assertion = issuer.assertion("alice", &server.url());
        let wish = json!({"assertion": assertion, "email": issuer.email("alice")});
        let opened = server.call("POST", "/session").json(&wish).await.ok();
        assert_eq!(opened["email"], issuer.email("alice"));
        let answer = present(&server, &issuer.assertion("alice", &server.url())).await;
        assert_eq!(answer, json!({"result": "OK"}));
        // It was asked once, for all of them.
        let domain = issuer.host().replace(':', "%3A");
        assert_eq!(issuer.domain.asked(), [format!("/.well-known/browserid?domain={domain}")]);
    }
}

#[tokio::test]
async fn no_part_of_an_assertion_can_be_changed() {
    let issuer = Issuer::with_keys(Key::rsa(), Key::dsa()).await;
    let server = server_of(&issuer).await;
    let assertion = issuer.assertion("alice", &server.url());
    for part in 0..6 {
        let wish = json!({"assertion": tampered(&assertion, part)});
        server.call("POST", "/session").json(&wish).await.assert_error(Errno::InvalidAssertion);
        is_refused(&present(&server, &tampered(&assertion, part)).await, Errno::InvalidAssertion);
    }
    server.call("POST", "/session").json(&json!({"assertion": assertion})).await.ok();
}

#[tokio::test]
async fn an_issuer_speaks_for_nobody_elses_users() {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let server = Server::start(asking(&[&issuer, &other])).await;
    let of_other = issuer.mint("alice", &server.url(), |certificate, _| {
        certificate["principal"]["email"] = other.email("alice").into();
    });
    is_refused(&present(&server, &of_other).await, Errno::InvalidAssertion);
    let pretended = issuer.mint("alice", &server.url(), |certificate, _| {
        certificate["principal"]["email"] = other.email("alice").into();
        certificate["iss"] = other.host().into();
    });
    // Both have the same key here, so that it is the name that counts.
    assert_eq!(present(&server, &pretended).await, json!({"result": "OK"}));
    let of_development = issuer.mint("alice", &server.url(), |certificate, _| {
        certificate["principal"]["email"] = "alice@dev.localhost".into();
        certificate["iss"] = "dev.localhost".into();
    });
    is_refused(&present(&server, &of_development).await, Errno::InvalidAssertion);
}

#[tokio::test]
async fn a_host_that_is_not_listed_is_not_asked() {
    let issuer = Issuer::start().await;
    for options in [
        ServerOptions::default(),
        ServerOptions::default().with("browserid-discovery", "open"),
        ServerOptions::default().with("browserid-discovery", "off"),
    ] {
        let server = Server::start(options).await;
        let answer = present(&server, &issuer.assertion("alice", &server.url())).await;
        is_refused(&answer, Errno::InvalidAssertion);
    }
    assert_eq!(issuer.domain.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn an_issuer_on_this_machine_is_for_development_only() {
    let directory = tempfile::tempdir().unwrap();
    for flag in ["--browserid-issuers", "--browserid-trusted-issuers", "--browserid-fallback"] {
        let arguments = ["--listen=127.0.0.1:0", flag, "localhost:8000"];
        let said = run(directory.path(), &arguments, &[]).await;
        said.failed(2, "only in development mode");
    }
    let said = run(directory.path(), &["--dev", "--browserid-issuers=10.0.0.1:80"], &[]).await;
    said.failed(2, "must be host names");
}

#[tokio::test]
async fn a_domain_may_leave_it_to_another_host() {
    let (domain, issuer) = (Issuer::start().await, Issuer::start().await);
    domain.publish(&json!({"authority": issuer.host()}));
    let server = Server::start(asking(&[&domain, &issuer])).await;
    let assertion = issuer.mint("alice", &server.url(), |certificate, _| {
        certificate["principal"]["email"] = domain.email("alice").into();
    });
    assert_eq!(present(&server, &assertion).await, json!({"result": "OK"}));
    // And to nobody who is not listed.
    let server = server_of(&domain).await;
    let assertion = issuer.mint("alice", &server.url(), |certificate, _| {
        certificate["principal"]["email"] = domain.email("alice").into();
    });
    is_refused(&present(&server, &assertion).await, Errno::InvalidAssertion);
}

#[tokio::test]
async fn an_issuer_that_is_down_is_told_as_such_and_who_needs_it_is_to_come_back_later() {
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
    // Not "not authorised", after which no client would try that assertion again.
    device.expect_close(CloseCode::TryAgainLater).await;
    let wish = json!({"assertion": issuer.assertion("alice", &server.url())});
    server.call("POST", "/session").json(&wish).await.assert_error(Errno::IdentityUnavailable);
    assert_eq!(issuer.domain.asked().len(), 1, "it is left alone for a while");
}

#[tokio::test]
async fn a_trusted_issuer_speaks_for_every_domain_and_by_choice_for_the_email_behind_an_account() {
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
    // One that is only listed is not.
    let server = server_of(&issuer).await;
    is_refused(&present(&server, &mint(&server)).await, Errno::InvalidAssertion);
}

#[tokio::test]
async fn the_fallback_speaks_for_a_domain_that_wants_no_certificates_and_for_no_other() {
    let (issuer, disabled, primary) =
        (Issuer::start().await, Issuer::start().await, Issuer::start().await);
    disabled.publish(&json!({"disabled": true}));
    let options = asking(&[&disabled, &primary]).with("browserid-fallback", issuer.host());
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
async fn where_the_issuers_are_restricted_no_other_counts() {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let options = asking(&[&issuer, &other]).with("browserid-allowed-issuers", issuer.host());
    let server = Server::start(options).await;
    let answer = present(&server, &issuer.assertion("alice", &server.url())).await;
    assert_eq!(answer, json!({"result": "OK"}));
    let answer = present(&server, &other.assertion("alice", &server.url())).await;
    is_refused(&answer, Errno::InvalidAssertion);
    assert_eq!(other.domain.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn an_issuer_with_a_weak_key_needs_the_switch() {
    let issuer = Issuer::with_keys(Key::dsa(), Key::rsa()).await;
    let server = server_of(&issuer).await;
    let answer = present(&server, &issuer.assertion("alice", &server.url())).await;
    is_refused(&answer, Errno::InvalidAssertion);
    let options = asking(&[&issuer]).with("browserid-legacy-issuers", true);
    let server = Server::start(options).await;
    let answer = present(&server, &issuer.assertion("alice", &server.url())).await;
    assert_eq!(answer, json!({"result": "OK"}));
}

#[tokio::test]
async fn the_issuers_can_be_checked_beforehand() {
    let issuer = Issuer::start().await;
    let directory = tempfile::tempdir().unwrap();
    let host = issuer.host();
    let arguments = ["check", "--dev", "--browserid-issuers", &host];
    let said = run(directory.path(), &arguments, &[]).await;
    assert!(said.out.contains(&format!("issuer {host}: ok")), "{said:?}");
    issuer.domain.answer("/.well-known/browserid", "404 Not Found", &[], b"");
    let said = run(directory.path(), &arguments, &[]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains(&format!("issuer {host}: has no support document")), "{said:?}");
}

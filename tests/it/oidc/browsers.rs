//! Sign-ins through a browser at the issuer. A sign-in is completed once, by the browser that began
//! it, with a token that was made for it.

use presence_tests::{RestResponse, Server, ServerOptions};
use reqwest::Url;
use serde_json::{Value, json};

use super::issuer::{EMAIL, OidcIssuer, with_issuers};

/// A sign-in in progress: the browser's cookie, and the values that were sent to the issuer.
struct PendingSignIn {
    cookie: String,
    state: String,
    nonce: String,
}

async fn begin_sign_in(server: &Server) -> PendingSignIn {
    let redirect = server.call("GET", "/sign-in/oidc/idp?return=/docs").await;
    assert_eq!(redirect.status, 303, "{}", redirect.text);
    let url = Url::parse(redirect.header("location")).unwrap();
    let query_value = |parameter: &str| {
        let (_, value) = url.query_pairs().find(|(name, _)| name == parameter).unwrap();
        value.into_owned()
    };
    let cookie = redirect.header("set-cookie").split(';').next().unwrap().to_owned();
    PendingSignIn { cookie, state: query_value("state"), nonce: query_value("nonce") }
}

/// Follows the redirect back from the issuer.
async fn return_from_issuer(server: &Server, state: &str, cookie: &str) -> RestResponse {
    let path = format!("/sign-in/oidc/idp/callback?code=x&state={state}");
    server.call("GET", &path).header("accept", "text/html").header("cookie", cookie).await
}

#[track_caller]
fn assert_not_signed_in(answer: &RestResponse) {
    assert_eq!(answer.status, 401, "{}", answer.text);
    assert!(answer.headers.get("set-cookie").is_none(), "{:?}", answer.headers);
}

#[tokio::test]
async fn a_sign_in_is_completed_once_and_only_by_the_browser_that_began_it() {
    let issuer = OidcIssuer::start().await;
    let server = issuer.server(ServerOptions::default()).await;
    let (alice, mallory) = (begin_sign_in(&server).await, begin_sign_in(&server).await);
    issuer.return_token(&issuer.token(&json!({"nonce": alice.nonce})));
    for other_cookie in ["", &mallory.cookie] {
        assert_not_signed_in(&return_from_issuer(&server, &alice.state, other_cookie).await);
    }
    let response = return_from_issuer(&server, &alice.state, &alice.cookie).await;
    assert_eq!((response.status, response.header("location")), (303, "/docs"), "{}", response.text);
    let mut cookies = response.headers.get_all("set-cookie").iter();
    let session = cookies.find_map(|cookie| {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        pair.starts_with("presence=").then_some(pair)
    });
    let session = session.unwrap_or_else(|| panic!("no session: {:?}", response.headers));
    let session = server.call("GET", "/session").header("cookie", session).await.ok();
    assert_eq!(session["email"], EMAIL);
    issuer.return_token(&issuer.token(&json!({"nonce": alice.nonce})));
    assert_not_signed_in(&return_from_issuer(&server, &alice.state, &alice.cookie).await);
}

#[tokio::test]
async fn a_sign_in_that_began_at_one_server_is_completed_once_at_all() {
    let issuer = OidcIssuer::start().await;
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "a secret of at least 32 characters").unwrap();
    let options = with_issuers(ServerOptions::default(), &[issuer.issuer_settings(&json!({}))]);
    for options in [options.clone(), options.with("shared-secret-file", secret.display())] {
        let [one, two] = Server::start_sharing(options).await;
        let alice = begin_sign_in(&one).await;
        issuer.return_token(&issuer.token(&json!({"nonce": alice.nonce})));
        let response = return_from_issuer(&two, &alice.state, &alice.cookie).await;
        let answer = (response.status, response.header("location"));
        assert_eq!(answer, (303, "/docs"), "{}", response.text);
        for server in [&one, &two] {
            issuer.return_token(&issuer.token(&json!({"nonce": alice.nonce})));
            assert_not_signed_in(&return_from_issuer(server, &alice.state, &alice.cookie).await);
        }
    }
}

#[tokio::test]
async fn a_token_that_was_made_for_another_sign_in_is_refused() {
    let issuer = OidcIssuer::start().await;
    let server = issuer.server(ServerOptions::default()).await;
    let other = begin_sign_in(&server).await;
    for nonce in [Value::Null, json!("made up"), json!(other.nonce)] {
        let alice = begin_sign_in(&server).await;
        issuer.return_token(&issuer.token(&json!({ "nonce": nonce })));
        assert_not_signed_in(&return_from_issuer(&server, &alice.state, &alice.cookie).await);
    }
}

#[tokio::test]
async fn a_token_of_another_issuer_or_for_another_client_is_refused() {
    let issuer = OidcIssuer::start().await;
    let server = issuer.server(ServerOptions::default()).await;
    for changes in [json!({"iss": "https://evil.example"}), json!({"aud": "another"})] {
        let alice = begin_sign_in(&server).await;
        let mut claims = json!({"nonce": alice.nonce});
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        issuer.return_token(&issuer.token(&claims));
        assert_not_signed_in(&return_from_issuer(&server, &alice.state, &alice.cookie).await);
    }
}

#[tokio::test]
async fn over_tls_the_cookie_has_the_host_prefix() {
    let issuer = OidcIssuer::start().await;
    let options = ServerOptions::default().with("public-url", "https://presence.localhost");
    let server = Server::start(with_issuers(options, &[issuer.issuer_settings(&json!({}))])).await;
    let answer = server.call("GET", "/sign-in/oidc/idp").await;
    let set = answer.header("set-cookie");
    assert!(set.starts_with("__Host-presence-sign-in="), "{set}");
    for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(set.split("; ").any(|part| part == attribute), "{set}");
    }
}

//! Sign-ins through a browser at the issuer. A sign-in is completed once, by the browser that began
//! it, with a token that was made for it.

use presence_tests::{RestResponse, Server, ServerOptions};
use reqwest::Url;
use serde_json::{Value, json};

use super::issuer::{EMAIL, Issuer, trusting};

/// A sign-in in progress: the browser's cookie, and the values that were sent to the issuer.
struct Begun {
    cookie: String,
    state: String,
    nonce: String,
}

async fn begin(server: &Server) -> Begun {
    let sent = server.call("GET", "/sign-in/oidc/idp?return=/docs").await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    let url = Url::parse(sent.header("location")).unwrap();
    let told = |wanted: &str| {
        let (_, value) = url.query_pairs().find(|(name, _)| name == wanted).unwrap();
        value.into_owned()
    };
    let cookie = sent.header("set-cookie").split(';').next().unwrap().to_owned();
    Begun { cookie, state: told("state"), nonce: told("nonce") }
}

/// Follows the redirect back from the issuer.
async fn come_back(server: &Server, state: &str, cookie: &str) -> RestResponse {
    let path = format!("/sign-in/oidc/idp/callback?code=x&state={state}");
    server.call("GET", &path).header("accept", "text/html").header("cookie", cookie).await
}

#[track_caller]
fn signed_in_nobody(answer: &RestResponse) {
    assert_eq!(answer.status, 401, "{}", answer.text);
    assert!(answer.headers.get("set-cookie").is_none(), "{:?}", answer.headers);
}

#[tokio::test]
async fn who_has_begun_a_sign_in_ends_it_and_once() {
    let issuer = Issuer::start().await;
    let server = issuer.server(ServerOptions::default()).await;
    let (alice, mallory) = (begin(&server).await, begin(&server).await);
    issuer.gives(&issuer.token(&json!({"nonce": alice.nonce})));
    for stranger in ["", &mallory.cookie] {
        signed_in_nobody(&come_back(&server, &alice.state, stranger).await);
    }
    let entered = come_back(&server, &alice.state, &alice.cookie).await;
    assert_eq!((entered.status, entered.header("location")), (303, "/docs"), "{}", entered.text);
    let mut cookies = entered.headers.get_all("set-cookie").iter();
    let session = cookies.find_map(|cookie| {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        pair.starts_with("presence=").then_some(pair)
    });
    let session = session.unwrap_or_else(|| panic!("no session: {:?}", entered.headers));
    let session = server.call("GET", "/session").header("cookie", session).await.ok();
    assert_eq!(session["email"], EMAIL);
    issuer.gives(&issuer.token(&json!({"nonce": alice.nonce})));
    signed_in_nobody(&come_back(&server, &alice.state, &alice.cookie).await);
}

#[tokio::test]
async fn a_token_that_was_made_for_another_sign_in_signs_nobody_in() {
    let issuer = Issuer::start().await;
    let server = issuer.server(ServerOptions::default()).await;
    let other = begin(&server).await;
    for nonce in [Value::Null, json!("made up"), json!(other.nonce)] {
        let alice = begin(&server).await;
        issuer.gives(&issuer.token(&json!({ "nonce": nonce })));
        signed_in_nobody(&come_back(&server, &alice.state, &alice.cookie).await);
    }
}

#[tokio::test]
async fn a_token_of_another_issuer_or_for_another_client_signs_nobody_in() {
    let issuer = Issuer::start().await;
    let server = issuer.server(ServerOptions::default()).await;
    for changes in [json!({"iss": "https://evil.example"}), json!({"aud": "another"})] {
        let alice = begin(&server).await;
        let mut claims = json!({"nonce": alice.nonce});
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        issuer.gives(&issuer.token(&claims));
        signed_in_nobody(&come_back(&server, &alice.state, &alice.cookie).await);
    }
}

#[tokio::test]
async fn over_tls_the_cookie_is_kept_to_this_host() {
    let issuer = Issuer::start().await;
    let options = ServerOptions::default().with("public-url", "https://presence.example");
    let server = Server::start(trusting(options, &[issuer.described(&json!({}))])).await;
    let answer = server.call("GET", "/sign-in/oidc/idp").await;
    let set = answer.header("set-cookie");
    assert!(set.starts_with("__Host-presence-sign-in="), "{set}");
    for wanted in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(set.split("; ").any(|part| part == wanted), "{set}");
    }
}

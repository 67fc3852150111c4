//! Granting an Application access.

use presence_protocol::Errno;
use presence_tests::{Application, RestResponse, Server, User};
use serde_json::{Value, json};

async fn grant(user: &User, application: &Application, body: &Value) -> RestResponse {
    user.call("POST", &format!("/grant/{}", application.appid)).json(body).await
}

#[tokio::test]
async fn a_script_gets_json_with_the_same_uid_each_time() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let again = grant(&alice, &application, &json!({})).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.json(), json!({"uid": uid, "appid": application.appid}));
    let back = format!("http://{}/back?x=1", application.domain.name());
    let body = json!({"redirect": back, "state": "a&b=c é"});
    let granted = grant(&alice, &application, &body).await.ok();
    let redirect = granted["redirect"].as_str().unwrap();
    let expected = format!("{back}&Presence-UID={uid}&state=a%26b%3Dc+%C3%A9");
    assert_eq!(redirect, expected);
    let without_a_body = alice.call("POST", &format!("/grant/{}", application.appid)).await.ok();
    assert_eq!(without_a_body["uid"], uid.to_string());
    alice.revoke(&application).await;
    let fresh = grant(&alice, &application, &json!({})).await.ok();
    assert_ne!(fresh["uid"], uid.to_string());
}

#[tokio::test]
async fn a_form_is_redirected_back() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let bob = server.sign_in("bob").await;
    let back = format!("http://{}/back", application.domain.name());
    let path = format!("/grant/{}", application.appid);
    let fields = [("redirect", back.as_str()), ("state", "s"), ("decision", "no")];
    let no = bob.call("POST", &path).form(&fields).await;
    let declined = format!("{back}?error=access_denied&state=s");
    assert_eq!((no.status, no.header("location")), (303, declined.as_str()));
    assert_eq!(bob.call("GET", "/grants").await.ok()["grants"], json!([]));
    let undecided = [("redirect", back.as_str()), ("state", "s")];
    bob.call("POST", &path).form(&undecided).await.assert_error(Errno::MissingField);
    assert_eq!(bob.call("GET", "/grants").await.ok()["grants"], json!([]));
    let fields = [("redirect", back.as_str()), ("state", "s"), ("decision", "yes")];
    let yes = bob.call("POST", &path).form(&fields).await;
    let uid = bob.call("GET", "/grants").await.ok()["grants"][0]["uid"].clone();
    let expected = format!("{back}?Presence-UID={}&state=s", uid.as_str().unwrap());
    assert_eq!((yes.status, yes.header("location")), (303, expected.as_str()));
    assert_eq!(yes.header("referrer-policy"), "no-referrer");
}

#[tokio::test]
async fn a_form_by_cookie_needs_the_csrf_token_in_a_field() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let own = server.url();
    let body = json!({"assertion": server.assertion("bob").await, "scope": "account"});
    let opened = server.call("POST", "/session").json(&body).header("origin", &own).await;
    let cookie = opened.header("set-cookie").split(';').next().unwrap().to_owned();
    let csrf = opened.ok()["csrf_token"].as_str().unwrap().to_owned();
    let path = format!("/grant/{}", application.appid);
    let back = format!("http://{}/", application.domain.name());
    let post = |fields: &[(&str, &str)]| {
        server.call("POST", &path).form(fields).header("cookie", &cookie).header("origin", &own)
    };
    post(&[("redirect", &back)]).await.assert_error(Errno::Forbidden);
    post(&[("redirect", &back), ("csrf_token", "x")]).await.assert_error(Errno::Forbidden);
    let given = post(&[("redirect", &back), ("csrf_token", &csrf), ("decision", "yes")]).await;
    assert_eq!(given.status, 303, "{}", given.text);
}

#[tokio::test]
async fn a_body_that_is_neither_json_nor_a_form_grants_nothing() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let bob = server.sign_in("bob").await;
    let path = format!("/grant/{}", application.appid);
    for kind in ["text/plain", "multipart/form-data; boundary=x", "application/jsonx", ""] {
        for body in ["{}", "decision=yes"] {
            let answer = bob.call("POST", &path).body(kind, body).await;
            answer.assert_error(Errno::UnsupportedMediaType);
        }
    }
    bob.call("POST", &path)
        .body("application/json", "decision=yes")
        .await
        .assert_error(Errno::NotJson);
    assert_eq!(bob.call("GET", "/grants").await.ok()["grants"], json!([]));
    let given = bob.call("POST", &path).body("Application/JSON; charset=utf-8", "{}").await.ok();
    assert_eq!(given["appid"], application.appid);
}

#[tokio::test]
async fn a_redirect_that_holds_the_fields_of_the_server_is_refused() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let bob = server.sign_in("bob").await;
    let path = format!("/grant/{}", application.appid);
    for query in ["Presence-UID=0bad", "state=forged", "x=1&presence-uid=0bad", "error=none"] {
        let back = format!("http://{}/back?{query}", application.domain.name());
        let refused = |response: RestResponse| {
            assert_eq!(response.json()["errno"], Errno::RedirectNotAllowed.number(), "{query}");
            assert_eq!(response.header("location"), "", "{query}");
        };
        refused(grant(&bob, &application, &json!({"redirect": back})).await);
        for decision in ["yes", "no"] {
            let form = [("redirect", back.as_str()), ("state", "s"), ("decision", decision)];
            refused(bob.call("POST", &path).form(&form).await);
        }
    }
    assert_eq!(bob.call("GET", "/grants").await.ok()["grants"], json!([]));
}

#[tokio::test]
async fn a_redirect_to_another_domain_is_refused_and_grants_nothing() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let bob = server.sign_in("bob").await;
    let domain = application.domain.name();
    let port = domain.rsplit_once(':').unwrap().1;
    for elsewhere in [
        "https://evil.example/".to_owned(),
        format!("http://{domain}.evil.example/"),
        format!("http://{domain}@evil.example/"),
        format!("http://user@{domain}/"),
        format!("http://{domain}/#fragment"),
        format!("http://localhost:{port}/"),
        "http://127.0.0.1:1/".to_owned(),
        format!("//{domain}/"),
        format!("http:\\\\{domain}\\"),
        "javascript:alert(1)".to_owned(),
        "nonsense".to_owned(),
        String::new(),
    ] {
        let answer = grant(&bob, &application, &json!({"redirect": elsewhere})).await;
        assert_eq!(answer.json()["errno"], Errno::RedirectNotAllowed.number(), "{elsewhere}");
        assert_eq!(answer.header("location"), "");
    }
    assert_eq!(bob.call("GET", "/grants").await.ok()["grants"], json!([]));
}

#[tokio::test]
async fn a_grant_needs_an_active_application_and_a_session() {
    let server = Server::start_default().await;
    let (application, alice, _) = server.application_with("alice").await;
    let path = format!("/grant/{}", application.appid);
    server.call("POST", &path).json(&json!({})).await.assert_error(Errno::NotAuthenticated);
    let by_key = server.call("POST", &path).json(&json!({})).bearer(&application.api_key).await;
    by_key.assert_error(Errno::Forbidden);
    for unknown in ["0123456789abcdef0123456789abcdef", "nonsense"] {
        let answer = alice.call("POST", &format!("/grant/{unknown}")).json(&json!({})).await;
        answer.assert_error(Errno::UnknownApplication);
    }
    application.deactivate().await;
    grant(&alice, &application, &json!({})).await.assert_error(Errno::ApplicationNotActive);
}

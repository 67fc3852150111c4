//! Grants: given, paused and revoked, and the redirect to the Application.

use poem::http::Method;
use serde_json::json;

use super::fixture::Server;

#[tokio::test]
async fn json_gets_json_and_a_form_gets_a_redirect() {
    let server = Server::development().await;
    let developer = server.sign_in("dev@dev.localhost", "account").await;
    let alice = server.sign_in("alice@dev.localhost", "account").await;
    let (app, _) = server.active_app(&developer).await;
    let apps = server.get(&format!("/apps/{app}")).bearer(&developer).send().await.json();
    let back = format!("http://{}/back?a=b", apps["domain"].as_str().unwrap());
    let path = format!("/grant/{app}");

    let bare = server.post(&path).bearer(&alice).send().await;
    let uid = bare.json()["uid"].as_str().unwrap().to_owned();
    assert_eq!(bare.json(), json!({ "uid": uid, "appid": app }));
    assert_eq!(bare.header("cache-control"), "no-store");
    assert_eq!(bare.header("referrer-policy"), "no-referrer");

    let body = json!({ "redirect": back, "state": "s&t" });
    let created = server.post(&path).bearer(&alice).json(&body).send().await;
    let expected = format!("{back}&Presence-UID={uid}&state=s%26t");
    assert_eq!(created.json(), json!({ "uid": uid, "appid": app, "redirect": expected }));

    let form = |fields: &str| {
        let redirect: String = url::form_urlencoded::byte_serialize(back.as_bytes()).collect();
        server.post(&path).bearer(&alice).form(&format!("redirect={redirect}&{fields}"))
    };
    let yes = form("decision=yes&state=s").send().await;
    assert_eq!(yes.status, 303);
    assert_eq!(yes.header("location"), format!("{back}&Presence-UID={uid}&state=s"));
    assert_eq!(yes.header("cache-control"), "no-store");
    assert_eq!(yes.header("referrer-policy"), "no-referrer");
    let no = form("decision=no&state=s").send().await;
    assert_eq!(
        (no.status.as_u16(), no.header("location")),
        (303, format!("{back}&error=access_denied&state=s").as_str())
    );
    assert_eq!(form("decision=maybe").errno().await, 12);
    assert_eq!(form("decision=").errno().await, 12);
    assert_eq!(form("state=s").errno().await, 11);
    for (fields, granted) in
        [("allow=Allow", true), ("disallow=Disallow", false), ("decision=yes&disallow=", false)]
    {
        let location = form(fields).send().await.header("location").to_owned();
        assert_eq!(location.contains("Presence-UID"), granted, "{fields}: {location}");
        assert_eq!(location.contains("error=access_denied"), !granted, "{fields}: {location}");
    }
}

#[tokio::test]
async fn a_form_without_a_redirect_gets_a_page_that_shows_the_name_as_text() {
    let server = Server::development().await;
    let developer = server.sign_in("dev@dev.localhost", "account").await;
    let (app, _) = server.active_app(&developer).await;
    let page = server
        .post(&format!("/grant/{app}"))
        .bearer(&developer)
        .form("decision=yes&redirect=")
        .send()
        .await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.text.contains("Chess &#60;b&#62; can now see"), "{}", page.text);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'none'; script-src 'self'; style-src")
    );
}

#[tokio::test]
async fn a_form_carries_the_csrf_token_in_a_field() {
    let server = Server::development().await;
    let token = server.sign_in("dev@dev.localhost", "account").await;
    let (app, _) = server.active_app(&token).await;
    let session = server.get("/session").cookie(&token).send().await.json();
    let field = format!("decision=yes&csrf_token={}", session["csrf_token"].as_str().unwrap());
    let form = |fields: &str| {
        let call = server.post(&format!("/grant/{app}")).cookie(&token).form(fields);
        call.header("origin", &server.origin)
    };
    assert_eq!(form("").errno().await, 45);
    assert_eq!(form("csrf_token=x").errno().await, 45);
    assert_eq!(form(&field).errno().await, 0);
    let foreign = server.post(&format!("/grant/{app}")).cookie(&token).form(&field);
    assert_eq!(foreign.header("origin", "http://evil.example").errno().await, 45);
}

#[tokio::test]
async fn a_json_grant_by_cookie_needs_the_csrf_token() {
    let server = Server::development().await;
    let token = server.sign_in("dev@dev.localhost", "account").await;
    let (app, _) = server.active_app(&token).await;
    let session = server.get("/session").cookie(&token).send().await.json();
    let csrf = session["csrf_token"].as_str().unwrap();
    let path = format!("/grant/{app}");
    let json =
        || server.post(&path).cookie(&token).header("origin", &server.origin).json(&json!({}));
    let empty = || server.post(&path).cookie(&token).header("origin", &server.origin);
    assert_eq!(json().errno().await, 45);
    assert_eq!(empty().errno().await, 45);
    assert_eq!(json().header("x-csrf-token", csrf).errno().await, 0);
    assert_eq!(empty().header("x-csrf-token", csrf).errno().await, 0);
}

#[tokio::test]
async fn a_redirect_to_another_domain_is_refused_without_a_grant() {
    let server = Server::development().await;
    let token = server.sign_in("dev@dev.localhost", "account").await;
    let (app, _) = server.active_app(&token).await;
    for redirect in ["https://evil.example/", "http://localhost:1/", "javascript:alert(1)", "/x"] {
        let body = json!({ "redirect": redirect });
        let call = server.post(&format!("/grant/{app}")).bearer(&token).json(&body);
        assert_eq!(call.errno().await, 46, "{redirect}");
        let form = server.post(&format!("/grant/{app}")).bearer(&token);
        let form = form.form(&format!("decision=no&redirect={redirect}"));
        assert_eq!(form.errno().await, 46, "{redirect}");
    }
    let grants = server.get("/grants").bearer(&token).send().await.json();
    assert_eq!(grants, json!({ "grants": [] }));
}

#[tokio::test]
async fn a_grant_is_paused_listed_and_revoked() {
    let server = Server::development().await;
    let token = server.sign_in("dev@dev.localhost", "account").await;
    let (app, _) = server.active_app(&token).await;
    let path = format!("/grants/{app}");
    let pause = |paused| {
        let body = json!({ "paused": paused });
        server.call(Method::PATCH, &path).bearer(&token).json(&body)
    };
    assert_eq!(pause(true).errno().await, 40);
    let grant = server.post(&format!("/grant/{app}")).bearer(&token).send().await.json();
    assert_eq!(server.call(Method::PATCH, &path).bearer(&token).json(&json!({})).errno().await, 11);
    let paused = pause(true).send().await.json();
    assert_eq!((&paused["paused"], &paused["uid"]), (&json!(true), &grant["uid"]));
    let listed = server.get("/grants").bearer(&token).send().await.json();
    assert_eq!(listed["grants"], json!([paused]));
    assert_eq!(server.delete(&path).bearer(&token).send().await.text, r#"{"result":"OK"}"#);
    assert_eq!(server.delete(&path).bearer(&token).errno().await, 40);
    let again = server.post(&format!("/grant/{app}")).bearer(&token).send().await.json();
    assert_ne!(again["uid"], grant["uid"]);
}

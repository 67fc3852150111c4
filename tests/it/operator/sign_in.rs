//! Signing in and out as the operator.

use presence_protocol::Errno;
use presence_tests::{Server, ServerOptions, run, wait_until_refused};
use tempfile::tempdir;

use super::operator_session::{OperatorSession, make_token, set_cookie, try_sign_in};

#[tokio::test]
async fn without_an_operator_the_pages_do_not_exist() {
    let server = Server::start_default().await;
    let block = format!("/admin/applications/{}/block", "0".repeat(32));
    for (method, path) in [
        ("GET", "/admin"),
        ("GET", "/admin/figures"),
        ("GET", "/admin/applications?find=x"),
        ("POST", "/admin/sign-in"),
        ("POST", "/admin/sign-out"),
        ("POST", &block),
    ] {
        let call = server.call(method, path).header("origin", &server.url());
        let call = if method == "POST" { call.form(&[("token", "x")]) } else { call };
        call.await.assert_error(Errno::NotFound);
    }
}

#[tokio::test]
async fn only_the_operators_token_signs_in() {
    let (server, operator) = OperatorSession::start().await;
    let (other, digest) = make_token().await;
    for wrong in ["", &other, &digest, "password"] {
        let refused = try_sign_in(&server, wrong).await;
        assert_eq!(refused.status, 401, "{wrong}");
        assert!(refused.text.contains("This is not the operator"), "{}", refused.text);
        assert!(refused.headers.get("set-cookie").is_none());
    }
    let user = server.sign_in("alice").await;
    user.call("GET", "/admin/figures").await.assert_error(Errno::NotAuthenticated);
    server.call("GET", "/admin/figures").await.assert_error(Errno::NotAuthenticated);
    let redirected = server.call("GET", "/admin/applications").await;
    assert_eq!((redirected.status, redirected.header("location")), (303, "/admin"));
    assert_eq!(operator.get(&server, "/admin/figures").await.status, 200);
}

#[tokio::test]
async fn over_tls_the_cookie_has_the_host_prefix() {
    let (token, digest) = make_token().await;
    let origin = "https://presence.localhost";
    let options =
        ServerOptions::default().with("public-url", origin).with("admin-token-digest", digest);
    let server = Server::start(options).await;
    let signed_in = server.call("POST", "/admin/sign-in").header("origin", origin);
    let signed_in = signed_in.form(&[("token", &token)]).await;
    let expected = ["Secure", "HttpOnly", "SameSite=Strict", "Path=/"];
    let cookie = set_cookie(&signed_in, "__Host-presence-operator", &expected);
    server.call("GET", "/admin/figures").header("cookie", &cookie).await.ok();
}

#[tokio::test]
async fn wrong_operator_tokens_are_rate_limited() {
    let (server, _desk) = OperatorSession::start().await;
    for _ in 0..50 {
        let refused = try_sign_in(&server, "guess").await;
        if refused.status == 429 {
            return;
        }
        assert_eq!(refused.status, 401);
    }
    panic!("there is no limit");
}

#[tokio::test]
async fn an_operator_session_expires_at_the_time_that_the_cookie_states() {
    let (token, server) =
        OperatorSession::start_server(ServerOptions::default().with("admin-session-seconds", 1))
            .await;
    let signed_in = try_sign_in(&server, &token).await;
    let cookie = set_cookie(&signed_in, "presence-operator", &["Max-Age=1"]);
    let figures = || server.call("GET", "/admin/figures").header("cookie", &cookie);
    wait_until_refused(figures).await.assert_error(Errno::NotAuthenticated);
    let sign_in_page = server.call("GET", "/admin").header("cookie", &cookie).await;
    assert!(sign_in_page.text.contains("name=\"token\""), "{}", sign_in_page.text);
}

#[tokio::test]
async fn signing_out_ends_the_operator_session_on_the_server() {
    let (server, operator) = OperatorSession::start().await;
    let csrf_token = operator.csrf_token(&server).await;
    let out = operator.post(&server, "/admin/sign-out", &csrf_token).await;
    assert_eq!(out.status, 303);
    let cookies = out.headers.get_all("set-cookie").iter();
    assert!(
        cookies.map(|cookie| cookie.to_str().unwrap()).any(|cookie| cookie.contains("Max-Age=0"))
    );
    assert_eq!(operator.get(&server, "/admin/figures").await.status, 401);
}

#[tokio::test]
async fn a_form_of_another_origin_is_refused() {
    let (server, operator) = OperatorSession::start().await;
    let (application, _, _) = server.application_with("alice").await;
    let path = format!("/admin/applications/{}/block", application.appid);
    for wrong in ["", &"0".repeat(64)] {
        assert_eq!(operator.post(&server, &path, wrong).await.status, 403, "{wrong}");
    }
    let csrf_token = operator.csrf_token(&server).await;
    let elsewhere = server.call("POST", &path).header("cookie", &operator.cookie);
    let elsewhere = elsewhere.header("origin", "https://evil.example");
    assert_eq!(elsewhere.form(&[("csrf_token", &csrf_token)]).await.status, 403);
    application.call("GET", "/presence").await.ok();
}

#[tokio::test]
async fn the_figures_count_activity_and_contain_no_email() {
    let (server, operator) = OperatorSession::start().await;
    let (application, _, _) = server.application_with("alice").await;
    let (_stream, _) = presence_tests::Socket::stream(&server, &application).await;
    let _device = presence_tests::Socket::device_of(&server, "alice", "phone", "online").await;
    server.call("GET", "/nothing").await.assert_error(Errno::NotFound);
    let figures = operator.get(&server, "/admin/figures").await.ok();
    assert_eq!(figures["levels"]["device_connections"], 1.0, "{figures}");
    assert_eq!(figures["levels"]["app_connections"], 1.0, "{figures}");
    assert_eq!(figures["totals"]["updates"], 1.0, "{figures}");
    assert_eq!(figures["errors"]["not_found"], 1.0, "{figures}");
    assert_eq!(figures["database"]["answers"], true, "{figures}");
    for path in ["/admin", "/admin/figures", "/admin/applications", "/admin/applications?find=chat"]
    {
        let page = operator.get(&server, path).await;
        assert_eq!(page.status, 200);
        assert!(!page.text.contains('@'), "{path}: {}", page.text);
    }
    let found = operator.get(&server, "/admin/applications?find=chat").await;
    assert!(found.text.contains(&application.appid), "{}", found.text);
}

#[tokio::test]
async fn an_invalid_digest_is_reported_and_a_valid_one_is_not_shown() {
    let directory = tempdir().unwrap();
    let wrong = run(directory.path(), &["config", "--admin-token-digest", "secret"], &[]).await;
    wrong.failed(2, "admin_token_digest must be 64 hexadecimal digits");
    let (_, digest) = make_token().await;
    let shown = run(directory.path(), &["config", "--admin-token-digest", &digest], &[]).await;
    assert!(shown.out.contains("admin_token_digest = \"***\"") && !shown.out.contains(&digest));
}

#[tokio::test]
async fn who_signs_in_at_one_server_is_signed_in_at_all_and_signed_out_at_all() {
    let (token, digest) = make_token().await;
    let options = ServerOptions::default().with("admin-token-digest", digest);
    let [one, two] = Server::start_sharing(options).await;
    let operator = OperatorSession::sign_in(&one, &token).await;
    let figures = operator.get(&two, "/admin/figures").await.ok();
    let servers = figures["servers"].as_array().unwrap();
    let is_this: Vec<bool> = servers.iter().map(|it| it["is_this"].as_bool().unwrap()).collect();
    assert_eq!(is_this, [false, true], "{figures}");
    assert!(servers.iter().all(|server| server["state"] == "running"), "{figures}");
    let csrf_token = operator.csrf_token(&two).await;
    let sign_out = two.call("POST", "/admin/sign-out").header("cookie", &operator.cookie);
    let form = [("csrf_token", csrf_token.as_str())];
    assert_eq!(sign_out.header("origin", &two.url()).form(&form).await.status, 303);
    for server in [&one, &two] {
        assert_eq!(operator.get(server, "/admin/figures").await.status, 401);
    }
}

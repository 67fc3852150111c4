//! Features that exist only in development mode.

use presence_protocol::{Errno, Puid};
use presence_tests::{
    Application, DomainServer, Server, ServerOptions, Socket, SocketRequest, User,
};
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

/// Returns a server that was set up in development mode, with one more Application for each of
/// these domains, and restarted in production mode.
async fn in_production(domains: &[&str]) -> (Server, Application, User, Puid, Vec<Value>) {
    let mut server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let mut further = Vec::new();
    for domain in domains {
        let body = json!({"name": "Further", "domain": domain});
        further.push(application.owner.call("POST", "/apps").json(&body).await.ok());
    }
    server.terminate().await;
    forget_development(&server).await;
    server.change(|options| options.production().with("domain-http", true));
    server.restart().await;
    (server, application, alice, uid, further)
}

/// Changes the database as if a server in production had made its content, since no test has an
/// identity provider with a public address.
async fn forget_development(server: &Server) {
    let options = SqliteConnectOptions::new().filename(server.database());
    let mut tables = options.connect().await.unwrap();
    for mark in ["UPDATE sessions SET development = FALSE", "UPDATE apps SET development = FALSE"] {
        sqlx::query(mark).execute(&mut tables).await.unwrap();
    }
    sqlx::Connection::close(tables).await.unwrap();
}

#[tokio::test]
async fn nothing_that_development_mode_left_is_accepted() {
    let mut server = Server::start_default().await;
    let (application, alice, _) = server.application_with("alice").await;
    server.terminate().await;
    server.change(ServerOptions::production);
    server.restart().await;
    server.wait_for_log("development.discarded").await;
    for user in [&alice, &application.owner] {
        user.call("GET", "/account").await.assert_error(Errno::SessionExpired);
    }
    let mut device = Socket::device(&server).await;
    device.send(json!({"token": alice.token, "status": "online"})).await;
    device.expect_error(Errno::SessionExpired).await;
    application.call("GET", "/presence").await.assert_error(Errno::InvalidApiKey);
    let with_key = SocketRequest::app(&application).bearer(&application.api_key);
    Socket::try_open(&server, with_key).await.unwrap_err().assert_error(Errno::InvalidApiKey);
    let page = server.call("GET", &format!("/grant/{}", application.appid));
    assert_ne!(page.header("accept", "text/html").await.status, 200);
    // Nor does it come back with development mode: the domain must be verified again.
    server.terminate().await;
    server.change(ServerOptions::development);
    server.restart().await;
    application.call("GET", "/presence").await.assert_error(Errno::ApplicationNotActive);
    let owner = server.sign_in("developer").await;
    let app = owner.call("GET", &format!("/apps/{}", application.appid)).await.ok();
    assert_eq!(app["state"], "registered", "{app}");
}

#[tokio::test]
async fn in_production_a_loopback_domain_is_not_contacted() {
    let domain = DomainServer::start().await;
    let domains = [domain.name(), "localhost".to_owned(), "127.0.0.1".to_owned()];
    let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
    let (_server, application, _, _, further) = in_production(&domains).await;
    let verify = async |app: &Value| {
        domain.publish_key(app["domain_key"].as_str().unwrap());
        let path = format!("/apps/{}/verify", app["appid"].as_str().unwrap());
        let answer = application.owner.call("POST", &path).await;
        answer.assert_error(Errno::DomainNotVerified);
        answer.text
    };
    verify(&further[0]).await;
    assert_eq!(domain.requested_paths(), Vec::<String>::new());
    for app in &further[1..] {
        let text = verify(app).await;
        assert!(text.contains("an address that is not public"), "{text}");
    }
}

#[tokio::test]
async fn a_domain_is_contacted_over_tls_unless_the_operator_allows_http() {
    let (mut server, application, _, _, further) = in_production(&["app.invalid"]).await;
    server.terminate().await;
    server.change(|options| options.with("domain-http", false));
    server.restart().await;
    let path = format!("/apps/{}/verify", further[0]["appid"].as_str().unwrap());
    let answer = application.owner.call("POST", &path).await;
    answer.assert_error(Errno::DomainNotVerified);
    // Over plain HTTP the domain is not even contacted.
    assert!(!answer.text.contains("must be https"), "{}", answer.text);
}

#[tokio::test]
async fn in_production_a_loopback_domain_is_refused() {
    let (_server, application, _, _, _) = in_production(&[]).await;
    for domain in ["localhost", "localhost:3000", "127.0.0.1", "127.0.0.1:8080"] {
        let body = json!({"name": "x", "domain": domain});
        application.owner.call("POST", "/apps").json(&body).await.assert_error(Errno::InvalidField);
        let moved = application.owner_call("PATCH", "").json(&json!({"domain": domain})).await;
        moved.assert_error(Errno::InvalidField);
    }
}

#[tokio::test]
async fn redirects_without_tls_are_refused() {
    let (server, application, alice, uid, _) = in_production(&[]).await;
    let redirect = format!("http://{}/back", application.domain.name());
    let path = format!("/grant/{}", application.appid);
    let granted = alice.call("POST", &path).json(&json!({"redirect": redirect})).await;
    granted.assert_error(Errno::RedirectNotAllowed);
    let item = json!({"uid": uid, "message": "x", "action": "http://localhost:3000/"});
    let (_, live) = application.make_key().await;
    let path = format!("/apps/{}/notifications", application.appid);
    let sent = server.call("POST", &path).bearer(&live).json(&json!({"notifications": [item]}));
    let sent = sent.await.ok();
    assert_eq!(sent["results"][0]["errno"], Errno::InvalidField.number(), "{sent}");
}

#[tokio::test]
async fn the_prefix_of_a_key_names_its_mode() {
    let (_server, application, _, _, _) = in_production(&[]).await;
    assert!(application.api_key.starts_with("prs_test_"));
    application.call("GET", "/presence").await.assert_error(Errno::InvalidApiKey);
    let (_, live) = application.make_key().await;
    assert!(live.starts_with("prs_live_"));
    application.call("GET", "/presence").bearer(&live).await.ok();
}

#[tokio::test]
async fn browsers_are_told_to_use_https() {
    const HSTS: &str = "strict-transport-security";
    let production = || ServerOptions::default().production();
    let public = |options: ServerOptions, url: &str| options.with("public-url", url);
    let server = Server::start(public(production(), "https://presence.example.org")).await;
    for path in ["/", "/docs", "/session", "/nothing", "/metrics", "/presence", "/__heartbeat__"] {
        let answer = server.call("GET", path).await;
        assert_eq!(answer.header(HSTS), "max-age=31536000", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    }
    // Not without TLS, not if it is switched off, and not on the machine of a developer.
    let off = production().with("hsts-seconds", 0);
    for options in [
        public(production(), "http://presence.example.org"),
        public(off, "https://presence.example.org"),
        public(ServerOptions::default(), "https://presence.localhost"),
    ] {
        let server = Server::start(options).await;
        assert_eq!(server.call("GET", "/").await.header(HSTS), "");
    }
}

#[tokio::test]
async fn over_tls_the_cookie_has_the_host_prefix() {
    let origin = "https://presence.localhost";
    let server = Server::start(ServerOptions::default().with("public-url", origin)).await;
    let body = json!({"assertion": server.assertion("alice").await});
    let opened = server.call("POST", "/session").json(&body).header("origin", origin).await;
    let set = opened.header("set-cookie").to_owned();
    let token = opened.ok()["token"].as_str().unwrap().to_owned();
    assert!(set.starts_with(&format!("__Host-presence={token};")), "{set}");
    for expected in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(set.split("; ").any(|part| part == expected), "{set}");
    }
    let known =
        async |cookie: String| server.call("GET", "/session").header("cookie", &cookie).await;
    known(format!("__Host-presence={token}")).await.ok();
    known(format!("presence={token}")).await.assert_error(Errno::NotAuthenticated);
}

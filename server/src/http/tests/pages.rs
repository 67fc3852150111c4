//! Pages and documents, health and version, development mode.

use serde_json::json;

use super::fixture::Server;

#[tokio::test]
async fn the_docs_load_nothing_from_other_origins() {
    let server = Server::development().await;
    for page in ["/docs", "/docs/channels", "/docs/errors", "/docs/quickstarts"] {
        let page = server.get(page).send().await;
        let policy = page.header("content-security-policy");
        assert!(policy.contains("script-src 'self';") && !policy.contains("http"), "{policy}");
        assert!(policy.contains("style-src 'self';"), "{policy}");
        let loaded =
            ["href=\"", "src=\""].into_iter().flat_map(|name| page.text.split(name).skip(1));
        for path in loaded.filter_map(|rest| rest.split_once('"')).map(|(path, _)| path) {
            assert!(path.starts_with(['/', '#']) && !path.starts_with("//"), "{path}");
        }
    }
}

#[tokio::test]
async fn what_is_the_same_for_every_visitor_is_compressed_and_nothing_else_is() {
    let server = Server::development().await;
    let home = server.get("/").send().await.text;
    let (_, style) = home.split_once("rel=\"stylesheet\" href=\"").unwrap();
    let style = style.split('"').next().unwrap();
    let documents = ["/openapi.json", "/asyncapi.yaml"];
    let pages = ["/docs", "/docs/channels", "/docs/errors", "/docs/quickstarts"];
    for path in [style].into_iter().chain(documents).chain(pages) {
        let plain = server.get(path).send().await;
        assert_eq!(
            (plain.header("content-encoding"), plain.header("vary")),
            ("", "accept-encoding")
        );
        for coding in ["br", "gzip"] {
            let get = || server.get(path).header("accept-encoding", coding);
            let length = get().send().await.length;
            assert_eq!(get().send().await.header("content-encoding"), coding, "{path}");
            assert!(length * 2 < plain.text.len(), "{path}, {coding}: {length}");
        }
    }

    // The page of a user has the token of the user's forms. With a part that somebody else can
    // choose, the length of a compressed response would tell something about the token.
    let alice = server.sign_in("alice@dev.localhost", "account").await;
    let own = pages.into_iter().chain(["/", "/sidebar", "/myapps", "/account", "/session"]);
    for path in own {
        let get = server.get(path).header("accept-encoding", "gzip, br");
        let response = get.cookie(&alice).send().await;
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.header("content-encoding"), "", "{path}");
    }
    let reflected = server.get("/sign-in?return=/sidebar").header("accept-encoding", "gzip, br");
    assert_eq!(reflected.send().await.header("content-encoding"), "");
}

#[tokio::test]
async fn the_docs_show_the_channels_and_the_errors() {
    let server = Server::development().await;
    let channels = server.get("/docs/channels").send().await.text;
    for text in
        ["Device Presence Channel", "AppService Presence Channel", "application_ids", "4008"]
    {
        assert!(channels.contains(text), "{text}");
    }
    let errors = server.get("/docs/errors").send().await.text;
    assert!(errors.contains("<code>session_expired</code>"), "{errors}");
    assert!(server.get("/docs").send().await.text.contains("href=\"/docs/channels\""));
}

#[tokio::test]
async fn both_documents_are_served() {
    let server = Server::development().await;
    let openapi = server.get("/openapi.json").send().await;
    assert!(openapi.header("content-type").starts_with("application/json"));
    assert_eq!(openapi.json()["info"]["title"], "Presence");
    let asyncapi = server.get("/asyncapi.yaml").send().await;
    assert!(asyncapi.header("content-type").starts_with("application/yaml"));
    assert!(asyncapi.text.contains("asyncapi: 3.1.0"));
}

#[tokio::test]
async fn assertions_are_made_only_in_development_mode() {
    let server = Server::development().await;
    assert!(server.get("/").send().await.text.contains("href=\"/dev\""));
    let call = |body: serde_json::Value| server.post("/dev/assertion").json(&body);
    let created = call(json!({ "email": "alice@dev.localhost" })).send().await;
    assert_eq!(created.header("cache-control"), "no-store");
    assert_eq!(created.json()["audience"], server.origin.as_str());
    assert!(created.json()["assertion"].as_str().unwrap().contains('~'));
    assert_eq!(call(json!({})).errno().await, 11);
    assert_eq!(call(json!({ "email": "alice@elsewhere.example" })).errno().await, 12);
    assert_eq!(call(json!({ "email": "a@dev.localhost", "audience": "*" })).errno().await, 12);

    assert_eq!(server.get("/dev").send().await.status, 200);
    let post = || server.post("/dev").header("origin", &server.origin);
    let page = post().form("email=o'neil%40dev.localhost").send().await;
    assert!(
        page.text.contains("curl -s")
            && page.text.contains("presence-server device --server http://localhost:8080")
    );
    assert!(page.text.contains("value=\"o&#39;neil@dev.localhost\""), "{}", page.text);
    let markup = post().form("email=%22%3E%3Cb%3E").send().await;
    assert_eq!(markup.status, 400);
    assert!(markup.text.contains("value=\"&#34;&#62;&#60;b&#62;\""), "{}", markup.text);

    assert_eq!(server.post("/dev").form("email=a%40dev.localhost").errno().await, 45);
    assert_eq!(post().body("email=a%40dev.localhost").errno().await, 15);
    assert_eq!(post().form("name=a").errno().await, 11);

    let server = Server::with_url("https://presence.example", false).await;
    assert!(!server.get("/").send().await.text.contains("href=\"/dev\""));
    assert_eq!(server.get("/dev").errno().await, 47);
    let post = server.post("/dev").header("origin", &server.origin);
    assert_eq!(post.form("email=a%40dev.localhost").errno().await, 47);
    assert_eq!(server.post("/dev/assertion").body("nonsense").errno().await, 47);
}

#[tokio::test]
async fn health_and_version_need_no_credential() {
    let server = Server::development().await;
    let expected = json!({ "status": "ok", "database": "ok", "tasks": {}, "warming_up": false,
        "development": true });
    assert_eq!(server.get("/__heartbeat__").send().await.json(), expected);
    assert_eq!(server.get("/__lbheartbeat__").send().await.status, 200);
    let version = server.get("/__version__").send().await.json();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    for field in ["source", "commit", "build"] {
        assert!(version[field].is_string());
    }
}

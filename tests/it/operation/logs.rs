//! The server's log: enough to follow a socket, and no personal data or credentials.

use presence_tests::{
    Application, CertificateAuthority, Server, ServerOptions, Socket, SocketRequest, email,
};
use serde_json::{Value, json};

/// The most detailed level of the server's own crates.
const MOST_DETAILED: &str = "info,presence_server=trace,presence_service=trace,presence_store=trace,presence_identity=trace";

#[tokio::test]
async fn no_personal_data_and_no_credential_is_logged() {
    let default = "info,poem=warn,sea_orm_migration=warn,sqlx=warn";
    for (level, format) in [
        (default, "pretty"),
        ("debug", "pretty"),
        ("trace", "pretty"),
        ("trace,tungstenite=trace,hyper=trace,log=trace", "json"),
        (MOST_DETAILED, "pretty"),
        (MOST_DETAILED, "json"),
    ] {
        let options = ServerOptions::default().with("log", level).with("log-format", format);
        let mut server = Server::start(options).await;
        let secrets = use_all_features(&server).await;
        assert_not_logged(&mut server, &secrets).await;
    }
}

#[tokio::test]
async fn no_personal_data_is_logged_over_tls_either() {
    let authority = CertificateAuthority::default();
    let options = ServerOptions::default().with("log", "debug").with("log-format", "json");
    let options = options.over_tls(&authority).with("failed-credentials-burst", 1);
    let mut server = Server::start(options).await;
    let mut secrets = use_all_features(&server).await;
    let key = std::fs::read_to_string(authority.key()).unwrap();
    // The log says that a key is malformed, and does not show it.
    std::fs::write(authority.key(), key.replace("PRIVATE KEY", "SECRET")).unwrap();
    server.signal("HUP").await;
    server.wait_for_log("tls.kept").await;
    secrets.extend(key.lines().filter(|line| !line.contains("---")).map(str::to_owned));
    assert_not_logged(&mut server, &secrets).await;
}

async fn assert_not_logged(server: &mut Server, secrets: &[String]) {
    let log = server.complete_log().await;
    let found: Vec<_> = secrets.iter().filter(|secret| log.contains(secret.as_str())).collect();
    assert!(found.is_empty(), "{found:?} was logged:\n{log}");
}

#[tokio::test]
async fn each_json_log_line_is_an_object_that_names_its_socket() {
    let options = ServerOptions::default().with("log", "debug").with("log-format", "json");
    let mut server = Server::start(options).await;
    use_all_features(&server).await;
    let log = server.complete_log().await;
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    for line in &lines {
        assert!(line["timestamp"].is_string() && line["target"].is_string(), "{line}");
        assert!(line["level"].is_string() && line["fields"].is_object(), "{line}");
    }
    let find_line = |message: &str| {
        let found = lines.iter().find(|line| line["fields"]["message"] == message);
        found.unwrap_or_else(|| panic!("{message} was not logged"))
    };
    let opened = &find_line("device.open")["span"];
    assert_eq!((&opened["name"], &opened["channel"]), (&json!("socket"), &json!("device")));
    assert!(opened["conn.id"].is_u64() && opened["app.id"].is_null(), "{opened}");
    let ended = &find_line("app.end")["span"];
    assert_eq!(ended["channel"], "app", "{ended}");
    assert!(ended["conn.id"].is_u64(), "{ended}");
    let app = ended["app.id"].as_str().unwrap_or_else(|| panic!("no Application in {ended}"));
    assert_eq!(app.len(), 32, "{app}");
}

#[tokio::test]
async fn errors_of_a_socket_name_it_at_the_default_level_too() {
    let mut server = Server::start(ServerOptions::default().with("log", "warn")).await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let mut other = tables(&server).await;
    let holding = sqlx::Connection::begin(&mut other).await.unwrap();
    drop(holding);
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let item = json!({"uid": uid, "message": "too early", "action": ""});
    let refused = stream.ask(json!({"action": "notify", "notifications": [item]})).await;
    assert_eq!(refused["results"][0]["result"], "KO", "{refused}");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    let log = server.complete_log().await;
    // The maintenance has lines of its own, which name no socket.
    let is_of_a_call =
        |line: &&str| line.contains("store.failed") && line.contains("a call failed");
    let line = log.lines().find(is_of_a_call);
    let line = line.unwrap_or_else(|| panic!("nothing was logged:\n{log}"));
    let named = format!("app.id={}", application.appid);
    assert!(line.contains("conn.id=") && line.contains(&named), "{line}");
}

async fn tables(server: &Server) -> sqlx::SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(server.database());
    sqlx::ConnectOptions::connect(&options).await.unwrap()
}

/// Uses most features, including errors. Returns the texts that must not be logged.
pub(super) async fn use_all_features(server: &Server) -> Vec<String> {
    let (application, alice, uid) = server.application_with("alice").await;
    let assertion = server.assertion("alice").await;
    let mut phone = Socket::device(server).await;
    let hello = json!({"email": email("alice"), "assertion": assertion, "status": "online",
        "message": "my private status"});
    assert_eq!(phone.ask(hello.clone()).await, json!({"result": "OK"}));
    make_refused_requests(server, &application, &assertion).await;
    let item = json!({"uid": uid, "message": "my private message", "action": ""});
    application.notify(&json!([item])).await.ok();
    phone.receive_until(|frame| frame["notifications"].is_array()).await;
    alice.pause(&application, true).await;
    alice.revoke(&application).await;
    phone.close(None).await;
    alice.call("DELETE", "/account").await;
    let words = ["my private status", "my private message", "alice@", "developer@", "mallory"];
    let mut secrets: Vec<String> = words.map(str::to_owned).to_vec();
    secrets.extend([alice.token, assertion, application.api_key, application.owner.token]);
    secrets.push(uid.to_string());
    secrets
}

/// Makes requests that are refused, with credentials that must not be logged either.
async fn make_refused_requests(server: &Server, application: &Application, assertion: &str) {
    let mut thief = Socket::device(server).await;
    let stolen = json!({"email": email("mallory"), "assertion": assertion, "status": "online"});
    assert_eq!(thief.ask(stolen).await["result"], "KO");
    thief.send_raw("{\"assertion\":\"half of a").await;
    assert_eq!(thief.receive().await["result"], "KO");
    let (mut stream, _) = Socket::stream(server, application).await;
    let wrong = application.api_key.replace(|c: char| c.is_ascii_digit(), "0");
    server.call("GET", "/apps").bearer(&wrong).await;
    let wrong_auth = json!({"action": "auth", "token": wrong});
    assert_eq!(stream.ask(wrong_auth).await["result"], "KO");
    make_refused_upgrades(server, application, &wrong).await;
    for _ in 0..3 {
        let body = json!({"email": email("mallory"), "assertion": assertion});
        server.call("POST", "/session").json(&body).await;
    }
}

/// Is refused in the upgrade: for a wrong key, for the origin, and for the origin again with a
/// header that only a trusted proxy may set.
async fn make_refused_upgrades(server: &Server, application: &Application, wrong: &str) {
    for way in [
        SocketRequest::app(application).bearer(wrong),
        SocketRequest::app(application)
            .bearer(&application.api_key)
            .header("origin", "https://evil.example"),
        SocketRequest::device()
            .header("origin", "null")
            .header("x-forwarded-for", "mallory@dev.localhost"),
    ] {
        assert!(Socket::try_open(server, way).await.is_err());
    }
}

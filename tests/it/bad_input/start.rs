//! Arguments and files with which the server refuses to start.

use std::path::Path;

use presence_tests::{CommandOutput, Server, ServerOptions, Socket, run};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::tempdir;

/// A way to sign in, without which no server starts.
const ISSUER: &str = "--browserid-issuers=idp.example.org";

async fn start_on(directory: &Path, database: &str) -> CommandOutput {
    let arguments = ["--listen=127.0.0.1:0", "--log=off", ISSUER, "--database", database];
    run(directory, &arguments, &[]).await
}

#[tokio::test]
async fn an_unusable_database_stops_the_start_with_one_line() {
    let directory = tempdir().unwrap();
    let place = directory.path();
    std::fs::write(place.join("text.db"), "This is no database. ".repeat(500)).unwrap();
    std::fs::create_dir(place.join("folder.db")).unwrap();
    for (database, text) in [
        ("sqlite://text.db", "is not a SQLite database"),
        ("sqlite://folder.db?mode=rwc", "is not a SQLite database"),
        ("sqlite://nowhere/presence.db?mode=rwc", "does not exist"),
        ("sqlite://missing.db", "does not exist"),
        ("sqlite::memory:", "must look like"),
        ("mysql://localhost/presence", "must look like"),
        ("postgres://alice:secret@127.0.0.1:1/presence", "cannot be reached"),
    ] {
        let output = start_on(place, database).await;
        output.failed(1, text);
        assert!(!output.err.contains("secret"), "{output:?}");
    }
}

#[tokio::test]
async fn a_read_only_database_stops_the_start_with_one_line() {
    let mut server = Server::start_default().await;
    server.terminate().await;
    let database = server.database();
    let mut permissions = std::fs::metadata(&database).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&database, permissions).unwrap();
    // The URL is read-only too, because root may write into read-only files.
    let url = format!("sqlite://{}?mode=ro", database.display());
    start_on(database.parent().unwrap(), &url).await.failed(1, "cannot be written");
}

#[tokio::test]
async fn a_database_of_a_newer_server_is_refused_and_not_changed() {
    let mut server = Server::start_default().await;
    server.sign_in("alice").await;
    server.terminate().await;
    let database = server.database();
    let options = SqliteConnectOptions::new().filename(&database);
    let mut tables = options.connect().await.unwrap();
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_far_ahead', 0)";
    sqlx::query(newer).execute(&mut tables).await.unwrap();
    sqlx::Connection::close(tables).await.unwrap();
    let before = std::fs::read(&database).unwrap();
    let url = format!("sqlite://{}?mode=rwc", database.display());
    let output = start_on(database.parent().unwrap(), &url).await;
    output.failed(1, "newer than this server");
    assert!(output.err.contains("m9999_far_ahead"), "{output:?}");
    assert!(std::fs::read(&database).unwrap() == before, "the file was changed");
}

#[tokio::test]
async fn a_database_in_use_by_another_server_is_refused() {
    let mut server = Server::start_default().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let url = format!("sqlite://{}?mode=rwc", server.database().display());
    let directory = server.database().parent().unwrap().to_owned();
    start_on(&directory, &url).await.failed(1, "in use by another server");
    device.report("unavailable").await;
    // A killed server releases the database too.
    server.kill().await;
    server.restart().await;
}

#[tokio::test]
async fn a_port_in_use_stops_the_start_with_one_line() {
    let (server, directory) = (Server::start_default().await, tempdir().unwrap());
    let listen = format!("--listen={}", server.address());
    let output = run(directory.path(), &[&listen, "--log=off", ISSUER], &[]).await;
    output.failed(1, &server.address().to_string());
    assert!(output.err.contains("choose another with --listen"), "{output:?}");
}

#[tokio::test]
async fn invalid_settings_are_reported_in_one_line_with_exit_code_2() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("presence.toml");
    for (text, wrong) in [
        ("status_bursts = 5", "status_bursts"),
        ("status_burst = \"many\"", "status_burst"),
        ("status_burst = ", "line 1, column 16: status_burst ="),
        ("[listen]\nport = 80", "listen"),
        ("listen = 8080", "listen must be an IP address and port such as \"127.0.0.1:8080\""),
        ("listen = \"8080\"", "listen must be an IP address and port such as"),
        ("status-burst = 9", "write status_burst"),
        ("grace_seconds = -1", "grace_seconds must be between 0 and"),
        ("grace_seconds = nan", "grace_seconds must be between"),
        ("ping_seconds = 0", "ping_seconds must be between 0.1 and"),
        ("status_burst = 0", "status_burst must be at least 1"),
        ("body_bytes = 0", "body_bytes must be at least 1"),
        ("status_burst = -5", "status_burst must be a whole number"),
        ("dev = \"yes\"", "dev must be true or false, not \"yes\" (in presence.toml)"),
        ("log_format = \"xml\"", "log_format must be one of pretty, json, not xml"),
        ("trusted_proxies = \"10.0.0.0/8\"", "trusted_proxies must be a list"),
        ("trusted_proxies = [\"10.0.0.0/33\"]", "trusted_proxies contains \"10.0.0.0/33\""),
        ("allowed_origins = [\"app.example\"]", "allowed_origins contains \"app.example\""),
        ("allowed_origins = [\"null\"]", "allowed_origins contains \"null\""),
        ("allowed_origins = [\"https://*.org\"]", "allowed_origins contains \"https://*.org\""),
        ("allowed_origins = [\"https://a.*.example\"]", "may have * only as the first label"),
        ("action_schemes = [\"MyApp\"]", "action_schemes contains \"MyApp\""),
        ("action_schemes = [\"javascript\"]", "is never allowed"),
        ("metrics_listen = \"9100\"", "metrics_listen must be an IP address and port"),
    ] {
        std::fs::write(&file, text).unwrap();
        run(directory.path(), &["--config=presence.toml"], &[]).await.failed(2, wrong);
    }
    run(directory.path(), &["--config=missing.toml"], &[]).await.failed(2, "does not exist");
    run(directory.path(), &["--config=."], &[]).await.failed(2, "is a directory");
    for listen in ["--listen=8080", "--listen=localhost:8080", "--listen=127.0.0.1"] {
        run(directory.path(), &[listen], &[])
            .await
            .failed(2, "write an IP address and port such as");
    }
    let listen = [("PRESENCE_LISTEN", "8080")];
    run(directory.path(), &[], &listen).await.failed(2, "listen must be an IP address and port");
    let unread = [("PRESENCE_STATUS_BURST", "many")];
    run(directory.path(), &[], &unread)
        .await
        .failed(2, "status_burst must be a whole number, not \"many\" (in PRESENCE_STATUS_BURST)");
    run(directory.path(), &["--listen=0.0.0.0:0"], &[]).await.failed(2, "public_url");
    let twice = ["--listen=127.0.0.1:9464", "--metrics-listen=127.0.0.1:9464"];
    run(directory.path(), &twice, &[]).await.failed(2, "must be another address than listen");
    let issuers = [("PRESENCE_OIDC_ISSUERS", "[{name = \"example\"}]")];
    run(directory.path(), &[], &issuers).await.failed(2, "SIGN-IN.md");
    run(directory.path(), &["--log=nonsense=loud"], &[]).await.failed(2, "log");
    run(directory.path(), &["--dev", "--listen=0.0.0.0:0"], &[]).await.failed(2, "dev");
    for public in ["https://presence.example.org", "http://192.0.2.1:8080", "http://0.0.0.0:80"] {
        let public_url = format!("--public-url={public}");
        let started = run(directory.path(), &["--dev", &public_url], &[]).await;
        started.failed(2, "public_url must be a loopback address in development mode");
    }
}

#[tokio::test]
async fn a_server_without_a_way_to_sign_in_does_not_start() {
    let directory = tempdir().unwrap();
    for arguments in [
        &["--listen=127.0.0.1:0"][..],
        &["--browserid-discovery=off"],
        &[ISSUER, "--browserid-allowed-issuers=other.example"],
    ] {
        let output = run(directory.path(), arguments, &[]).await;
        output.failed(2, "nobody can sign in");
    }
    assert!(!directory.path().join("presence.db").exists());
    // A check ends as the server does, and leaves nothing.
    let check = run(directory.path(), &["check"], &[]).await;
    let server = run(directory.path(), &[], &[]).await;
    assert_eq!((check.code, &check.err), (server.code, &server.err));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    // The commands that need no sign-in work.
    assert_eq!(run(directory.path(), &["config"], &[]).await.code, Some(0));
}

#[tokio::test]
async fn what_is_probably_not_meant_is_a_warning() {
    let options = ServerOptions::default().production();
    let server = Server::start(options.with("public-url", "https://presence.example.org")).await;
    server.wait_for_log("settings.warning: public_url begins with https://").await;
    let directory = tempdir().unwrap();
    let output =
        run(directory.path(), &["check", "--dev"], &[("PRESENCE_STATUS_BURSTS", "9")]).await;
    let warning = "warning: the environment variable PRESENCE_STATUS_BURSTS is not a setting";
    assert!(output.out.contains(warning), "{output:?}");
}

#[tokio::test]
async fn invalid_arguments_give_exit_code_2() {
    let directory = tempdir().unwrap();
    for arguments in [&["--colour"][..], &["dance"], &["--listen", "here"], &["assertion"]] {
        let output = run(directory.path(), arguments, &[]).await;
        assert_eq!((output.code, output.out.as_str()), (Some(2), ""), "{output:?}");
        assert_eq!(output.err.lines().count(), 1, "{output:?}");
    }
}

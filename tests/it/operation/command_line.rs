//! Settings and sub-commands.

use presence_tests::{CommandOutput, Server, ServerOptions, Socket, email, run, run_with_output};
use serde_json::{Value, json};
use tempfile::tempdir;

#[tokio::test]
async fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let directory = tempdir().unwrap();
    let file = "status_burst = 11\nnotify_burst = 12\ngrace_seconds = 13\n";
    std::fs::write(directory.path().join("presence.toml"), file).unwrap();
    let environment = [
        ("PRESENCE_CONFIG", "presence.toml"),
        ("PRESENCE_STATUS_BURST", "21"),
        ("PRESENCE_NOTIFY_BURST", "22"),
        ("PRESENCE_ACTION_SCHEMES", "[\"myapp\"]"),
    ];
    let output = run(directory.path(), &["config", "--status-burst", "31"], &environment).await;
    assert_eq!((output.code, output.err.as_str()), (Some(0), ""), "{output:?}");
    for line in [
        "status_burst = 31",
        "notify_burst = 22",
        "grace_seconds = 13.0",
        "sockets_per_user = 20",
        "action_schemes = [\"myapp\"]",
    ] {
        assert!(output.out.lines().any(|shown| shown == line), "{line} is not in {}", output.out);
    }
}

#[tokio::test]
async fn settings_without_a_value_have_the_documented_defaults() {
    let directory = tempdir().unwrap();
    let output = run(directory.path(), &["config"], &[]).await;
    for line in [
        "dev = false",
        "domain_http = false",
        "browserid_issuers = []",
        "action_schemes = []",
        "device_frame_bytes = 16384",
        "app_frame_bytes = 1048576",
        "body_bytes = 1048576",
        "status_burst = 5",
        "status_per_second = 1",
        "notify_burst = 100",
        "notify_per_second = 20",
        "connects_per_second = 200",
        "sign_ins_per_second = 200",
        "failed_credentials_burst = 200",
        "failed_credentials_per_second = 20",
        "app_name_characters = 200",
        "app_description_characters = 2000",
        "app_domain_characters = 253",
        "tls_certificate = \"\"",
        "tls_handshake_seconds = 10.0",
        "trusted_proxies = []",
        "allowed_origins = []",
        "metrics_listen = \"\"",
        "sockets_per_user = 20",
        "sockets_per_app = 100",
        "apps_per_developer = 200",
        "hello_seconds = 10.0",
        "ping_seconds = 30.0",
        "grace_seconds = 10.0",
        "warm_up_seconds = 15.0",
        "drain_seconds = 10.0",
        "session_seconds = 86400.0",
        "app_queue_seconds = 3600.0",
        "app_queue_updates = 100000",
    ] {
        assert!(output.out.lines().any(|shown| shown == line), "{line} is not in {}", output.out);
    }
}

#[tokio::test]
async fn the_settings_that_are_shown_can_be_used_as_the_file() {
    let directory = tempdir().unwrap();
    let shown = run(directory.path(), &["config", "--ping-seconds=7"], &[]).await;
    std::fs::write(directory.path().join("again.toml"), &shown.out).unwrap();
    let again = run(directory.path(), &["config", "--config=again.toml"], &[]).await;
    assert_eq!(again, shown);
}

#[tokio::test]
async fn a_check_reads_the_database_and_reports_by_its_exit_code() {
    let directory = tempdir().unwrap();
    let good = ["check", "--dev", "--database=sqlite://presence.db?mode=rwc"];
    let output = run(directory.path(), &good, &[]).await;
    assert_eq!((output.code, output.err.as_str()), (Some(0), ""), "{output:?}");
    assert!(output.out.contains("database: ok"), "{output:?}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "a check changes nothing");
    let bad = ["check", "--dev", "--database=sqlite://nowhere/presence.db?mode=rwc"];
    run(directory.path(), &bad, &[]).await.failed(1, "does not exist");
}

#[tokio::test]
async fn a_check_names_wrong_settings_of_acme_and_warns_of_an_authority_that_cannot_be_reached() {
    let directory = tempdir().unwrap();
    let issuer = "--browserid-discovery=open";
    let acme = ["check", "--acme-domains=a.example.org", "--acme-terms-agreed", issuer];
    let with = async |more: &[&str]| run(directory.path(), &[&acme, more].concat(), &[]).await;
    let unreachable = "--acme-directory=https://127.0.0.1:1/directory";
    let output = with(&[unreachable]).await;
    assert_eq!((output.code, output.err.as_str()), (Some(0), ""), "{output:?}");
    assert!(output.out.contains("warning: acme_directory cannot be read:"), "{output:?}");
    with(&[unreachable, "--dev"]).await.failed(2, "acme_domains cannot be used in development");
    let files = ["--tls-certificate=a.pem", "--tls-key=b.pem", unreachable];
    with(&files).await.failed(2, "cannot be used with tls_certificate");
    let ca = ["--acme-directory-ca=nowhere.pem", unreachable];
    assert_failed_with(&with(&ca).await, "acme_directory_ca: nowhere.pem cannot be read");
    let alone = run(directory.path(), &["check", "--acme-contact=somebody@example.org"], &[]).await;
    alone.failed(2, "acme_contact must be given with acme_domains");
    let config = ["config", acme[1], acme[2], "--acme-contact=somebody@example.org"];
    let shown = run(directory.path(), &config, &[]).await;
    assert!(shown.out.contains("acme_contact = \"***\""), "{shown:?}");
    assert!(!shown.out.contains("somebody"), "{shown:?}");
}

/// Asserts that a check failed after its first lines as a start does, with this reason.
#[track_caller]
fn assert_failed_with(output: &CommandOutput, reason: &str) {
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.err.contains(reason), "{reason:?} is not in {output:?}");
}

#[tokio::test]
async fn a_check_does_not_disturb_a_running_server() {
    let server = Server::start_default().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let database = format!("--database=sqlite://{}", server.database().display());
    let arguments = ["check", "--dev", &database];
    let output = run(server.database().parent().unwrap(), &arguments, &[]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    device.report("unavailable").await;
}

#[tokio::test]
async fn the_assertion_command_prints_an_assertion_that_a_device_can_use() {
    let (server, directory) = (Server::start_default().await, tempdir().unwrap());
    let listen = format!("--listen={}", server.address());
    let arguments = ["assertion", "--email", &email("alice"), &listen];
    let output = run(directory.path(), &arguments, &[]).await;
    assert_eq!((output.code, output.err.as_str()), (Some(0), ""), "{output:?}");
    let mut device = Socket::device(&server).await;
    let hello =
        json!({"email": email("alice"), "assertion": output.out.trim(), "status": "online"});
    assert_eq!(device.ask(hello).await, json!({"result": "OK"}));
}

#[tokio::test]
async fn the_assertion_command_reports_a_failure_in_one_line() {
    let (server, directory) = (Server::start_default().await, tempdir().unwrap());
    let listen = format!("--listen={}", server.address());
    let unknown = ["assertion", "--email=alice@example.org", &listen];
    run(directory.path(), &unknown, &[]).await.failed(1, "");
    let unreachable = ["assertion", "--email=alice@dev.localhost", "--listen=127.0.0.1:1"];
    run(directory.path(), &unreachable, &[]).await.failed(1, "no server answers");
    let strict = Server::start(ServerOptions::default().production()).await;
    let listen = format!("--listen={}", strict.address());
    let forbidden = ["assertion", "--email=alice@dev.localhost", &listen];
    run(directory.path(), &forbidden, &[]).await.failed(1, "");
}

#[tokio::test]
async fn the_openapi_command_prints_the_document_that_a_server_serves() {
    let (server, directory) = (Server::start_default().await, tempdir().unwrap());
    let output = run(directory.path(), &["openapi"], &[]).await;
    let printed: Value = serde_json::from_str(&output.out).unwrap();
    let shown = server.call("GET", "/openapi.json").await.ok();
    assert_eq!(printed["paths"], shown["paths"]);
}

#[tokio::test]
async fn a_command_whose_output_nobody_reads_ends_quietly() {
    let directory = tempdir().unwrap();
    for arguments in [&["openapi"] as &[&str], &["config"], &["admin-token"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = run_with_output(directory.path(), arguments, &[], writer.into()).await;
        assert_eq!((output.code, output.err.as_str()), (Some(0), ""), "{arguments:?}: {output:?}");
    }
}

#[tokio::test]
async fn a_command_whose_output_cannot_be_written_fails() {
    let directory = tempdir().unwrap();
    for arguments in [&["admin-token"] as &[&str], &["--version"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = run_with_output(directory.path(), arguments, &[], full.into()).await;
        output.failed(1, "standard output cannot be written");
    }
}

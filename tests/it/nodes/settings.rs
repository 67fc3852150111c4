//! Settings that servers of one database must share.

use presence_test_postgres::Cluster;
use presence_tests::{CommandOutput, Server, ServerOptions, run};

/// Tries to start another server, which ends by itself.
async fn start(url: &str, settings: &[&str]) -> CommandOutput {
    let directory = tempfile::tempdir().unwrap();
    let mut arguments = vec!["--dev", "--listen=127.0.0.1:0", "--database", url];
    arguments.extend(settings);
    run(directory.path(), &arguments, &[]).await
}

#[tokio::test]
async fn a_server_with_other_settings_does_not_start_and_names_those_that_differ() {
    let url = Cluster::shared().create_database();
    let options = ServerOptions::default()
        .with("public-url", "http://localhost:7777")
        .with("browserid-issuers", "one.example,two.example")
        .with("receipt-hold-seconds", 30);
    let _server = Server::start(options.with_database(&url)).await;
    let same = ["--public-url=http://localhost:7777/", "--receipt-hold-seconds=30"];
    let issuers = "--browserid-issuers=two.example,one.example";
    let cases: [(&[&str], &str); 2] = [
        (
            &[same[0], same[1], issuers, "--grace-seconds=7"],
            "other settings: grace_seconds (7 here, 0.5 there)\n",
        ),
        (
            &[same[1], issuers, "--grace-seconds=0.5"],
            "other settings: public_url (not set here, http://localhost:7777/ there)\n",
        ),
    ];
    for (settings, reason) in cases {
        start(&url, settings).await.failed(1, reason);
    }
}

#[tokio::test]
async fn a_server_with_other_issuers_starts_with_a_warning_so_that_they_can_be_changed_one_by_one()
{
    let url = Cluster::shared().create_database();
    let options = ServerOptions::default().with_database(&url);
    let _one = Server::start(options.clone().with("browserid-issuers", "one.example")).await;
    let own = r#"[{"name": "own", "issuer": "https://own.example",
                   "client_ids": ["client"], "client_secret": "hidden", "email_domains": ["*"]}]"#;
    let other = options.with("browserid-issuers", "two.example").with("oidc-issuers", own);
    let other = Server::start(other).await;
    let log = other.wait_for_log("live.other_settings").await;
    assert!(log.contains("browserid_issuers (two.example here, one.example there)"), "{log}");
    assert!(log.contains("oidc_issuers (own https://own.example here, not set there)"), "{log}");
    assert!(!log.contains("hidden"), "{log}");
    let name = url.rsplit('/').next().unwrap();
    assert!(!Cluster::shared().run_sql(name, "SELECT settings FROM nodes").contains("hidden"));
}

#[tokio::test]
async fn the_settings_of_a_server_that_was_killed_do_not_count() {
    let options = ServerOptions::default().with_database(&Cluster::shared().create_database());
    let mut killed = Server::start(options.clone()).await;
    killed.kill().await;
    let server = Server::start(options.with("grace-seconds", 7)).await;
    server.sign_in("alice").await;
}

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
    let cases: [(&[&str], &str); 4] = [
        (
            &[same[0], same[1], issuers, "--grace-seconds=7"],
            "other settings: grace_seconds (7 here, 0.5 there)\n",
        ),
        (
            &[same[1], issuers, "--grace-seconds=0.5"],
            "other settings: public_url (not set here, http://localhost:7777/ there)\n",
        ),
        (
            &[same[0], same[1], "--browserid-issuers=one.example", "--grace-seconds=0.5"],
            "other settings: browserid_issuers (one.example here, one.example two.example there)\n",
        ),
        (
            &[
                same[0],
                same[1],
                issuers,
                "--grace-seconds=0.5",
                "--browserid-fallback=two.example",
                r#"--oidc-issuers=[{"name": "own", "issuer": "https://own.example",
                    "client_ids": ["client"], "client_secret": "hidden", "email_domains": ["*"]}]"#,
            ],
            "other settings: browserid_fallback (two.example here, not set there), \
             oidc_issuers (own https://own.example here, not set there)\n",
        ),
    ];
    for (settings, reason) in cases {
        let refused = start(&url, settings).await;
        refused.failed(1, reason);
        assert!(!refused.err.contains("hidden"), "{refused:?}");
    }
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

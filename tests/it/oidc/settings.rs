//! The settings of issuers, and the messages about wrong ones.

use presence_tests::{CommandOutput, run};
use serde_json::json;
use tempfile::tempdir;

use super::issuer::{OidcIssuer, issuer_settings};

const GOOD: &str = r#"
[[oidc_issuers]]
name = "google"
title = "Google"
issuer = "https://accounts.google.com"
issuer_aliases = ["accounts.google.com"]
client_ids = ["123.apps.googleusercontent.com"]
client_secret = "hush \"hush\""
email_domains = ["gmail.com"]
max_age_seconds = 3600

[[oidc_issuers]]
name = "accounts"
issuer = "https://accounts.example"
client_ids = ["abc"]
subject_domain = "accounts.example"
"#;

#[tokio::test]
async fn issuers_are_tables_of_the_file_and_secrets_are_not_shown() {
    let directory = tempdir().unwrap();
    std::fs::write(directory.path().join("presence.toml"), GOOD).unwrap();
    let shown = run(directory.path(), &["config", "--config=presence.toml"], &[]).await;
    assert_eq!((shown.code, shown.err.as_str()), (Some(0), ""), "{shown:?}");
    assert!(
        !shown.out.contains("hush") && shown.out.contains("client_secret = \"***\""),
        "{shown:?}"
    );
    assert!(shown.out.contains("issuer = \"https://accounts.google.com\""), "{shown:?}");
    std::fs::write(directory.path().join("again.toml"), &shown.out).unwrap();
    let again = run(directory.path(), &["config", "--config=again.toml"], &[]).await;
    assert_eq!(again, shown);
}

#[tokio::test]
async fn issuers_in_flags_and_the_environment_are_json() {
    let directory = tempdir().unwrap();
    let issuers =
        json!([issuer_settings("https://idp.example", &json!({"client_secret": "hush"}))])
            .to_string();
    let flag = format!("--oidc-issuers={issuers}");
    let by_flag = run(directory.path(), &["config", &flag], &[]).await;
    assert!(by_flag.out.contains("issuer = \"https://idp.example\""), "{by_flag:?}");
    assert!(!by_flag.out.contains("hush"), "{by_flag:?}");
    let environment = [("PRESENCE_OIDC_ISSUERS", issuers.as_str())];
    let by_environment = run(directory.path(), &["config"], &environment).await;
    assert_eq!(by_environment, by_flag);
}

#[tokio::test]
async fn invalid_issuers_are_reported_in_one_line_with_exit_code_2() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("presence.toml");
    for (from, to, wrong) in [
        ("title", "titel", "titel"),
        ("name = \"google\"", "", "name"),
        ("name = \"google\"", "name = \"Google!\"", "name must be"),
        ("name = \"google\"", "name = \"accounts\"", "two issuers have this name"),
        ("https://accounts.google.com", "http://accounts.google.com", "issuer must be"),
        ("[\"gmail.com\"]", "[]", "email_domains or subject_domain"),
        ("[\"gmail.com\"]", "[\"*\"]", "is also a domain of another issuer"),
        ("[\"gmail.com\"]", "[\"@gmail.com\"]", "email_domains must be"),
        ("max_age_seconds", "algorithms = [\"HS256\"]\nmax_age_seconds", "HS256"),
        ("max_age_seconds = 3600", "max_age_seconds = \"1h\"", "max_age_seconds"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        std::fs::write(&file, GOOD.replacen(from, to, 1)).unwrap();
        let output = run(directory.path(), &["config", "--config=presence.toml"], &[]).await;
        output.failed(2, wrong);
        assert!(!output.err.contains("hush"), "{output:?}");
    }
    std::fs::write(&file, "oidc_issuers = 7").unwrap();
    run(directory.path(), &["--config=presence.toml"], &[]).await.failed(2, "oidc_issuers");
    let flag = "--oidc-issuers=[{}]";
    run(directory.path(), &["config", flag], &[]).await.failed(2, "oidc-issuers");
}

#[tokio::test]
async fn plain_http_is_allowed_only_for_loopback_issuers_in_development_mode() {
    let directory = tempdir().unwrap();
    let issuer =
        |url: &str| format!("--oidc-issuers={}", json!([issuer_settings(url, &json!({}))]));
    for url in ["http://127.0.0.1:9", "http://localhost:9"] {
        run(directory.path(), &["config", &issuer(url)], &[]).await.failed(2, "https");
        let fine = run(directory.path(), &["config", "--dev", &issuer(url)], &[]).await;
        assert_eq!(fine.code, Some(0), "{fine:?}");
    }
    run(directory.path(), &["config", "--dev", &issuer("http://idp.example")], &[])
        .await
        .failed(2, "https");
}

#[tokio::test]
async fn a_check_reports_which_issuers_can_be_reached() {
    let directory = tempdir().unwrap();
    let issuer = OidcIssuer::start().await;
    let offline = json!({"sign_in": false});
    let good = format!("--oidc-issuers={}", json!([issuer.issuer_settings(&offline)]));
    let output = run(directory.path(), &["check", "--dev", &good], &[]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.out.contains("issuer idp: ok, 1 usable keys"), "{output:?}");
    let other = issuer.issuer_settings(&json!({"issuer": format!("{}/", issuer.url())}));
    let other = format!("--oidc-issuers={}", json!([other]));
    let output = run(directory.path(), &["check", "--dev", &other], &[]).await;
    assert_failed_with(
        &output,
        "issuer idp: the document is invalid, or belongs to another issuer",
    );
    issuer.publish(&[]);
    let output = run(directory.path(), &["check", "--dev", &good], &[]).await;
    assert_failed_with(&output, "issuer idp: has no key");
    let down = issuer_settings("http://127.0.0.1:1", &json!({"name": "gone"}));
    let both = format!("--oidc-issuers={}", json!([down, issuer.issuer_settings(&offline)]));
    let output = run(directory.path(), &["check", "--dev", &both], &[]).await;
    assert_failed_with(&output, "issuer gone: no connection");
    // A service asks no other party before its start.
    let output = run(directory.path(), &["check", "--offline", "--dev", &both], &[]).await;
    assert_eq!((output.code, output.err.as_str()), (Some(0), ""), "{output:?}");
    assert!(output.out.contains("database: ok") && output.out.contains("issuers: not asked"));
}

#[tokio::test]
async fn an_issuer_cannot_make_the_server_contact_a_private_network() {
    let directory = tempdir().unwrap();
    let issuer = OidcIssuer::start().await;
    let trusted = json!([issuer.issuer_settings(&json!({"sign_in": false}))]);
    let trusted = format!("--oidc-issuers={trusted}");
    for (url, why) in [
        ("https://10.0.0.1/keys", "an address that is not public"),
        ("https://169.254.169.254/keys", "an address that is not public"),
        ("http://192.168.0.1/keys", "the address must be https"),
    ] {
        issuer.publish_keys_url(url);
        let output = run(directory.path(), &["check", "--dev", &trusted], &[]).await;
        assert_failed_with(&output, why);
    }
}

/// Asserts that a check failed with a line that contains this text.
#[track_caller]
fn assert_failed_with(output: &CommandOutput, text: &str) {
    assert_eq!((output.code, output.err.lines().count()), (Some(1), 1), "{output:?}");
    assert!(output.err.contains(text), "{output:?}");
}

//! Credentials that end at one server are refused at another, which has just used them.

use std::process::Command;
use std::time::{Duration, Instant};

use presence_protocol::Errno;
use presence_test_postgres::Cluster;
use presence_tests::{Application, Server};
use serde_json::json;

use super::long_grace_time;
use crate::operation::metrics::Scrape;

/// The time after which a server that shows no life is dead.
const LEASE: Duration = Duration::from_secs(15);

/// The ways in which a server does not hear of changes.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// Its listening connection ends, and is opened again.
    Ended,
    /// The connection stays open, and nothing comes on it any more.
    Silent,
}

/// A process of PostgreSQL that is stopped until the end of the test.
struct StoppedBackend(String);

impl StoppedBackend {
    fn stop(pid: String) -> Self {
        signal("-STOP", &pid);
        Self(pid)
    }
}

impl Drop for StoppedBackend {
    fn drop(&mut self) {
        signal("-CONT", &self.0);
    }
}

fn signal(signal: &str, pid: &str) {
    assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
}

/// Returns the process of the connection on which the newest server of a database listens.
fn newest_listener(database: &str) -> String {
    let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
               AND query ILIKE 'LISTEN %' ORDER BY backend_start DESC LIMIT 1";
    Cluster::shared().run_sql(database, sql).trim().to_owned()
}

async fn presence(server: &Server, application: &Application) -> u16 {
    let path = format!("/apps/{}/presence", application.appid);
    server.call("GET", &path).bearer(&application.api_key).await.status
}

#[tokio::test]
async fn a_key_and_a_session_that_end_at_one_server_are_refused_at_another_that_hears_of_nothing() {
    for cut in [Cut::Ended, Cut::Silent] {
        let [one, two] = Server::start_sharing(long_grace_time().with_metrics()).await;
        let (application, alice, _) = one.application_with("alice").await;
        let devices = async || two.call("GET", "/devices").bearer(&alice.token).await;
        let place = r#"presence_credential_reads_total{place="cache"}"#;
        while Scrape::of(&two).await.count(place) < 4 {
            assert_eq!(presence(&two, &application).await, 200);
            assert_eq!(devices().await.status, 200);
        }
        let pid = newest_listener(&two.database_name());
        let _stopped = match cut {
            Cut::Ended => {
                let sql = format!("SELECT pg_terminate_backend({pid})");
                Cluster::shared().run_sql(&two.database_name(), &sql);
                None
            }
            Cut::Silent => Some(StoppedBackend::stop(pid)),
        };
        let keys = format!("/apps/{}/keys", application.appid);
        let id = application.owner.call("GET", &keys).await.ok()["keys"][0]["id"].clone();
        application.owner.call("DELETE", &format!("{keys}/{id}")).await.ok();
        one.call("DELETE", "/session").bearer(&alice.token).await.ok();
        // Without another look at the database they would be accepted for a minute.
        let begun = Instant::now();
        while presence(&two, &application).await != 401 {}
        while devices().await.status != 401 {}
        devices().await.assert_error(Errno::SessionExpired);
        assert!(begun.elapsed() < LEASE, "{cut:?}");
    }
}

#[tokio::test]
async fn the_key_of_a_removed_application_is_refused_where_nothing_but_the_key_was_used() {
    let [one, two] = Server::start_sharing(long_grace_time().with_metrics()).await;
    let (application, _, _) = one.application_with("alice").await;
    let path = format!("/apps/{}/notifications", application.appid);
    let item = json!({"uid": "0".repeat(32), "message": "Hello", "action": ""});
    let body = json!({"notifications": [item]});
    let send = async || two.call("POST", &path).bearer(&application.api_key).json(&body).await;
    let place = r#"presence_credential_reads_total{place="cache"}"#;
    while Scrape::of(&two).await.count(place) < 2 {
        assert_eq!(send().await.status, 200);
    }
    let app = format!("/apps/{}", application.appid);
    application.owner.call("DELETE", &app).await.ok();
    let begun = Instant::now();
    while send().await.status != 401 {}
    assert!(begun.elapsed() < LEASE);
}

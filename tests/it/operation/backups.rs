//! Backups: made while the server is busy, and restored.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use presence_tests::{Application, CommandOutput, Server, ServerOptions, StoppedServer, run};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const SENDERS: usize = 8;
/// The number of answered notifications before the backup begins, and the minimum while it runs.
const MIN_ANSWERED: usize = 100;

/// A sender that never stops, and the messages that were answered OK.
struct Load {
    application: Application,
    uids: Vec<String>,
    taken: tokio::sync::watch::Sender<Vec<String>>,
    over: AtomicBool,
}

impl Load {
    async fn send(&self, sender: usize) {
        for number in 0.. {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            let uid = &self.uids[number % self.uids.len()];
            let message = format!("{sender} {number}");
            let item = json!({"uid": uid, "message": message, "action": ""});
            let answer = self.application.notify(&json!([item])).await.ok();
            assert_eq!(answer["results"][0]["result"], "OK", "{answer}");
            self.taken.send_modify(|taken| taken.push(message));
        }
    }

    async fn wait_for_accepted(&self, count: usize) -> Vec<String> {
        let mut taken = self.taken.subscribe();
        taken.wait_for(|taken| taken.len() >= count).await.unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_holds_every_notification_that_was_answered_before_it() {
    let server = Server::start(without_rate_limits()).await;
    let owner = server.sign_in("developer").await;
    let application = server.application(&owner).await;
    let (mut users, mut uids) = (Vec::new(), Vec::new());
    for number in 0..60 {
        let user = server.sign_in(&format!("user{number}")).await;
        uids.push(user.grant(&application).await.to_string());
        users.push(user);
    }
    let taken = tokio::sync::watch::Sender::new(Vec::new());
    let load = Arc::new(Load { application, uids, taken, over: AtomicBool::new(false) });
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let load = Arc::clone(&load);
        senders.spawn(async move { load.send(sender).await });
    }
    let before = load.wait_for_accepted(MIN_ANSWERED).await;
    let output = back_up(&server, "backup.db").await;
    let meanwhile = load.taken.borrow().len() - before.len();
    // The server continues: no sender is blocked or refused.
    load.wait_for_accepted(before.len() + meanwhile + MIN_ANSWERED).await;
    load.over.store(true, Ordering::Relaxed);
    while let Some(done) = senders.join_next().await {
        done.unwrap();
    }
    assert_eq!((output.code, output.err.as_str()), (Some(0), ""), "{output:?}");
    assert!(output.out.starts_with("backup: backup.db, "), "{output:?}");

    let mut restored = Server::start_default().await;
    assert_eq!(restored.terminate().await, StoppedServer::With(0));
    std::fs::copy(server.database().with_file_name("backup.db"), restored.database()).unwrap();
    let url = format!("--database=sqlite://{}", restored.database().display());
    let checked = run(restored.database().parent().unwrap(), &["check", "--dev", &url], &[]).await;
    // The check reads every page.
    assert!(
        checked.code == Some(0) && checked.out.contains("database: ok, schema "),
        "{checked:?}"
    );
    restored.restart().await;
    let mut held = Vec::new();
    for user in &users {
        let account = restored.call("GET", "/account").bearer(&user.token).await.ok();
        let pending = account["notifications"].as_array().unwrap().clone();
        held.extend(pending.iter().map(message_text));
    }
    let lost: Vec<_> = before.iter().filter(|message| !held.contains(*message)).collect();
    assert!(lost.is_empty(), "answered OK before the backup, and not in it: {lost:?}");
}

#[tokio::test]
async fn a_backup_overwrites_no_file_and_reports_that_in_one_line() {
    let server = Server::start_default().await;
    assert_eq!(back_up(&server, "backup.db").await.code, Some(0));
    let first = std::fs::read(server.database().with_file_name("backup.db")).unwrap();
    server.sign_in("alice").await;
    back_up(&server, "backup.db").await.failed(1, "does not overwrite");
    back_up(&server, "nowhere/backup.db").await.failed(1, "cannot be written");
    back_up(&server, server.database().to_str().unwrap()).await.failed(1, "does not overwrite");
    assert!(std::fs::read(server.database().with_file_name("backup.db")).unwrap() == first);
    let missing = ["backup", "--database=sqlite://missing.db?mode=rwc", "--to=other.db"];
    let directory = server.database().parent().unwrap().to_owned();
    let refused = run(&directory, &missing, &[]).await;
    refused.failed(1, "does not exist: name it with --database, or its settings with --config");
    assert!(!directory.join("missing.db").exists() && !directory.join("other.db").exists());
}

#[tokio::test]
async fn a_check_reports_the_schema_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["check", "--dev", "--database=sqlite://presence.db?mode=rwc"];
    let output = run(directory.path(), &arguments, &[]).await;
    assert!(output.out.contains("empty; the server creates schema m0"), "{output:?}");
    assert!(!directory.path().join("presence.db").exists());
    let server = Server::start_default().await;
    let url = format!("--database=sqlite://{}", server.database().display());
    let output = run(directory.path(), &["check", "--dev", &url], &[]).await;
    assert!(output.out.contains("in use by a running server, schema m0"), "{output:?}");
}

/// Returns options without rate limits, with queues that hold all notifications.
fn without_rate_limits() -> ServerOptions {
    ServerOptions::default().with("notify-burst", 1_000_000).with("notify-per-second", 1_000_000)
}

async fn back_up(server: &Server, to: &str) -> CommandOutput {
    let database = format!("--database=sqlite://{}", server.database().display());
    let arguments = ["backup", "--to", to, &database];
    run(server.database().parent().unwrap(), &arguments, &[]).await
}

fn message_text(notification: &Value) -> String {
    notification["message"].as_str().unwrap().to_owned()
}

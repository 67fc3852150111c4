//! Tests of `presence-scenario`, the server for tests that are not written in Rust.

use std::process::Stdio;

use presence_tests::{TIMEOUT, server_binary};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

#[tokio::test]
async fn a_scenario_server_makes_users_and_applications_that_can_use_each_other() {
    let mut scenario = ScenarioProcess::open();
    scenario.start().await;
    let made = scenario.run(json!({"do": "application", "name": "Chat"})).await;
    let appid = made["appid"].as_str().unwrap();
    assert!(made["api_key"].as_str().unwrap().starts_with("prs_"), "{made}");
    let alice = json!({"do": "grant", "name": "alice", "appid": appid});
    let uid = scenario.run(alice.clone()).await["uid"].clone();
    assert_eq!(scenario.run(alice).await["uid"], uid);
    let sent = json!({"do": "notify", "appid": appid, "uid": uid, "message": "Lunch?"});
    assert!(scenario.run(sent.clone()).await["id"].is_string());
    let seen = scenario.run(json!({"do": "presence", "appid": appid, "uid": uid})).await;
    assert_eq!(seen["status"], "offline", "{seen}");
    for paused in [true, false] {
        let pause = json!({"do": "pause", "name": "alice", "appid": appid, "paused": paused});
        assert_eq!(scenario.run(pause).await, json!({}));
    }
    let revoke = json!({"do": "revoke", "name": "alice", "appid": appid});
    assert_eq!(scenario.run(revoke).await, json!({}));
    assert!(scenario.run(sent).await["error"].as_str().unwrap().contains("44"));
    let old = made["api_key"].clone();
    let new = scenario.run(json!({"do": "new_key", "appid": appid, "only": true})).await;
    assert_ne!(new["api_key"], old);
    for switch in ["deactivate", "activate"] {
        assert_eq!(scenario.run(json!({"do": switch, "appid": appid})).await, json!({}));
    }
}

#[tokio::test]
async fn a_scenario_server_signs_users_in_and_out() {
    let mut scenario = ScenarioProcess::open();
    scenario.start().await;
    let asked = json!({"do": "assertion", "name": "alice"});
    assert!(scenario.run(asked).await["assertion"].as_str().unwrap().contains('.'));
    let sign_in = json!({"do": "sign_in", "name": "alice", "scope": "device"});
    assert!(scenario.run(sign_in).await["token"].is_string());
    let sign_out = json!({"do": "sign_out", "name": "alice"});
    assert_eq!(scenario.run(sign_out.clone()).await, json!({}));
    assert_eq!(scenario.run(sign_out).await, json!({"error": "alice is not signed in"}));
    let end = json!({"do": "end_device", "name": "alice", "device": "phone"});
    assert!(scenario.run(end).await["error"].is_string(), "there is no such device");
}

#[tokio::test]
async fn a_scenario_server_restarts_at_the_same_address_and_keeps_its_fixtures() {
    let mut scenario = ScenarioProcess::open();
    let url = scenario.start().await;
    let made = scenario.run(json!({"do": "application", "name": "Chat"})).await;
    assert_eq!(scenario.run(json!({"do": "drain"})).await["url"], url);
    assert_eq!(scenario.run(json!({"do": "kill"})).await, json!({}));
    let asked = json!({"do": "assertion", "name": "alice"});
    assert_eq!(scenario.run(asked).await, json!({"error": "no server runs"}));
    assert_eq!(scenario.run(json!({"do": "restart"})).await["url"], url);
    assert_eq!(scenario.run(json!({"do": "restart"})).await, json!({"error": "the server runs"}));
    let granted = json!({"do": "grant", "name": "alice", "appid": made["appid"]});
    assert!(scenario.run(granted).await["uid"].is_string());
}

#[tokio::test]
async fn a_failed_command_gets_an_error_and_the_next_one_is_served() {
    let mut scenario = ScenarioProcess::open();
    let invalid_start = json!({"do": "start", "flags": {"no-such-flag": 1}});
    for wrong in [json!("kill"), json!({"do": "fly"}), json!({"do": "kill"}), invalid_start] {
        let answer = scenario.run(wrong.clone()).await;
        assert!(!answer["error"].as_str().unwrap().is_empty(), "{wrong}: {answer}");
    }
    scenario.start().await;
}

#[tokio::test]
async fn the_end_of_the_input_stops_the_scenario_program_and_its_server() {
    let mut scenario = ScenarioProcess::open();
    let url = scenario.start().await;
    let ScenarioProcess { input, mut process, .. } = scenario;
    drop(input);
    let ended = timeout(TIMEOUT, process.wait()).await.unwrap().unwrap();
    assert!(ended.success(), "{ended}");
    expect_port_to_close(&url).await;
}

#[tokio::test]
async fn a_test_that_ends_early_leaves_no_server_behind() {
    let mut scenario = ScenarioProcess::open();
    let url = scenario.start().await;
    drop(scenario);
    expect_port_to_close(&url).await;
}

/// Waits until the server at a URL accepts no connection. The server is killed and not awaited, so
/// its port may stay open for a moment.
async fn expect_port_to_close(url: &Value) {
    let address = url.as_str().unwrap().trim_start_matches("http://");
    let closed = async { while TcpStream::connect(address).await.is_ok() {} };
    timeout(TIMEOUT, closed).await.unwrap();
}

/// A running scenario program. It is not killed at its drop, because its server would go on; the
/// end of its input ends both.
struct ScenarioProcess {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    process: Child,
}

impl ScenarioProcess {
    fn open() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_presence-scenario"))
            .env("PRESENCE_TEST_SERVER", server_binary())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { input, output, process }
    }

    async fn start(&mut self) -> Value {
        let flags = json!({"session-seconds": "60", "grace-seconds": 1});
        let url = self.run(json!({"do": "start", "flags": flags})).await["url"].clone();
        assert!(url.as_str().unwrap().starts_with("http://127.0.0.1:"), "{url}");
        url
    }

    async fn run(&mut self, command: Value) -> Value {
        self.input.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        let line = timeout(2 * TIMEOUT, self.output.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("no answer to {command}")).unwrap();
        let line = line.unwrap_or_else(|| panic!("the scenario server ended at {command}"));
        serde_json::from_str(&line).unwrap()
    }
}

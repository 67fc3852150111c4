//! With the log in JSON, all that the server prints is JSON, and only then. Other commands print
//! text.

use std::process::Stdio;

use presence_tests::{CommandOutput, TIMEOUT, child_command, run, server_binary};
use serde_json::Value;
use tempfile::tempdir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

const JSON: &str = "--log-format=json";

/// Runs a command that fails, and returns its only line as an object.
async fn fail(arguments: &[&str], environment: &[(&str, &str)], file: &str) -> Value {
    let directory = tempdir().unwrap();
    std::fs::write(directory.path().join("presence.toml"), file).unwrap();
    let output = run(directory.path(), arguments, environment).await;
    let CommandOutput { code, out, err } = &output;
    assert!(code.is_some_and(|code| code > 0) && out.is_empty(), "{output:?}");
    serde_json::from_str(err).unwrap_or_else(|_| panic!("no JSON: {output:?}"))
}

#[tokio::test]
async fn the_reason_of_a_failure_is_in_the_format_of_the_log() {
    let file = ["--config", "presence.toml"];
    let in_environment = [("PRESENCE_LOG_FORMAT", "json")];
    for (arguments, environment, file, reason) in [
        (&[JSON, "--lisen=x"][..], &[][..], "", "did you mean --listen"),
        (&["serv", "--log-format", "json"], &[], "", "did you mean serve"),
        (&["--lisen=x"], &in_environment, "", "did you mean --listen"),
        (&file, &[], "log_format = \"json\"\nlisen = 1\n", "did you mean listen"),
        (&file, &[], "log_format = \"json\"\n", "nobody can sign in"),
        (&["--dev", JSON, "--database=sqlite://nowhere/x.db?mode=rwc"], &[], "", "nowhere"),
        (&["serve", "--dev", "--config=nowhere.toml", JSON], &[], "", "does not exist"),
    ] {
        let line = fail(arguments, environment, file).await;
        assert_eq!((&line["level"], &line["target"]), (&"ERROR".into(), &"presence_server".into()));
        let message = line["fields"]["message"].as_str().unwrap();
        assert!(message.contains(reason) && line["timestamp"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn the_reason_of_a_failure_is_a_plain_line_otherwise() {
    let directory = tempdir().unwrap();
    let json = [("PRESENCE_LOG_FORMAT", "json")];
    for (arguments, environment) in [
        (&["--lisen=x"][..], &[][..]),
        (&["--lisen=x", "--log-format=pretty"], &json),
        (&["--dev", "--log-format=pretty", "--database=sqlite://nowhere/x.db?mode=rwc"], &json),
        // The lines of other commands are for a person.
        (&["backup", "--to=/nowhere/x"], &json),
        (&["check", JSON, "--database=sqlite://nowhere/x.db?mode=rwc", "--dev"], &json),
        (&["check", JSON, "--lisen=x"], &json),
    ] {
        let output = run(directory.path(), arguments, environment).await;
        assert!(output.err.starts_with("presence-server: "), "{output:?}");
    }
}

#[tokio::test]
async fn each_line_of_a_running_server_is_json() {
    let directory = tempdir().unwrap();
    let mut command = child_command(server_binary());
    command.args(["--dev", "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0"]);
    command.args([JSON, "--log=debug", "--access-log", "--drain-seconds=0"]);
    command.current_dir(directory.path()).stdin(Stdio::null());
    let mut server = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut announced = BufReader::new(server.stdout.take().unwrap()).lines();
    let mut lines = Vec::new();
    while !lines.iter().any(|line: &String| line.contains("Next: open")) {
        let line = timeout(TIMEOUT, announced.next_line()).await.unwrap().unwrap();
        lines.push(line.unwrap_or_else(|| panic!("the server ended: {lines:?}")));
    }
    let pid = server.id().unwrap().to_string();
    Command::new("sh").args(["-c", "kill -s TERM \"$0\"", &pid]).status().await.unwrap();
    let output = timeout(TIMEOUT, server.wait_with_output()).await.unwrap().unwrap();
    assert!(output.status.success());
    let logged = String::from_utf8(output.stderr).unwrap();
    assert!(logged.contains("stopping") && lines.len() >= 4, "{lines:?}\n{logged}");
    for line in lines.iter().map(String::as_str).chain(logged.lines()) {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(object["fields"]["message"].is_string() && object["level"].is_string(), "{line}");
    }
}

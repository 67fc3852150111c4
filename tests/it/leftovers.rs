//! Programs under test do not outlive the test process.

use std::process::Stdio;
use std::time::Duration;

use presence_tests::{TIMEOUT, child_command};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

/// The argument that makes this test program start a child and wait, as a test would.
const PARENT: &str = "PRESENCE_TEST_PARENT";

#[tokio::test]
async fn a_killed_test_process_leaves_no_program_behind() {
    if std::env::var_os(PARENT).is_some() {
        return wait_with_a_child().await;
    }
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("leftovers::a_killed_test_process_leaves_no_program_behind")
        .env(PARENT, "yes")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let number = async {
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            if let Some((_, number)) = line.split_once("child ") {
                return number.to_owned();
            }
        }
    };
    let number = timeout(TIMEOUT, number).await.unwrap();
    let started = async {
        // Until then, the program is the one that sets the signal.
        while std::fs::read_to_string(format!("/proc/{number}/comm")).unwrap() != "sleep\n" {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(TIMEOUT, started).await.unwrap();
    assert!(is_running(&number));
    parent.kill().await.unwrap();
    let ended = async {
        while is_running(&number) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(TIMEOUT, ended).await.unwrap_or_else(|_| panic!("{number} is running"));
}

#[expect(clippy::print_stdout, reason = "the test reads the number")]
async fn wait_with_a_child() {
    let mut child = child_command("sleep").arg("600").spawn().unwrap();
    println!("child {}", child.id().unwrap());
    child.wait().await.unwrap();
}

/// Returns true if the process exists and has not ended. A process that has ended keeps its entry
/// until its new parent reads its status.
fn is_running(number: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{number}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

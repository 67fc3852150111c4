//! A short run of the correctness check on two servers: times, and rounds with a killed server and
//! failures of PostgreSQL. Unlike a benchmark it has a verdict at any speed.

use std::process::Command;

use serde_json::Value;

#[test]
fn applications_see_exactly_what_devices_report_while_servers_and_postgresql_fail() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("results.json");
    let run = Command::new(env!("CARGO_BIN_EXE_presence-bench"))
        .args(["correctness", "--smoke", "--json"])
        .arg(&file)
        // The server is built first, because the binary beside this program may be an old one.
        .env("PRESENCE_TEST_SERVER", presence_tests::server_binary())
        .output()
        .unwrap();
    let (output, errors) =
        (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{output}{errors}");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let run = &report["runs"][0];
    assert_eq!((&run["servers"], &run["right"]), (&2.into(), &true.into()), "{run}");
    let rounds = run["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 4, "{rounds:?}");
    assert!(rounds.iter().all(|round| round["changes"].as_u64() > Some(0)), "{rounds:?}");
    assert_eq!(run["rows"].as_array().unwrap().len(), 4, "{run}");
}

//! A short run over all rows that checks that the benchmark works. It checks the arithmetic and not
//! the machine's speed: gates are not enforced here.
#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a test panics if it cannot continue"
)]

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The rows that the README describes.
const WHAT: [&str; 37] = [
    "status → OK",
    "status → OK, beside tokio-tungstenite",
    "status → OK, by the clock",
    "status → OK, p99",
    "connect, handshake, first status",
    "connect, handshake, first status, beside tokio-tungstenite",
    "an idle device with a grant, all connected",
    "an idle device with a grant, as they come",
    "an idle device, as they come, beside tokio-tungstenite",
    "a device that has left, beside one that is connected",
    "an idle device with a grant over TLS",
    "statuses of others while thousands of devices come back, p99",
    "16,000 devices come back, 2,000 a second: the last one is back after",
    "a device that comes back, with the statuses of others",
    "one status → 100 sockets",
    "one status → 100 sockets, beside tokio-tungstenite",
    "one status → 100 sockets, the last, p99",
    "20 statuses at once → 100 sockets",
    "20 statuses at once → 100 sockets, beside tokio-tungstenite",
    "10 statuses at once → 10 sockets, the last, p99",
    "many users → one socket",
    "many users → one socket, beside tokio-tungstenite",
    "many users → one socket, by the clock",
    "many users → one socket, reported updates that arrive",
    "backlog at the end",
    "an update each 50 µs → one socket",
    "an update each 50 µs → one socket, beside tokio-tungstenite",
    "durable notify, group commit beside a commit each",
    "durable notify, beside bare SQLite with a commit each",
    "durable notify, p99",
    "durable notify, CPU",
    "a notification by HTTP, on disk",
    "100 notifications by HTTP, on disk, each",
    "a poll of one user",
    "GET /devices",
    "GET /grants",
    "a server at its file limit",
];

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().filter_map(Value::as_f64).collect()
}

/// The median of two values is their mean, and there are two rounds here.
fn middle(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn is_near(one: &Value, other: f64) -> bool {
    one.as_f64().is_some_and(|one| (one - other).abs() <= 1e-9 * other.abs().max(1.0))
}

/// Runs the benchmark with small sizes. Returns what it printed, and the results.
fn run(mode: &str, directory: &Path, further: &[&OsStr]) -> (String, Value) {
    let file = directory.join("results.json");
    let run = Command::new(env!("CARGO_BIN_EXE_presence-bench"))
        .args([mode, "--smoke", "--json"])
        .arg(&file)
        .args(further)
        // The server is built first, because the binary beside this program may be an old one.
        .env("PRESENCE_TEST_SERVER", presence_tests::server_binary())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{output}{}", String::from_utf8_lossy(&run.stderr));
    let report = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    (output, report)
}

#[test]
fn every_row_is_measured_and_its_medians_and_ratios_are_those_of_its_rounds() {
    let directory = tempfile::tempdir().unwrap();
    let (output, report) = run("all", directory.path(), &[]);
    let findings = report["findings"].as_array().unwrap();
    let whats: Vec<&str> = findings.iter().map(|it| it["what"].as_str().unwrap()).collect();
    assert_eq!(whats, WHAT);
    for finding in findings {
        let (what, measured) = (finding["what"].as_str().unwrap(), numbers(&finding["measured"]));
        assert!(
            !measured.is_empty() && is_near(&finding["ours_median"], middle(&measured)),
            "{finding}"
        );
        // A backlog may be zero, and a few devices may fit into memory that was free already. All
        // other values are positive.
        let may_be_none = ["backlog", "an idle device", "a device that has left"];
        let may_be_none = may_be_none.iter().any(|start| what.starts_with(start));
        assert!(may_be_none || measured.iter().all(|value| *value > 0.0), "{finding}");
        let baseline = numbers(&finding["baseline"]);
        if baseline.is_empty() {
            continue;
        }
        let ratios: Vec<f64> = measured
            .iter()
            .zip(&baseline)
            .map(|(measured, baseline)| measured / baseline)
            .collect();
        if ratios.iter().all(|ratio| ratio.is_finite()) {
            assert!(is_near(&finding["ratio"], middle(&ratios)), "{finding}");
        }
        assert!(output.contains(&format!("| {what} |")), "{what} is not in the table");
    }
}

/// The curves that the README describes.
const CURVES: [&str; 22] = [
    "users",
    "idle",
    "connections",
    "grants",
    "grants-told",
    "applications",
    "applications-at-once",
    "snapshot",
    "snapshot-time",
    "snapshot-wait",
    "threads",
    "threads-one-application",
    "threads-many-applications",
    "expiry",
    "expiry-wait",
    "purge",
    "database-change",
    "database-connect",
    "database-poll",
    "database-notify",
    "database-start",
    "database-start-time",
];

#[test]
fn every_curve_is_measured_at_growing_sizes_and_drawn() {
    let directory = tempfile::tempdir().unwrap();
    let pictures = directory.path().join("pictures");
    let (output, report) =
        run("curves", directory.path(), &["--pictures".as_ref(), pictures.as_os_str()]);
    let curves = report["curves"].as_array().unwrap();
    let names: Vec<&str> = curves.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, CURVES);
    for curve in curves {
        let name = curve["name"].as_str().unwrap();
        let points = curve["points"].as_array().unwrap();
        let sizes: Vec<u64> = points.iter().filter_map(|it| it["size"].as_u64()).collect();
        assert!(sizes.len() > 1 && sizes.is_sorted_by(|one, other| one < other), "{curve}");
        for point in points {
            let rounds = numbers(&point["rounds"]);
            assert!(!rounds.is_empty() && is_near(&point["cost"], middle(&rounds)), "{curve}");
        }
        assert!(output.contains(&format!("| {name}: ")), "{name} is not in the table");
        let picture = std::fs::read_to_string(pictures.join(format!("{name}.svg"))).unwrap();
        assert!(picture.starts_with("<svg") && picture.ends_with("</svg>\n"), "{picture}");
    }
}

#[test]
fn the_comparison_with_peers_names_the_programs_that_it_needs() {
    let bench = || Command::new(env!("CARGO_BIN_EXE_presence-bench"));
    for arguments in [&["peers"][..], &["peers", "--centrifugo", "file"], &["peers", "nonsense"]] {
        let run = bench().args(arguments).output().unwrap();
        assert_eq!(run.status.code(), Some(2), "{arguments:?}");
        let output = String::from_utf8_lossy(&run.stderr);
        assert!(output.contains("--centrifugo FILE --uwebsockets FOLDER"), "{output}");
    }
}

#[test]
fn an_unknown_row_is_reported_with_the_known_rows() {
    let run = Command::new(env!("CARGO_BIN_EXE_presence-bench")).arg("nonsense").output().unwrap();
    assert_eq!(run.status.code(), Some(2));
    let output = String::from_utf8_lossy(&run.stderr);
    assert!(
        ["status", "fan-in", "file-limit", "sdk"].iter().all(|row| output.contains(row)),
        "{output}"
    );
}

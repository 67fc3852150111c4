//! The allowed dependencies between the crates of the workspace, compared with the metadata of
//! cargo.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// The crates of the workspace, with the workspace crates that each depends on.
const WORKSPACE: [(&str, &[&str]); 13] = [
    ("presence-protocol", &[]),
    ("presence-client", &["presence-protocol"]),
    ("presence-bindings", &["presence-client"]),
    ("presence-bindgen", &[]),
    ("presence-examples", &["presence-client"]),
    ("presence-core", &["presence-protocol"]),
    ("presence-identity", &["presence-core"]),
    ("presence-store", &["presence-core", "presence-protocol"]),
    (
        "presence-service",
        &["presence-core", "presence-identity", "presence-protocol", "presence-store"],
    ),
    (
        "presence-server",
        &["presence-core", "presence-identity", "presence-protocol", "presence-service"],
    ),
    ("presence-tests", &["presence-client", "presence-protocol", "presence-test-postgres"]),
    ("presence-test-postgres", &[]),
    ("presence-bench", &["presence-client", "presence-test-postgres", "presence-tests"]),
];

/// Workspace crates whose external dependencies are exactly these.
const EXTERNAL: [(&str, &[&str]); 2] = [
    ("presence-protocol", &["serde", "serde_json", "thiserror"]),
    (
        "presence-core",
        &["hashbrown", "serde", "thiserror", "unicode-normalization", "unicode-security"],
    ),
];

/// External crates that only these workspace crates may use.
const ONLY_IN: [(&str, &[&str]); 13] = [
    ("askama", &["presence-server"]),
    ("sea-orm", &["presence-store"]),
    ("sea-orm-migration", &["presence-store"]),
    // The chat room is a web server itself, and the library is compiled for the server anyway.
    ("poem", &["presence-examples", "presence-server"]),
    ("poem-openapi", &["presence-server"]),
    (
        "tokio-tungstenite",
        &["presence-bench", "presence-client", "presence-server", "presence-tests"],
    ),
    ("reqwest", &["presence-identity", "presence-server", "presence-tests"]),
    (
        "aws-lc-rs",
        &[
            "presence-bench",
            "presence-identity",
            "presence-server",
            "presence-service",
            "presence-tests",
        ],
    ),
    ("instant-acme", &["presence-server"]),
    ("clap", &["presence-server"]),
    ("uniffi", &["presence-bindings"]),
    ("uniffi_bindgen", &["presence-bindgen"]),
    ("sqlx", &["presence-bench", "presence-store", "presence-tests"]),
];

#[test]
fn workspace_crates_depend_on_each_other_as_listed() {
    let uses = uses();
    for (name, expected) in WORKSPACE {
        let ours: BTreeSet<&str> = uses[name]
            .iter()
            .map(String::as_str)
            .filter(|used| used.starts_with("presence-"))
            .collect();
        assert_eq!(ours, expected.iter().copied().collect(), "{name}");
    }
}

#[test]
fn the_lowest_crates_have_only_the_listed_external_dependencies() {
    let uses = uses();
    for (name, expected) in EXTERNAL {
        let others: BTreeSet<&str> = uses[name]
            .iter()
            .map(String::as_str)
            .filter(|used| !used.starts_with("presence-"))
            .collect();
        assert_eq!(others, expected.iter().copied().collect(), "{name}");
    }
}

#[test]
fn restricted_external_crates_are_used_only_where_listed() {
    let uses = uses();
    for (external, users) in ONLY_IN {
        for (name, used) in &uses {
            let allowed =
                users.contains(&name.as_str()) || !WORKSPACE.iter().any(|(ours, _)| ours == name);
            assert!(allowed || !used.contains(external), "{name} uses {external}");
        }
    }
}

/// Returns the normal dependencies of each crate of the workspace.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let normal = package["dependencies"].as_array().unwrap().iter();
            let normal = normal.filter(|dependency| dependency["kind"].is_null());
            (name(package), normal.map(name).collect())
        })
        .collect()
}

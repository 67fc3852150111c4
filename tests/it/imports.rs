//! The allowed imports between the crates of the workspace: a table that is compared with cargo's
//! metadata.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Our crates and the ones of ours that each uses.
const OURS: [(&str, &[&str]); 12] = [
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
    ("presence-tests", &["presence-client", "presence-protocol"]),
    ("presence-bench", &["presence-client", "presence-tests"]),
];

/// Crates that use nothing of others but these.
const ALL_OF_OTHERS: [(&str, &[&str]); 2] = [
    ("presence-protocol", &["serde", "serde_json", "thiserror"]),
    ("presence-core", &["thiserror"]),
];

/// Crates of others that only these of ours use.
const ONLY_IN: [(&str, &[&str]); 12] = [
    ("askama", &["presence-server"]),
    ("sea-orm", &["presence-store"]),
    ("sea-orm-migration", &["presence-store"]),
    // The chat room is a web server of its own, and the library is compiled for the server in any
    // case.
    ("poem", &["presence-examples", "presence-server"]),
    ("poem-openapi", &["presence-server"]),
    (
        "tokio-tungstenite",
        &["presence-bench", "presence-client", "presence-server", "presence-tests"],
    ),
    ("reqwest", &["presence-identity", "presence-server", "presence-tests"]),
    ("aws-lc-rs", &["presence-bench", "presence-identity", "presence-service", "presence-tests"]),
    ("clap", &["presence-server"]),
    ("uniffi", &["presence-bindings"]),
    ("uniffi_bindgen", &["presence-bindgen"]),
    ("sqlx", &["presence-bench", "presence-tests"]),
];

#[test]
fn our_crates_use_each_other_in_one_direction() {
    let uses = uses();
    for (name, wanted) in OURS {
        let ours: BTreeSet<&str> = uses[name]
            .iter()
            .map(String::as_str)
            .filter(|used| used.starts_with("presence-"))
            .collect();
        assert_eq!(ours, wanted.iter().copied().collect(), "{name}");
    }
}

#[test]
fn the_crates_at_the_bottom_use_next_to_nothing() {
    let uses = uses();
    for (name, wanted) in ALL_OF_OTHERS {
        let others: BTreeSet<&str> = uses[name]
            .iter()
            .map(String::as_str)
            .filter(|used| !used.starts_with("presence-"))
            .collect();
        assert_eq!(others, wanted.iter().copied().collect(), "{name}");
    }
}

#[test]
fn what_belongs_to_one_room_is_used_there_only() {
    let uses = uses();
    for (crate_of_others, rooms) in ONLY_IN {
        for (name, used) in &uses {
            let allowed =
                rooms.contains(&name.as_str()) || !OURS.iter().any(|(ours, _)| ours == name);
            assert!(allowed || !used.contains(crate_of_others), "{name} uses {crate_of_others}");
        }
    }
}

/// The normal dependencies of each crate of the workspace.
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

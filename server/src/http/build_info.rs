//! What runs: as the build was told, or as the file of a container says.

use std::path::Path;

use poem_openapi::Object;
use poem_openapi::types::Example;
use serde::Deserialize;

/// The version of this server.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that the build was told.
pub(crate) fn commit() -> &'static str {
    option_env!("PRESENCE_COMMIT").unwrap_or_default()
}

/// What runs.
#[derive(Object, Deserialize)]
#[oai(rename = "Version", example)]
#[serde(default)]
pub(super) struct BuildInfo {
    /// Where the source is.
    source: String,
    /// The version.
    version: String,
    /// The commit it was built from, where the build said so.
    commit: String,
    /// The build, where it said so.
    build: String,
}

impl Example for BuildInfo {
    fn example() -> Self {
        Self {
            source: "https://code.example.org/presence".to_owned(),
            version: VERSION.to_owned(),
            commit: "2f1a9c0d7e4b5a6c8d3e9f0a1b2c3d4e5f6a7b8c".to_owned(),
            build: "https://ci.example.org/builds/7".to_owned(),
        }
    }
}

impl Default for BuildInfo {
    fn default() -> Self {
        let told = |value: Option<&str>| value.unwrap_or_default().to_owned();
        Self {
            source: told(option_env!("PRESENCE_SOURCE")),
            version: VERSION.to_owned(),
            commit: commit().to_owned(),
            build: told(option_env!("PRESENCE_BUILD")),
        }
    }
}

impl BuildInfo {
    /// What a file says; where there is none that can be read, and for each field that it leaves out, what the build was told.
    pub(super) fn of(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }
}

//! The version of the running server, from the configuration of the build or from a file of the
//! container.

use std::path::Path;

use poem_openapi::Object;
use poem_openapi::types::Example;
use serde::Deserialize;

/// The version of this server.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Returns the commit that the build was configured with.
pub(crate) fn commit() -> &'static str {
    option_env!("PRESENCE_COMMIT").unwrap_or_default()
}

/// The version of the server.
#[derive(Object, Deserialize)]
#[oai(rename = "Version", example)]
#[serde(default)]
pub(super) struct BuildInfo {
    /// The URL of the source.
    source: String,
    /// The version.
    version: String,
    /// The commit, if the build was configured with it.
    commit: String,
    /// The URL of the build, if the build was configured with it.
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
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        Self {
            source: text(option_env!("PRESENCE_SOURCE")),
            version: VERSION.to_owned(),
            commit: commit().to_owned(),
            build: text(option_env!("PRESENCE_BUILD")),
        }
    }
}

impl BuildInfo {
    /// Reads the version from a file. The configuration of the build replaces a file that cannot
    /// be read, and each field that the file leaves out.
    pub(super) fn of(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }
}

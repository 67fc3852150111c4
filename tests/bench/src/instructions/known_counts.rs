//! The counts of before, in a file of the repository.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The part by which a path may need more instructions than known: other compilers of C and other
/// processors change the libraries in C by some percent.
pub(super) const TOLERANCE: f64 = 0.05;

/// The profile of this program, and so of the server that it counts.
const PROFILE: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

/// The counts by path, by profile.
pub(super) struct KnownCounts(BTreeMap<String, BTreeMap<String, u64>>);

impl KnownCounts {
    pub(super) fn read() -> Self {
        let text = std::fs::read_to_string(file()).unwrap();
        Self(serde_json::from_str(&text).unwrap())
    }

    /// Replaces the count of a path. Returns the one before, if there was one.
    pub(super) fn replace(&mut self, path: &str, count: u64) -> Option<u64> {
        self.0.entry(PROFILE.to_owned()).or_default().insert(path.to_owned(), count)
    }

    pub(super) fn write(&self) {
        std::fs::write(file(), serde_json::to_string_pretty(&self.0).unwrap() + "\n").unwrap();
    }
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("instructions.json")
}

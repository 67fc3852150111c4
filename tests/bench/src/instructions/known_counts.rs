//! The counts of before, in a file of the repository.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The part by which a path may need more instructions than known. The order in which threads run
/// changes a count by some percent, and so do other compilers of the libraries in C.
pub(super) const TOLERANCE: f64 = 0.1;

/// The profile of this program, and so of the server that it counts.
const PROFILE: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

/// The counts by path, by architecture and profile.
pub(super) struct KnownCounts(BTreeMap<String, BTreeMap<String, u64>>);

impl KnownCounts {
    pub(super) fn read() -> Self {
        let text = std::fs::read_to_string(file()).unwrap();
        Self(serde_json::from_str(&text).unwrap())
    }

    /// Returns true if no count of this architecture and profile is known.
    pub(super) fn is_empty(&self) -> bool {
        !self.0.contains_key(&kind())
    }

    /// Replaces the count of a path. Returns the one before, if there was one.
    pub(super) fn replace(&mut self, path: &str, count: u64) -> Option<u64> {
        self.0.entry(kind()).or_default().insert(path.to_owned(), count)
    }

    pub(super) fn write(&self) {
        std::fs::write(file(), serde_json::to_string_pretty(&self.0).unwrap() + "\n").unwrap();
    }
}

/// Returns the kind of counts that can be compared with those of this program.
fn kind() -> String {
    format!("{PROFILE}, {}", std::env::consts::ARCH)
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("instructions.json")
}

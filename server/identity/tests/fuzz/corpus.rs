//! The corpus of the fuzz tests.

use std::path::Path;

use presence_core::UnixMillis;
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct CorpusFile {
    vectors: Vec<CorpusVector>,
}

/// A test vector: an assertion and the configuration of its verifier.
#[derive(Deserialize)]
pub(crate) struct CorpusVector {
    pub(crate) assertion: String,
    pub(crate) audience: String,
    pub(crate) now_ms: UnixMillis,
    pub(crate) issuer_keys: Map<String, Value>,
    #[serde(default)]
    pub(crate) trusted_issuers: Vec<String>,
    pub(crate) fallback: Option<String>,
    expected: CorpusExpectation,
}

#[derive(Deserialize)]
struct CorpusExpectation {
    reason: Option<String>,
}

impl CorpusVector {
    /// Returns true if the signatures are valid, so that at most the signed claims are wrong.
    pub(crate) fn has_valid_signatures(&self) -> bool {
        let reason = self.expected.reason.as_deref();
        !matches!(reason, Some("bad_signature" | "alg_mismatch" | "bad_key"))
    }
}

/// Returns all vectors of assertions.
pub(crate) fn vectors() -> Vec<CorpusVector> {
    let file: CorpusFile =
        serde_json::from_str(include_str!("../../vectors/browserid.json")).unwrap();
    file.vectors
}

/// Returns the corpus files with this name prefix, sorted by name.
pub(crate) fn files(prefix: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let mut paths: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(prefix))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no {prefix}* in the corpus");
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

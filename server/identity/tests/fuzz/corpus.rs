//! What the search starts from.

use std::path::Path;

use presence_core::UnixMillis;
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct CorpusFile {
    vectors: Vec<CorpusVector>,
}

/// A test vector: an assertion and whom it is put to.
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
    /// Whether those who may have signed it, so that only what they say is wrong, if anything.
    pub(crate) fn is_genuine(&self) -> bool {
        let reason = self.expected.reason.as_deref();
        !matches!(reason, Some("bad_signature" | "alg_mismatch" | "bad_key"))
    }
}

/// All vectors of assertions.
pub(crate) fn vectors() -> Vec<CorpusVector> {
    let file: CorpusFile =
        serde_json::from_str(include_str!("../../vectors/browserid.json")).unwrap();
    file.vectors
}

/// The files whose names begin so, in the order of their names.
pub(crate) fn files(beginning: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let mut paths: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(beginning))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no {beginning}* in the corpus");
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

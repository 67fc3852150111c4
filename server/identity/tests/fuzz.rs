//! Fuzz tests of the parsers of untrusted input: assertions, support documents, keys, audiences.
//!
//! The inputs are mutations of a corpus: the test vectors and the files in `fuzz/corpus`. The seed
//! and the number of rounds are fixed, so each run is the same. A longer run with another seed:
//!
//! ```sh
//! FUZZ_SEED=7 FUZZ_ROUNDS=1000000 cargo test --release -p presence-identity --test fuzz
//! ```
//!
//! Promised for every input: no panic, a result in time, and no acceptance of unsigned input.
#![cfg(feature = "browserid-dsa")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

#[path = "fuzz/corpus.rs"]
mod corpus;
#[path = "fuzz/mutation.rs"]
mod mutation;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use presence_identity::browserid::{
    Audience, BrowserId, PinnedKeys, Policy, PublicKey, SupportDocument,
};
use presence_identity::{Dispatcher, Verifier as _};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use corpus::{CorpusVector, files, vectors};

/// The time limit of one input, on a very slow machine.
const INPUT_TIMEOUT: Duration = Duration::from_mins(1);

#[expect(clippy::disallowed_methods, reason = "the environment selects the number of rounds")]
fn rounds(default: u64) -> u64 {
    std::env::var("FUZZ_ROUNDS").map_or(default, |text| text.parse().unwrap())
}

#[expect(clippy::disallowed_methods, reason = "the environment selects the seed")]
fn seeded_rng() -> Xoshiro256PlusPlus {
    let seed = std::env::var("FUZZ_SEED").map_or(1, |text| text.parse().unwrap());
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

/// The number of panics, also of those on other threads, which the server reports as rejections.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn count_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
}

/// The signing inputs that an accepted key has signed.
#[derive(Default)]
struct SignedInputs {
    certificates: HashSet<String>,
    assertions: HashSet<String>,
}

impl SignedInputs {
    fn from_vectors(vectors: &[CorpusVector]) -> Self {
        let mut signed = Self::default();
        for (certificate, assertion) in vectors
            .iter()
            .filter(|vector| vector.has_valid_signatures())
            .filter_map(|v| signing_inputs(&v.assertion))
        {
            signed.certificates.insert(certificate);
            signed.assertions.insert(assertion);
        }
        signed
    }

    fn contains(&self, proof: &str) -> bool {
        signing_inputs(proof).is_some_and(|(certificate, assertion)| {
            self.certificates.contains(&certificate) && self.assertions.contains(&assertion)
        })
    }
}

/// Returns the signing inputs of an assertion with one certificate.
fn signing_inputs(proof: &str) -> Option<(String, String)> {
    let (certificate, assertion) = proof.split_once('~')?;
    let input = |token: &str| Some(token.rsplit_once('.')?.0.to_owned());
    Some((input(certificate)?, input(assertion)?))
}

fn verifier(vector: &CorpusVector) -> Dispatcher {
    let keys = vector.issuer_keys.iter().fold(PinnedKeys::new(), |keys, (host, document)| {
        match SupportDocument::parse(document.to_string().as_bytes()) {
            Some(document) => keys.with(host, document),
            None => keys,
        }
    });
    let policy = Policy {
        trusted_issuers: vector.trusted_issuers.clone(),
        fallback: vector.fallback.clone(),
        ..Policy::default()
    };
    let audiences = vec![Audience::parse(&vector.audience).unwrap()];
    Dispatcher::new().with_browserid(Arc::new(BrowserId::new(Arc::new(keys), audiences, policy)))
}

#[tokio::test]
async fn no_unsigned_assertion_is_accepted_and_no_input_panics_or_hangs() {
    count_panics();
    let vectors = vectors();
    let signed = SignedInputs::from_vectors(&vectors);
    let verifiers: Vec<Dispatcher> = vectors.iter().map(verifier).collect();
    let pool: Vec<String> = vectors.iter().map(|vector| vector.assertion.clone()).collect();
    let raw = files("slot-");
    let mut rng = seeded_rng();
    let mut accepted = 0_u64;
    for round in 0..rounds(30_000) {
        let index = rng.random_range(..vectors.len());
        let proof = match rng.random_range(..10_usize) {
            0 => mutation::text(&mut rng, &raw),
            1 => pool[index].clone(),
            _ => mutation::assertion(&mut rng, &pool[index], &pool),
        };
        let verifying = verifiers[index].verify(&proof, vectors[index].now_ms);
        let outcome = tokio::time::timeout(INPUT_TIMEOUT, verifying).await;
        let outcome =
            outcome.unwrap_or_else(|_| panic!("round {round} exceeds the time limit: {proof}"));
        if outcome.is_ok() {
            assert!(
                signed.contains(&proof),
                "round {round}: accepted without a signature: {proof}"
            );
            accepted += 1;
        }
        assert_eq!(PANICS.load(Ordering::Relaxed), 0, "round {round} panics: {proof}");
    }
    assert!(accepted > 0, "no genuine assertion was among the inputs");
}

#[test]
fn no_support_document_or_key_panics_and_a_document_is_strict_json_with_at_most_16_keys() {
    let mut documents = files("document-");
    for vector in vectors() {
        documents.extend(vector.issuer_keys.values().map(|found| found.to_string().into_bytes()));
    }
    let (mut rng, mut read) = (seeded_rng(), 0_u64);
    for round in 0..rounds(30_000) {
        let text = mutation::json(&mut rng, &documents);
        let found = SupportDocument::from_response(200, Some("application/json"), &text);
        let value: Option<Value> = serde_json::from_slice(&text).ok();
        if let Some(document) = found {
            read += 1;
            assert!(value.is_some(), "round {round}: no JSON: {}", text.escape_ascii());
            if let SupportDocument::Supported { keys } = document {
                assert!((1..=16).contains(&keys.len()));
            }
        }
        for key in value.iter().flat_map(|value| [Some(value), value.get("public-key")]).flatten() {
            let _ = PublicKey::parse(key);
        }
    }
    assert!(read > 0, "no document was among the inputs");
}

#[test]
fn no_audience_panics_and_a_trailing_slash_does_not_change_an_audience() {
    let texts = files("audience-");
    let mut rng = seeded_rng();
    for round in 0..rounds(50_000) {
        let text = mutation::text(&mut rng, &texts);
        if let Ok(audience) = Audience::parse(&text) {
            assert!(
                text.is_ascii() && !text.contains(['@', '?', '#', '\\', ' ', '*']),
                "{round}: {text}"
            );
            assert_eq!(Audience::parse(text.trim_end_matches('/')), Ok(audience));
        }
    }
}

//! Hostile input for everything that reads what strangers send: assertions, support documents,
//! keys, audiences.
//!
//! It starts from a corpus (the test vectors and the files in `fuzz/corpus`), and changes it by
//! rng of a fixed seed, for a fixed number of rounds, so that it ends and fails the same way each
//! time. For a longer search with other rng:
//!
//! ```sh
//! FUZZ_SEED=7 FUZZ_ROUNDS=1000000 cargo test --release -p presence-identity --test fuzz
//! ```
//!
//! What must hold of every input: no panic, an answer in time, and nothing accepted that nobody
//! signed.
#![cfg(feature = "browserid-dsa")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so and ends"
)]

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
use serde_json::Value;

use corpus::{CorpusVector, files, vectors};
use mutation::SeededRng;

/// How long one input may take, on a very slow machine.
const INPUT_TIMEOUT: Duration = Duration::from_mins(1);

#[expect(clippy::disallowed_methods, reason = "how long to search is the wish of who runs it")]
fn rounds(usual: u64) -> u64 {
    std::env::var("FUZZ_ROUNDS").map_or(usual, |text| text.parse().unwrap())
}

#[expect(clippy::disallowed_methods, reason = "where to search is the wish of who runs it")]
fn rng() -> SeededRng {
    SeededRng::new(std::env::var("FUZZ_SEED").map_or(1, |text| text.parse().unwrap()))
}

/// Panics on other threads, which the server turns into refusals.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn count_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
}

/// What was signed by those who may, as signed texts.
#[derive(Default)]
struct SignedInputs {
    certificates: HashSet<String>,
    assertions: HashSet<String>,
}

impl SignedInputs {
    fn of(vectors: &[CorpusVector]) -> Self {
        let mut signed = Self::default();
        for (certificate, assertion) in vectors
            .iter()
            .filter(|vector| vector.is_genuine())
            .filter_map(|v| signing_inputs(&v.assertion))
        {
            signed.certificates.insert(certificate);
            signed.assertions.insert(assertion);
        }
        signed
    }

    fn holds(&self, slot: &str) -> bool {
        signing_inputs(slot).is_some_and(|(certificate, assertion)| {
            self.certificates.contains(&certificate) && self.assertions.contains(&assertion)
        })
    }
}

/// The signed texts of an assertion with one certificate.
fn signing_inputs(slot: &str) -> Option<(String, String)> {
    let (certificate, assertion) = slot.split_once('~')?;
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
async fn no_text_is_accepted_that_nobody_signed_and_none_panics_or_hangs() {
    count_panics();
    let vectors = vectors();
    let signed = SignedInputs::of(&vectors);
    let verifiers: Vec<Dispatcher> = vectors.iter().map(verifier).collect();
    let pool: Vec<String> = vectors.iter().map(|vector| vector.assertion.clone()).collect();
    let raw = files("slot-");
    let mut rng = rng();
    let mut accepted = 0_u64;
    for round in 0..rounds(30_000) {
        let place = rng.below(vectors.len());
        let slot = match rng.below(10) {
            0 => mutation::text(&mut rng, &raw),
            1 => pool[place].clone(),
            _ => mutation::assertion(&mut rng, &pool[place], &pool),
        };
        let verifying = verifiers[place].verify(&slot, vectors[place].now_ms);
        let outcome = tokio::time::timeout(INPUT_TIMEOUT, verifying).await;
        let outcome = outcome.unwrap_or_else(|_| panic!("round {round} takes too long: {slot}"));
        if outcome.is_ok() {
            assert!(signed.holds(&slot), "round {round}: nobody signed {slot}");
            accepted += 1;
        }
        assert_eq!(PANICS.load(Ordering::Relaxed), 0, "round {round} panics: {slot}");
    }
    assert!(accepted > 0, "no genuine assertion was among the inputs");
}

#[test]
fn no_support_document_and_no_key_panics_and_a_document_is_strict_json_with_few_keys() {
    let mut documents = files("document-");
    for vector in vectors() {
        documents.extend(vector.issuer_keys.values().map(|found| found.to_string().into_bytes()));
    }
    let (mut rng, mut read) = (rng(), 0_u64);
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
fn no_audience_panics_and_what_is_one_has_one_form_but_for_port_and_slash() {
    let texts = files("audience-");
    let mut rng = rng();
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

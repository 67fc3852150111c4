//! What must be remembered between sending a browser to a provider and getting it back.
//!
//! It is not kept here but travels as the `state` of the flow, sealed with a key that never leaves
//! the process, and is bound to the browser by a secret in its cookie. So nobody can fill a store
//! with flows that they never finish, and the provider cannot read where the user is going.

use presence_core::UnixMillis;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use serde::{Deserialize, Serialize};

use crate::jws;

/// How long a user may take at the provider.
const LIFETIME: Duration = Duration::from_mins(10);
/// How many finished flows are remembered, so that none is finished twice.
const MAX_FINISHED: u64 = 100_000;

/// What is remembered of one flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SignInState {
    /// Where the browser goes at the end.
    pub(super) return_path: String,
    /// What `nonce` and the verifier of the code are made from.
    seed: String,
    expires_at: UnixMillis,
}

impl SignInState {
    /// One for a flow that begins now.
    pub(super) fn new(return_path: &str, now: UnixMillis) -> Result<Self, Unspecified> {
        let expires_at = now + LIFETIME;
        Ok(Self { return_path: return_path.to_owned(), seed: random_secret()?, expires_at })
    }

    /// What the ID token must bear.
    pub(super) fn nonce(&self) -> String {
        self.derived("nonce")
    }

    /// What proves that the code is redeemed by whoever asked for it (PKCE).
    pub(super) fn verifier(&self) -> String {
        self.derived("verifier")
    }

    /// What the provider is shown of [`SignInState::verifier`].
    pub(super) fn challenge(&self) -> String {
        sha256_base64url(&[self.verifier().as_bytes()])
    }

    fn derived(&self, purpose: &str) -> String {
        sha256_base64url(&[purpose.as_bytes(), b":", self.seed.as_bytes()])
    }
}

/// Seals states and opens them once.
pub(super) struct SignInStates {
    key: RandomizedNonceKey,
    finished: Cache<String, ()>,
}

impl SignInStates {
    pub(super) fn new() -> Result<Self, Unspecified> {
        let mut key = [0; 32];
        rand::fill(&mut key)?;
        let finished = Cache::builder()
            .max_capacity(MAX_FINISHED)
            .eviction_policy(EvictionPolicy::lru())
            // Only frees memory: whether a state is too old is decided by the caller's time.
            .time_to_live(LIFETIME)
            .build();
        Ok(Self { key: RandomizedNonceKey::new(&AES_256_GCM, &key)?, finished })
    }

    /// The state as a text that only `binding` can use.
    pub(super) fn seal(&self, state: &SignInState, binding: &str) -> Option<String> {
        let mut text = serde_json::to_vec(state).ok()?;
        let nonce = self.key.seal_in_place_append_tag(Aad::from(binding), &mut text).ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &text].concat()))
    }

    /// The state in a text, if it is `binding`'s, is not too old, and was not opened before.
    pub(super) fn open(&self, text: &str, binding: &str, now: UnixMillis) -> Option<SignInState> {
        let mut sealed = jws::base64url(text)?;
        let (nonce, sealed) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.key.open_in_place(nonce, Aad::from(binding), sealed).ok()?;
        let state: SignInState = serde_json::from_slice(opened).ok()?;
        let first = self.finished.entry(state.seed.clone()).or_insert(()).is_fresh();
        (first && now < state.expires_at).then_some(state)
    }
}

/// 256 random bits as a text.
pub(super) fn random_secret() -> Result<String, Unspecified> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn sha256_base64url(parts: &[&[u8]]) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| hash.update(part));
    URL_SAFE_NO_PAD.encode(hash.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> UnixMillis {
        UnixMillis::new(millis)
    }

    #[test]
    fn a_ticket_is_opened_once_in_time_and_by_its_holder() {
        let states = SignInStates::new().unwrap();
        let state = SignInState::new("/sidebar", at(1_000)).unwrap();
        let sealed = || states.seal(&state, "idp alice").unwrap();
        let mine = sealed();
        assert_eq!(states.open(&mine, "idp mallory", at(1_000)), None);
        assert_eq!(states.open(&mine, "other alice", at(1_000)), None);
        assert_eq!(states.open(&mine, "idp alice", at(1_000)), Some(state.clone()));
        assert_eq!(states.open(&mine, "idp alice", at(1_000)), None);
        assert_eq!(states.open(&sealed(), "idp alice", at(1_000)), None);
        let late = SignInState::new("/", at(0)).unwrap();
        let sealed = states.seal(&late, "idp alice").unwrap();
        assert_eq!(states.open(&sealed, "idp alice", at(0) + LIFETIME), None);
    }

    #[test]
    fn a_ticket_says_nothing_and_cannot_be_made_up_or_changed() {
        let (states, other) = (SignInStates::new().unwrap(), SignInStates::new().unwrap());
        let state = SignInState::new("/grant/secret-application", at(0)).unwrap();
        let sealed = states.seal(&state, "a").unwrap();
        let bytes = jws::base64url(&sealed).unwrap();
        assert!(!bytes.windows(6).any(|part| part == b"secret"));
        assert_eq!(other.open(&sealed, "a", at(0)), None);
        for text in ["", "AAAA", "%", &sealed[..20]] {
            assert_eq!(states.open(text, "a", at(0)), None, "{text}");
        }
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            let opened = states.open(&URL_SAFE_NO_PAD.encode(changed), "a", at(0));
            assert_eq!(opened, None, "{place}");
        }
        assert_eq!(states.open(&sealed, "a", at(0)), Some(state));
    }

    #[test]
    fn the_challenge_is_the_hash_of_the_verifier_and_the_nonce_is_another_secret() {
        let state = SignInState::new("/", at(0)).unwrap();
        assert_eq!(state.challenge(), sha256_base64url(&[state.verifier().as_bytes()]));
        assert_ne!(state.nonce(), state.verifier());
        assert_eq!(state.verifier().len(), 43);
    }
}

//! The state of a sign-in between the redirect to the provider and the callback.
//!
//! The server does not store it. The state travels in the parameter `state`, encrypted with a key
//! of the server, or of all servers that share sign-ins, and is bound to the browser by a secret in
//! a cookie. Unfinished sign-ins therefore use no memory, and the provider cannot read the return
//! path.

use presence_core::UnixMillis;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use presence_core::expiring_map::{ExpiringMap, MapFull, MapLimits, Moment};
use serde::{Deserialize, Serialize};

use super::finished::{FinishError, FinishedSignIn, SharedSignIns};
use crate::jws;

/// The maximum time between the redirect and the callback.
const LIFETIME: Duration = Duration::from_mins(10);
/// The maximum numbers of finished sign-ins that are recorded, so that none is finished twice. None
/// is forgotten before it expires: a further one is refused.
const FINISHED: MapLimits = MapLimits { total: 100_000, for_each_owner: 100 };

/// The state of one sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SignInState {
    /// The path to which the browser is redirected after the sign-in.
    pub(super) return_path: String,
    /// The secret from which the nonce and the code verifier are derived.
    seed: String,
    expires_at: UnixMillis,
}

impl SignInState {
    /// Creates the state of a sign-in that begins now.
    ///
    /// # Errors
    /// If the operating system provides no random bytes.
    pub(super) fn new(return_path: &str, now: UnixMillis) -> Result<Self, Unspecified> {
        let expires_at = now + LIFETIME;
        Ok(Self { return_path: return_path.to_owned(), seed: random_secret()?, expires_at })
    }

    /// Returns the nonce that the ID token must contain.
    pub(super) fn nonce(&self) -> String {
        self.derived("nonce")
    }

    /// Returns the code verifier (PKCE).
    pub(super) fn verifier(&self) -> String {
        self.derived("verifier")
    }

    /// Returns the code challenge: the hash of [`SignInState::verifier`].
    pub(super) fn challenge(&self) -> String {
        sha256_base64url(&[self.verifier().as_bytes()])
    }

    fn derived(&self, purpose: &str) -> String {
        sha256_base64url(&[purpose.as_bytes(), b":", self.seed.as_bytes()])
    }
}

/// The encryption of states, and the record of sign-ins that came back.
pub(super) struct SignInStates {
    key: RandomizedNonceKey,
    /// Those that are being finished, by their seeds: at most one for each request in progress.
    running: Mutex<HashSet<String>>,
    finished: Finished,
}

/// The record of finished sign-ins.
enum Finished {
    /// The record of a server that is alone, by seeds, each with the e-mail that was signed in.
    /// Only somebody whom a provider vouches for can add one.
    Own(Mutex<ExpiringMap<String, String, ()>>),
    /// The record of several servers.
    Shared(SharedSignIns),
}

/// A state that was opened. While it exists, this server does not open it again.
pub(super) struct OpenedState<'a> {
    state: SignInState,
    states: &'a SignInStates,
}

impl OpenedState<'_> {
    /// Returns the state.
    pub(super) fn state(&self) -> &SignInState {
        &self.state
    }

    /// Records that the sign-in was finished for this e-mail, so that its state is not opened
    /// again.
    ///
    /// # Errors
    /// See [`FinishError`].
    pub(super) async fn finish(self, email: &str, moment: Moment) -> Result<(), FinishError> {
        let (seed, expires_at) = (&self.state.seed, self.state.expires_at);
        match &self.states.finished {
            Finished::Own(own) => {
                let (seed, owner) = (seed.clone(), email.to_owned());
                lock(own)
                    .insert(seed, (owner, ()), expires_at, moment)
                    .map_err(|MapFull { .. }| FinishError::Full)
            }
            Finished::Shared(shared) => {
                let digest = digest::digest(&digest::SHA256, seed.as_bytes());
                let digest = digest.as_ref().try_into().map_err(|_| FinishError::Unavailable)?;
                shared.record.add(FinishedSignIn { digest, email, expires_at }).await
            }
        }
    }
}

impl Drop for OpenedState<'_> {
    fn drop(&mut self) {
        lock(&self.states.running).remove(&self.state.seed);
    }
}

impl SignInStates {
    /// Creates the states of a server that is alone, or of one that shares sign-ins with others.
    ///
    /// # Errors
    /// If the operating system provides no random bytes.
    pub(super) fn new(shared: Option<SharedSignIns>) -> Result<Self, Unspecified> {
        let (key, finished) = if let Some(shared) = shared {
            (shared.key, Finished::Shared(shared))
        } else {
            let mut key = [0; 32];
            rand::fill(&mut key)?;
            (key, Finished::Own(Mutex::new(ExpiringMap::new(FINISHED))))
        };
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key)?;
        Ok(Self { key, running: Mutex::default(), finished })
    }

    /// Encrypts a state so that it can be opened only with the same `binding`.
    pub(super) fn seal(&self, state: &SignInState, binding: &str) -> Option<String> {
        let mut text = serde_json::to_vec(state).ok()?;
        let nonce = self.key.seal_in_place_append_tag(Aad::from(binding), &mut text).ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &text].concat()))
    }

    /// Decrypts a state. Returns `None` if it is invalid, has another binding, has expired, is
    /// being finished, or was finished.
    pub(super) fn open(
        &self,
        text: &str,
        binding: &str,
        now: UnixMillis,
    ) -> Option<OpenedState<'_>> {
        let mut sealed = jws::base64url(text)?;
        let (nonce, sealed) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.key.open_in_place(nonce, Aad::from(binding), sealed).ok()?;
        let state: SignInState = serde_json::from_slice(opened).ok()?;
        let was_finished = match &self.finished {
            Finished::Own(own) => lock(own).get(&state.seed).is_some(),
            // The end of the sign-in tells.
            Finished::Shared(_) => false,
        };
        let is_open = now < state.expires_at
            && !was_finished
            && lock(&self.running).insert(state.seed.clone());
        if is_open { Some(OpenedState { state, states: self }) } else { None }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns 256 random bits in base64url.
///
/// # Errors
/// If the operating system provides no random bytes.
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

    fn moment(millis: u64) -> Moment {
        Moment { now: at(millis), ..Moment::default() }
    }

    /// Holds rule 41.
    #[tokio::test]
    async fn a_state_is_finished_once_before_it_expires_and_only_with_its_binding() {
        let states = SignInStates::new(None).unwrap();
        let state = SignInState::new("/sidebar", at(1_000)).unwrap();
        let sealed = || states.seal(&state, "idp alice").unwrap();
        let first = sealed();
        assert!(states.open(&first, "idp mallory", at(1_000)).is_none());
        assert!(states.open(&first, "other alice", at(1_000)).is_none());
        let opened = states.open(&first, "idp alice", at(1_000)).unwrap();
        assert_eq!(opened.state(), &state);
        assert!(states.open(&first, "idp alice", at(1_000)).is_none(), "it is being finished");
        drop(opened);
        let opened = states.open(&first, "idp alice", at(1_000)).unwrap();
        opened.finish("alice@mail.example", moment(1_000)).await.unwrap();
        assert!(states.open(&first, "idp alice", at(1_000)).is_none());
        assert!(states.open(&sealed(), "idp alice", at(1_000)).is_none());
        let late = SignInState::new("/", at(0)).unwrap();
        let sealed = states.seal(&late, "idp alice").unwrap();
        assert!(states.open(&sealed, "idp alice", at(0) + LIFETIME).is_none());
    }

    /// Holds rule 41.
    #[tokio::test]
    async fn a_finished_state_is_not_forgotten_whoever_finishes_many() {
        let states = SignInStates::new(None).unwrap();
        let seal = || {
            let state = SignInState::new("/", at(0)).unwrap();
            states.seal(&state, "idp x").unwrap()
        };
        let finish = async |sealed: &str, email: &str| {
            Some(states.open(sealed, "idp x", at(0))?.finish(email, moment(0)).await)
        };
        let of_alice = seal();
        assert_eq!(finish(&of_alice, "alice@mail.example").await, Some(Ok(())));
        let of_mallory: Vec<String> = (0..150).map(|_| seal()).collect();
        let mut finished = 0;
        for sealed in &of_mallory {
            finished += usize::from(finish(sealed, "mallory@mail.example").await == Some(Ok(())));
        }
        assert_eq!(finished, 100);
        assert_eq!(finish(&of_alice, "alice@mail.example").await, None);
        assert_eq!(finish(&of_mallory[0], "mallory@mail.example").await, None);
    }

    #[test]
    fn a_state_is_unreadable_and_cannot_be_forged_or_changed() {
        let (states, other) = (SignInStates::new(None).unwrap(), SignInStates::new(None).unwrap());
        let state = SignInState::new("/grant/secret-application", at(0)).unwrap();
        let sealed = states.seal(&state, "a").unwrap();
        let bytes = jws::base64url(&sealed).unwrap();
        assert!(!bytes.windows(6).any(|part| part == b"secret"));
        assert!(other.open(&sealed, "a", at(0)).is_none());
        for text in ["", "AAAA", "%", &sealed[..20]] {
            assert!(states.open(text, "a", at(0)).is_none(), "{text}");
        }
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            let opened = states.open(&URL_SAFE_NO_PAD.encode(changed), "a", at(0));
            assert!(opened.is_none(), "{index}");
        }
        assert_eq!(states.open(&sealed, "a", at(0)).unwrap().state(), &state);
    }

    /// Holds rule 41.
    #[test]
    fn the_challenge_is_the_hash_of_the_verifier_and_the_nonce_differs_from_it() {
        let state = SignInState::new("/", at(0)).unwrap();
        assert_eq!(state.challenge(), sha256_base64url(&[state.verifier().as_bytes()]));
        assert_ne!(state.nonce(), state.verifier());
        assert_eq!(state.verifier().len(), 43);
    }
}

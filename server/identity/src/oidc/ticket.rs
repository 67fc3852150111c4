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
const FINISHED: u64 = 100_000;

/// What is remembered of one flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ticket {
    /// Where the browser goes at the end.
    pub(super) return_path: String,
    /// What `nonce` and the verifier of the code are made from.
    seed: String,
    ends_at: UnixMillis,
}

impl Ticket {
    /// One for a flow that begins now.
    pub(super) fn new(return_path: &str, now: UnixMillis) -> Result<Self, Unspecified> {
        let ends_at = now + LIFETIME;
        Ok(Self { return_path: return_path.to_owned(), seed: secret()?, ends_at })
    }

    /// What the ID token must bear.
    pub(super) fn nonce(&self) -> String {
        self.derived("nonce")
    }

    /// What proves that the code is redeemed by whoever asked for it (PKCE).
    pub(super) fn verifier(&self) -> String {
        self.derived("verifier")
    }

    /// What the provider is shown of [`Ticket::verifier`].
    pub(super) fn challenge(&self) -> String {
        hashed(&[self.verifier().as_bytes()])
    }

    fn derived(&self, purpose: &str) -> String {
        hashed(&[purpose.as_bytes(), b":", self.seed.as_bytes()])
    }
}

/// Seals tickets and opens them once.
pub(super) struct Tickets {
    key: RandomizedNonceKey,
    finished: Cache<String, ()>,
}

impl Tickets {
    pub(super) fn new() -> Result<Self, Unspecified> {
        let mut key = [0; 32];
        rand::fill(&mut key)?;
        let finished = Cache::builder()
            .max_capacity(FINISHED)
            .eviction_policy(EvictionPolicy::lru())
            // Only frees memory: whether a ticket is too old is decided by the caller's time.
            .time_to_live(LIFETIME)
            .build();
        Ok(Self { key: RandomizedNonceKey::new(&AES_256_GCM, &key)?, finished })
    }

    /// The ticket as a text that only `holder` can use.
    pub(super) fn seal(&self, ticket: &Ticket, holder: &str) -> Option<String> {
        let mut text = serde_json::to_vec(ticket).ok()?;
        let nonce = self.key.seal_in_place_append_tag(Aad::from(holder), &mut text).ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &text].concat()))
    }

    /// The ticket in a text, if it is `holder`'s, is not too old, and was not opened before.
    pub(super) fn open(&self, text: &str, holder: &str, now: UnixMillis) -> Option<Ticket> {
        let mut sealed = jws::base64url(text)?;
        let (nonce, sealed) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.key.open_in_place(nonce, Aad::from(holder), sealed).ok()?;
        let ticket: Ticket = serde_json::from_slice(opened).ok()?;
        let first = self.finished.entry(ticket.seed.clone()).or_insert(()).is_fresh();
        (first && now < ticket.ends_at).then_some(ticket)
    }
}

/// 256 random bits as a text.
pub(super) fn secret() -> Result<String, Unspecified> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn hashed(parts: &[&[u8]]) -> String {
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
        let tickets = Tickets::new().unwrap();
        let ticket = Ticket::new("/sidebar", at(1_000)).unwrap();
        let sealed = || tickets.seal(&ticket, "idp alice").unwrap();
        let mine = sealed();
        assert_eq!(tickets.open(&mine, "idp mallory", at(1_000)), None);
        assert_eq!(tickets.open(&mine, "other alice", at(1_000)), None);
        assert_eq!(tickets.open(&mine, "idp alice", at(1_000)), Some(ticket.clone()));
        assert_eq!(tickets.open(&mine, "idp alice", at(1_000)), None);
        assert_eq!(tickets.open(&sealed(), "idp alice", at(1_000)), None);
        let late = Ticket::new("/", at(0)).unwrap();
        let sealed = tickets.seal(&late, "idp alice").unwrap();
        assert_eq!(tickets.open(&sealed, "idp alice", at(0) + LIFETIME), None);
    }

    #[test]
    fn a_ticket_says_nothing_and_cannot_be_made_up_or_changed() {
        let (tickets, other) = (Tickets::new().unwrap(), Tickets::new().unwrap());
        let ticket = Ticket::new("/grant/secret-application", at(0)).unwrap();
        let sealed = tickets.seal(&ticket, "a").unwrap();
        let bytes = jws::base64url(&sealed).unwrap();
        assert!(!bytes.windows(6).any(|part| part == b"secret"));
        assert_eq!(other.open(&sealed, "a", at(0)), None);
        for text in ["", "AAAA", "%", &sealed[..20]] {
            assert_eq!(tickets.open(text, "a", at(0)), None, "{text}");
        }
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            let opened = tickets.open(&URL_SAFE_NO_PAD.encode(changed), "a", at(0));
            assert_eq!(opened, None, "{place}");
        }
        assert_eq!(tickets.open(&sealed, "a", at(0)), Some(ticket));
    }

    #[test]
    fn the_challenge_is_the_hash_of_the_verifier_and_the_nonce_is_another_secret() {
        let ticket = Ticket::new("/", at(0)).unwrap();
        assert_eq!(ticket.challenge(), hashed(&[ticket.verifier().as_bytes()]));
        assert_ne!(ticket.nonce(), ticket.verifier());
        assert_eq!(ticket.verifier().len(), 43);
    }
}

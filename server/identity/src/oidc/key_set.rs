//! The keys of one issuer (JWK Set), and which of them a token may be verified with.

use serde_json::{Map, Value};

use super::algorithm::JwsAlgorithm;
use super::public_key::IssuerKey;
use crate::identity::Reason;
use crate::strict_json;

/// The most keys of a set. A longer one is no set.
const MAX_KEYS: usize = 100;
/// How deep the JSON may be nested.
const MAX_JSON_DEPTH: usize = 16;

/// The keys of one issuer. Names of keys mean nothing beyond it.
#[derive(Default)]
pub(super) struct KeySet {
    keys: Vec<PublishedKey>,
}

/// A published key, also one that cannot be used: its name is taken all the same.
struct PublishedKey {
    kid: Option<String>,
    /// The only algorithm, where the issuer says so.
    algorithm: Option<String>,
    key: Option<IssuerKey>,
}

impl KeySet {
    /// Reads a set; `None` if it is none. A key in it that cannot be read is left out.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let document = strict_json::object(text, MAX_JSON_DEPTH)?;
        let Some(Value::Array(keys)) = document.get("keys") else { return None };
        if keys.len() > MAX_KEYS {
            return None;
        }
        Some(Self {
            keys: keys.iter().filter_map(Value::as_object).map(PublishedKey::of).collect(),
        })
    }

    /// How many keys can be used.
    pub(super) fn usable(&self) -> usize {
        self.keys.iter().filter(|published| published.key.is_some()).count()
    }

    /// The keys to try: those of this name, or, where the token names none, the only one that fits.
    pub(super) fn select(
        &self,
        kid: Option<&str>,
        algorithm: JwsAlgorithm,
    ) -> Result<Vec<&IssuerKey>, Reason> {
        let fitting = |published: &&PublishedKey| published.key_for(algorithm).is_some();
        let Some(kid) = kid else {
            let mut keys = self.keys.iter().filter_map(|published| published.key_for(algorithm));
            return match (keys.next(), keys.next()) {
                (Some(only), None) => Ok(vec![only]),
                _ => Err(Reason::UnknownKid),
            };
        };
        let named: Vec<&PublishedKey> =
            self.keys.iter().filter(|published| published.kid.as_deref() == Some(kid)).collect();
        if named.is_empty() {
            return Err(Reason::UnknownKid);
        }
        if !named.iter().any(fitting) {
            return Err(Reason::KeyNotUsable);
        }
        Ok(named.into_iter().filter_map(|published| published.key_for(algorithm)).collect())
    }
}

impl PublishedKey {
    fn of(jwk: &Map<String, Value>) -> Self {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str).map(str::to_owned);
        let algorithm_is_text = jwk.get("alg").is_none_or(Value::is_string);
        let key = if algorithm_is_text { IssuerKey::read(jwk) } else { None };
        Self { kid: text("kid"), algorithm: text("alg"), key }
    }

    fn key_for(&self, algorithm: JwsAlgorithm) -> Option<&IssuerKey> {
        let meant = self.algorithm.as_deref().is_none_or(|name| name == algorithm.name());
        self.key.as_ref().filter(|key| meant && key.supports(algorithm))
    }
}

//! The key set of one issuer (JWK Set), and the selection of keys for a token.

use serde_json::{Map, Value};

use super::algorithm::JwsAlgorithm;
use super::public_key::IssuerKey;
use crate::identity::Reason;
use crate::strict_json;

/// The maximum number of keys in a set. A longer set is rejected.
const MAX_KEYS: usize = 100;
/// The maximum nesting depth of the JSON.
const MAX_JSON_DEPTH: usize = 16;

/// The keys of one issuer. Key identifiers are unique only within an issuer.
#[derive(Default)]
pub(super) struct KeySet {
    keys: Vec<PublishedKey>,
}

/// An entry of the set. The key identifier of an unusable key is kept as well.
struct PublishedKey {
    kid: Option<String>,
    /// The only algorithm of the key, if the issuer names one.
    algorithm: Option<String>,
    key: Option<IssuerKey>,
}

impl KeySet {
    /// Parses a set. Returns `None` if it is invalid. A key that cannot be parsed is unusable.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let document = strict_json::object(text, MAX_JSON_DEPTH)?;
        let Some(Value::Array(keys)) = document.get("keys") else { return None };
        if keys.len() > MAX_KEYS {
            return None;
        }
        Some(Self {
            keys: keys.iter().filter_map(Value::as_object).map(PublishedKey::parse).collect(),
        })
    }

    /// Returns the number of usable keys.
    pub(super) fn usable(&self) -> usize {
        self.keys.iter().filter(|published| published.key.is_some()).count()
    }

    /// Returns the candidate keys: those with this identifier or, if the token has no identifier,
    /// the only key that supports the algorithm.
    ///
    /// # Errors
    /// [`Reason::UnknownKid`] or [`Reason::KeyNotUsable`].
    pub(super) fn select(
        &self,
        kid: Option<&str>,
        algorithm: JwsAlgorithm,
    ) -> Result<Vec<&IssuerKey>, Reason> {
        let supports = |published: &&PublishedKey| published.key_for(algorithm).is_some();
        let Some(kid) = kid else {
            let mut keys = self.keys.iter().filter_map(|published| published.key_for(algorithm));
            return match (keys.next(), keys.next()) {
                (Some(only), None) => Ok(vec![only]),
                _ => Err(Reason::UnknownKid),
            };
        };
        let matching: Vec<&PublishedKey> =
            self.keys.iter().filter(|published| published.kid.as_deref() == Some(kid)).collect();
        if matching.is_empty() {
            return Err(Reason::UnknownKid);
        }
        if !matching.iter().any(supports) {
            return Err(Reason::KeyNotUsable);
        }
        Ok(matching.into_iter().filter_map(|published| published.key_for(algorithm)).collect())
    }
}

impl PublishedKey {
    fn parse(jwk: &Map<String, Value>) -> Self {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str).map(str::to_owned);
        let algorithm_is_text = jwk.get("alg").is_none_or(Value::is_string);
        let key = if algorithm_is_text { IssuerKey::read(jwk) } else { None };
        Self { kid: text("kid"), algorithm: text("alg"), key }
    }

    fn key_for(&self, algorithm: JwsAlgorithm) -> Option<&IssuerKey> {
        let allowed = self.algorithm.as_deref().is_none_or(|name| name == algorithm.name());
        self.key.as_ref().filter(|key| allowed && key.supports(algorithm))
    }
}

//! The claims of the certificate and of the assertion, as types (rules 8 to 14).
//!
//! Only the types of the claims are checked here. Times and names are checked later, in the order
//! that [`super`] gives.

use std::time::Duration;

use presence_core::UnixMillis;
use serde_json::{Map, Value};

use super::account;
use crate::identity::Reason;

/// The accepted times, from 1973 to 5138: times in seconds, zero and overflows are outside.
const TIMES: std::ops::Range<u64> = 100_000_000_000..100_000_000_000_000;

/// The names that are no claims about the user (rule 14).
const RESERVED: [&str; 10] =
    ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "public-key", "pubkey", "principal"];

/// The period in which a part is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ValidityPeriod {
    starts_at: Option<UnixMillis>,
    /// The last millisecond of the period.
    pub(crate) expires_at: UnixMillis,
}

impl ValidityPeriod {
    fn read(claims: &Map<String, Value>) -> Result<Self, Reason> {
        let expires_at = time(claims, "exp")?.ok_or(Reason::MissingField)?;
        let starts_at = time(claims, "iat")?.max(time(claims, "nbf")?);
        Ok(Self { starts_at, expires_at })
    }

    /// Checks that `now` is in the period, for clocks that differ by at most `skew`.
    pub(crate) fn check(&self, now: UnixMillis, skew: Duration) -> Result<(), Reason> {
        if self.starts_at.is_some_and(|start| start > now + skew) {
            return Err(Reason::NotYetValid);
        }
        if now > self.expires_at + skew {
            return Err(Reason::Expired);
        }
        Ok(())
    }
}

fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<UnixMillis>, Reason> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    match value.as_u64() {
        Some(time) if TIMES.contains(&time) => Ok(Some(UnixMillis::new(time))),
        Some(_) | None => Err(Reason::Malformed),
    }
}

/// The claims of the issuer: the user's identity and public key.
pub(crate) struct Certificate {
    pub(crate) issuer: String,
    pub(crate) principal: String,
    pub(crate) validity: ValidityPeriod,
    pub(crate) public_key: Value,
    /// The claim `fxa-generation`.
    pub(crate) generation: Option<u64>,
    /// The claim `fxa-verifiedEmail`.
    pub(crate) verified_email: Option<String>,
    /// All other claims about the user.
    pub(crate) claims: Map<String, Value>,
}

impl Certificate {
    pub(crate) fn read(mut payload: Map<String, Value>) -> Result<Self, Reason> {
        let issuer = required(&payload, "iss")?;
        let validity = ValidityPeriod::read(&payload)?;
        let principal = principal(&payload)?;
        let public_key = match payload.remove("public-key") {
            Some(key @ Value::Object(_)) => key,
            Some(_) => return Err(Reason::Malformed),
            None => return Err(Reason::MissingField),
        };
        account::check(&payload)?;
        let generation = payload.get(account::GENERATION).and_then(Value::as_u64);
        let verified_email = optional(&payload, account::VERIFIED_EMAIL)?;
        let claims = idp_claims(payload);
        Ok(Self { issuer, principal, validity, public_key, generation, verified_email, claims })
    }
}

/// Returns `principal.email`, or `sub` if that is absent. Other members of `principal`, such as a
/// host or an unverified e-mail, are no identity.
fn principal(payload: &Map<String, Value>) -> Result<String, Reason> {
    let email = match payload.get("principal") {
        Some(Value::Object(principal)) => optional(principal, "email")?,
        Some(_) => return Err(Reason::Malformed),
        None => None,
    };
    match (email, optional(payload, "sub")?) {
        (Some(email), Some(subject)) if email != subject => Err(Reason::Malformed),
        (Some(email), _) => Ok(email),
        (None, Some(subject)) => Ok(subject),
        (None, None) => Err(Reason::MissingField),
    }
}

fn idp_claims(mut payload: Map<String, Value>) -> Map<String, Value> {
    let mut claims = Map::new();
    if let Some(Value::Object(mut principal)) = payload.remove("principal") {
        principal.remove("email");
        claims.extend(principal);
    }
    claims.extend(unreserved(payload));
    claims
}

/// The claims of the user: the audience of the assertion.
pub(crate) struct Assertion {
    pub(crate) audience: String,
    pub(crate) validity: ValidityPeriod,
    /// All other claims of the user.
    pub(crate) claims: Map<String, Value>,
}

impl Assertion {
    pub(crate) fn read(payload: Map<String, Value>) -> Result<Self, Reason> {
        let audience = required(&payload, "aud")?;
        let validity = ValidityPeriod::read(&payload)?;
        Ok(Self { audience, validity, claims: unreserved(payload) })
    }
}

fn unreserved(mut payload: Map<String, Value>) -> Map<String, Value> {
    payload.retain(|name, _| !RESERVED.contains(&name.as_str()));
    payload
}

fn required(claims: &Map<String, Value>, name: &str) -> Result<String, Reason> {
    optional(claims, name)?.ok_or(Reason::MissingField)
}

fn optional(claims: &Map<String, Value>, name: &str) -> Result<Option<String>, Reason> {
    match claims.get(name) {
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Reason::Malformed),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: UnixMillis = UnixMillis::new(1_767_225_600_000);
    const SKEW: Duration = Duration::from_mins(1);

    /// Holds rules 9 and 10.
    #[test]
    fn a_validity_period_is_extended_by_the_skew_at_both_ends() {
        let validity = |claims: &Value| ValidityPeriod::read(claims.as_object().unwrap()).unwrap();
        let ending = validity(&json!({ "exp": NOW }));
        assert_eq!(ending.check(NOW + Duration::from_mins(1), SKEW), Ok(()));
        assert_eq!(ending.check(NOW + Duration::from_millis(60_001), SKEW), Err(Reason::Expired));
        for name in ["iat", "nbf"] {
            let beginning = validity(&json!({ "exp": NOW + Duration::from_millis(1), name: NOW }));
            assert_eq!(beginning.check(NOW - Duration::from_mins(1), SKEW), Ok(()), "{name}");
            assert_eq!(
                beginning.check(NOW - Duration::from_millis(60_001), SKEW),
                Err(Reason::NotYetValid),
                "{name}"
            );
        }
    }

    /// Holds rule 8.
    #[test]
    fn a_time_is_an_integer_in_milliseconds() {
        for time in [
            json!(null),
            json!("1767225600000"),
            json!(1.5e12),
            json!(1_767_225_600),
            json!(0),
            json!(-1),
            json!(u64::MAX),
        ] {
            assert_eq!(
                ValidityPeriod::read(json!({ "exp": time }).as_object().unwrap()),
                Err(Reason::Malformed),
                "{time}"
            );
        }
        let with_bad_start = json!({ "exp": NOW, "iat": "now" });
        assert_eq!(
            ValidityPeriod::read(with_bad_start.as_object().unwrap()),
            Err(Reason::Malformed)
        );
    }

    /// Holds rule 13.
    #[test]
    fn the_principal_is_its_email_or_else_the_subject() {
        let principal = |claims: Value| principal(claims.as_object().unwrap());
        assert_eq!(principal(json!({ "sub": "a" })), Ok("a".to_owned()));
        assert_eq!(principal(json!({ "principal": {}, "sub": "a" })), Ok("a".to_owned()));
        assert_eq!(
            principal(json!({ "principal": { "email": "a" }, "sub": "a" })),
            Ok("a".to_owned())
        );
        assert_eq!(
            principal(json!({ "principal": { "email": "a" }, "sub": "b" })),
            Err(Reason::Malformed)
        );
        assert_eq!(principal(json!({ "principal": { "host": "a" } })), Err(Reason::MissingField));
        assert_eq!(
            principal(json!({ "principal": { "email": 1 }, "sub": "a" })),
            Err(Reason::Malformed)
        );
        assert_eq!(principal(json!({ "principal": "a" })), Err(Reason::Malformed));
    }
}

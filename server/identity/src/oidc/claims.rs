//! The claims of an ID token, parsed but not verified (OpenID Connect Core, section 2).

use std::time::Duration;

use presence_core::UnixMillis;
use serde_json::{Map, Value};

use crate::identity::Reason;

/// The maximum clock difference between an issuer and this server.
pub(super) const LEEWAY: Duration = Duration::from_mins(1);
/// The maximum lifetime of a token. It also rejects times in milliseconds.
const MAX_LIFETIME: Duration = Duration::from_hours(24);
/// The maximum length of a subject, in characters.
const MAX_SUBJECT_CHARS: usize = 255;
/// The exclusive upper limit of a time, in seconds: beyond the year 5000.
const MAX_SECONDS: f64 = 1e11;

/// The maximum ages of a token.
#[derive(Debug, Clone, Copy)]
pub(super) struct AgeLimits {
    /// The time since the token was issued.
    pub(super) token: Duration,
    /// The time since the user authenticated, if it is limited.
    pub(super) authentication: Option<Duration>,
}

/// The claims that verification uses.
pub(super) struct Claims {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) audiences: Vec<String>,
    pub(super) authorized_party: Option<String>,
    pub(super) expires_at: UnixMillis,
    issued_at: UnixMillis,
    not_before: Option<UnixMillis>,
    pub(super) authenticated_at: Option<UnixMillis>,
    pub(super) nonce: Option<String>,
    pub(super) email: Option<String>,
    /// The claim as received: some issuers send a string.
    pub(super) email_verified: Option<Value>,
}

impl Claims {
    pub(super) fn read(payload: &Map<String, Value>) -> Result<Self, Reason> {
        let claims = Self {
            issuer: text(payload, "iss")?.ok_or(Reason::MissingField)?,
            subject: text(payload, "sub")?.ok_or(Reason::MissingField)?,
            audiences: audiences(payload)?,
            authorized_party: text(payload, "azp")?,
            expires_at: time(payload, "exp")?.ok_or(Reason::MissingField)?,
            issued_at: time(payload, "iat")?.ok_or(Reason::MissingField)?,
            not_before: time(payload, "nbf")?,
            authenticated_at: time(payload, "auth_time")?,
            nonce: text(payload, "nonce")?,
            email: text(payload, "email")?,
            email_verified: payload.get("email_verified").cloned(),
        };
        let subject = (1..=MAX_SUBJECT_CHARS).contains(&claims.subject.chars().count());
        let lifetime = claims.expires_at - claims.issued_at;
        if !subject || lifetime > MAX_LIFETIME {
            return Err(Reason::Malformed);
        }
        Ok(claims)
    }

    /// Returns the end of the time for which the token is accepted.
    pub(super) fn accepted_until(&self, max_token_age: Duration) -> UnixMillis {
        self.expires_at.min(self.issued_at + max_token_age)
    }

    /// Checks that the token is valid at `now`, was issued recently and, if that is limited, that
    /// the user authenticated recently.
    pub(super) fn check_times(&self, now: UnixMillis, limits: AgeLimits) -> Result<(), Reason> {
        if now > self.expires_at + LEEWAY {
            return Err(Reason::Expired);
        }
        if now > self.issued_at + limits.token {
            return Err(Reason::TooLong);
        }
        let begins = self.not_before.map_or(self.issued_at, |begin| begin.max(self.issued_at));
        if begins > now + LEEWAY {
            return Err(Reason::NotYetValid);
        }
        let Some(max_age) = limits.authentication else { return Ok(()) };
        let authenticated_at = self.authenticated_at.ok_or(Reason::MissingField)?;
        if now > authenticated_at + max_age + LEEWAY {
            return Err(Reason::Expired);
        }
        Ok(())
    }
}

fn text(payload: &Map<String, Value>, name: &str) -> Result<Option<String>, Reason> {
    match payload.get(name) {
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Reason::Malformed),
        None => Ok(None),
    }
}

fn audiences(payload: &Map<String, Value>) -> Result<Vec<String>, Reason> {
    match payload.get("aud") {
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(several)) => several
            .iter()
            .map(|one| one.as_str().map(str::to_owned).ok_or(Reason::Malformed))
            .collect(),
        Some(_) => Err(Reason::Malformed),
        None => Err(Reason::MissingField),
    }
}

/// Reads a time in seconds, which may have a fraction (RFC 7519, section 2).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be in bounds"
)]
fn time(payload: &Map<String, Value>, name: &str) -> Result<Option<UnixMillis>, Reason> {
    match payload.get(name) {
        Some(Value::Number(number)) => match number.as_f64() {
            Some(seconds) if (0.0..MAX_SECONDS).contains(&seconds) => {
                Ok(Some(UnixMillis::new((seconds * 1000.0) as u64)))
            }
            Some(_) | None => Err(Reason::Malformed),
        },
        Some(_) => Err(Reason::Malformed),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: UnixMillis = UnixMillis::new(1_767_225_600_000);
    const LIMITS: AgeLimits = AgeLimits { token: Duration::from_mins(15), authentication: None };

    fn claims(changes: &Value) -> Result<Claims, Reason> {
        let seconds = NOW.as_secs();
        let mut payload =
            json!({ "iss": "i", "sub": "s", "aud": "a", "iat": seconds, "exp": seconds + 300 });
        let members = payload.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            members.insert(name.clone(), value.clone());
        }
        Claims::read(members)
    }

    /// Holds rule 38.
    #[test]
    fn the_validity_of_a_token_is_extended_by_the_leeway_on_both_sides() {
        let token = claims(&json!({})).unwrap();
        assert_eq!(token.check_times(NOW + Duration::from_mins(6), LIMITS), Ok(()));
        assert_eq!(
            token.check_times(NOW + Duration::from_millis(360_001), LIMITS),
            Err(Reason::Expired)
        );
        assert_eq!(token.check_times(NOW - Duration::from_mins(1), LIMITS), Ok(()));
        assert_eq!(
            token.check_times(NOW - Duration::from_millis(60_001), LIMITS),
            Err(Reason::NotYetValid)
        );
        let later = claims(&json!({ "nbf": NOW.as_secs() + 100 })).unwrap();
        assert_eq!(
            later.check_times(NOW + Duration::from_millis(39_999), LIMITS),
            Err(Reason::NotYetValid)
        );
        assert_eq!(later.check_times(NOW + Duration::from_secs(40), LIMITS), Ok(()));
    }

    /// Holds rule 38.
    #[test]
    fn a_token_is_accepted_for_fifteen_minutes_after_its_issue_or_until_its_end() {
        let long = claims(&json!({ "exp": NOW.as_secs() + 3_600 })).unwrap();
        let quarter = NOW + Duration::from_mins(15);
        assert_eq!(long.check_times(quarter, LIMITS), Ok(()));
        let later = quarter + Duration::from_millis(1);
        assert_eq!(long.check_times(later, LIMITS), Err(Reason::TooLong));
        assert_eq!(long.accepted_until(LIMITS.token), quarter);
        let short = claims(&json!({})).unwrap();
        assert_eq!(short.accepted_until(LIMITS.token), NOW + Duration::from_mins(5));
    }

    #[test]
    fn a_time_is_a_number_of_seconds_with_an_optional_fraction() {
        assert_eq!(
            claims(&json!({ "exp": 1_767_225_600.5 })).unwrap().expires_at,
            NOW + Duration::from_millis(500)
        );
        for time in
            [json!(null), json!("1767225600"), json!(-1), json!(1e11), json!(NOW), json!(true)]
        {
            for name in ["exp", "iat", "nbf", "auth_time"] {
                let refused = claims(&json!({ name: time })).err();
                assert_eq!(refused, Some(Reason::Malformed), "{name} {time}");
            }
        }
    }

    /// Holds rule 38.
    #[test]
    fn the_lifetime_of_a_token_is_at_most_one_day() {
        let day = 24 * 3600;
        assert!(claims(&json!({ "exp": NOW.as_secs() + day })).is_ok());
        let longer = claims(&json!({ "exp": NOW.as_secs() + day + 1 }));
        assert_eq!(longer.err(), Some(Reason::Malformed));
    }

    /// Holds rule 38.
    #[test]
    fn a_subject_has_1_to_255_characters() {
        for (length, fits) in [(0, false), (1, true), (255, true), (256, false)] {
            assert_eq!(claims(&json!({ "sub": "ü".repeat(length) })).is_ok(), fits, "{length}");
        }
    }

    #[test]
    fn a_maximum_age_requires_a_recent_authentication_time() {
        let hour = AgeLimits { authentication: Some(Duration::from_hours(1)), ..LIMITS };
        let at = |seconds: u64| claims(&json!({ "auth_time": NOW.as_secs() - seconds })).unwrap();
        assert_eq!(at(3_660).check_times(NOW, hour), Ok(()));
        assert_eq!(at(3_661).check_times(NOW, hour), Err(Reason::Expired));
        let without_auth_time = claims(&json!({})).unwrap();
        assert_eq!(without_auth_time.check_times(NOW, hour), Err(Reason::MissingField));
    }
}

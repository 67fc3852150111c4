//! The seam: what a verifier is asked, and what it answers.
//!
//! Deliberately without any format: BrowserID and whatever comes after it answer with the same
//! [`Identity`].

use std::fmt;
use std::net::IpAddr;

use async_trait::async_trait;
use presence_core::UnixMillis;

/// Verifies one kind of slot.
#[async_trait]
pub trait Verifier: Send + Sync {
    /// Verifies `slot` as of `now`, and says whose it is.
    ///
    /// It does not compare a claimed e-mail and does not detect replays: both are the caller's.
    ///
    /// # Errors
    /// [`IdentityError::Invalid`] if the slot proves nothing, [`IdentityError::Unavailable`] and
    /// [`IdentityError::Busy`] if it cannot be told now.
    async fn verify(&self, slot: &str, now: UnixMillis) -> Result<Identity, IdentityError>;

    /// As [`Verifier::verify`], for a client at this address. A kind that asks hosts which the slot
    /// names gives each client only a share of that; one whose issuers are all configured need not
    /// know who asks.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    async fn verify_for(
        &self,
        slot: &str,
        now: UnixMillis,
        _client: Option<IpAddr>,
    ) -> Result<Identity, IdentityError> {
        self.verify(slot, now).await
    }
}

/// A proven identity.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The host (or issuer name) that vouches for the e-mail.
    pub issuer: String,
    /// The name under which the issuer knows the user: for BrowserID the certified principal.
    pub subject: String,
    /// The proven e-mail. Its domain is lower-case; its local part is to be compared byte for byte.
    pub email: String,
    /// When the proof ends: the earlier of the assertion's and the certificate's expiry.
    pub expires_at: UnixMillis,
    /// SHA-256 of what was signed: the key for a cache of seen assertions, kept until `expires_at`.
    /// The text of the assertion would not do, since one assertion has several spellings (rule 32).
    pub digest: [u8; 32],
    /// `fxa-generation` where the issuer gives one, in milliseconds: grows when the password
    /// changes, so that a smaller value than one seen before is to be refused (rule 31).
    pub generation: Option<u64>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Identity")
            .field("issuer", &self.issuer)
            .field("expires_at", &self.expires_at)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// Why there is no identity. Holds nothing of the slot, so it may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The slot is wrong, and stays wrong.
    #[error("not a valid assertion: {0}")]
    Invalid(Reason),
    /// The issuer cannot be reached. Another try later can succeed.
    #[error("the issuer cannot be reached")]
    Unavailable,
    /// Too many verifications are waiting. Another try soon can succeed.
    #[error("too many verifications are waiting")]
    Busy,
}

impl From<Reason> for IdentityError {
    fn from(reason: Reason) -> Self {
        Self::Invalid(reason)
    }
}

/// What is wrong with a slot. For logs and tests: the caller answers a stranger with less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The header names another algorithm than the key has.
    AlgMismatch,
    /// The header names an algorithm that this issuer may not use.
    AlgNotAllowed,
    /// Made for another site, or for something that is no site.
    AudienceMismatch,
    /// Asked for by another client.
    AzpMismatch,
    /// The certified key cannot be used.
    BadKey,
    /// A signature does not fit.
    BadSignature,
    /// More than one certificate.
    ChainTooLong,
    /// The issuer may not speak for the domain of the e-mail.
    EmailDomainNotAllowed,
    /// Proves another e-mail than was claimed. For callers: no verifier here answers it.
    EmailMismatch,
    /// The issuer has not verified the e-mail.
    EmailNotVerified,
    /// Over.
    Expired,
    /// The certified name is not an e-mail address.
    InvalidEmail,
    /// Nobody has configured this issuer.
    IssuerMismatch,
    /// The named key is not one for this.
    KeyNotUsable,
    /// Not in the format.
    Malformed,
    /// A required member is absent.
    MissingField,
    /// Nobody vouches for it.
    NoCertificate,
    /// Not made for the sign-in that asked for it.
    NonceMismatch,
    /// From the future.
    NotYetValid,
    /// Longer than allowed.
    TooLarge,
    /// No key, or no single one, of the issuer is meant.
    UnknownKid,
    /// The issuer may not speak for this e-mail.
    UntrustedIssuer,
    /// A genuine key, but too weak for the policy.
    WeakKey,
    /// A token for another purpose.
    WrongType,
}

impl Reason {
    /// The reason as a stable code, the same as in the test vectors.
    pub fn code(self) -> &'static str {
        match self {
            Self::AlgMismatch => "alg_mismatch",
            Self::AlgNotAllowed => "alg_not_allowed",
            Self::AudienceMismatch => "audience_mismatch",
            Self::AzpMismatch => "azp_mismatch",
            Self::BadKey => "bad_key",
            Self::BadSignature => "bad_signature",
            Self::ChainTooLong => "chain_too_long",
            Self::EmailDomainNotAllowed => "email_domain_not_allowed",
            Self::EmailMismatch => "email_mismatch",
            Self::EmailNotVerified => "email_not_verified",
            Self::Expired => "expired",
            Self::InvalidEmail => "invalid_email",
            Self::IssuerMismatch => "issuer_mismatch",
            Self::KeyNotUsable => "key_not_usable",
            Self::Malformed => "malformed",
            Self::MissingField => "missing_field",
            Self::NoCertificate => "no_certificate",
            Self::NonceMismatch => "nonce_mismatch",
            Self::NotYetValid => "not_yet_valid",
            Self::TooLarge => "too_large",
            Self::UnknownKid => "unknown_kid",
            Self::UntrustedIssuer => "untrusted_issuer",
            Self::WeakKey => "weak_key",
            Self::WrongType => "wrong_type",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_in_a_log_does_not_show_the_email() {
        let identity = Identity {
            issuer: "idp.example".to_owned(),
            subject: "alice@idp.example".to_owned(),
            email: "alice@idp.example".to_owned(),
            expires_at: UnixMillis::new(1),
            digest: [7; 32],
            generation: None,
        };
        let shown = format!("{identity:?}");
        assert!(shown.contains("idp.example") && !shown.contains("alice"), "{shown}");
    }

    #[test]
    fn an_error_reads_as_its_code() {
        let error = IdentityError::from(Reason::Expired);
        assert_eq!(error.to_string(), "not a valid assertion: expired");
    }
}

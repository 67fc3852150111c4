//! The interface of all verifiers, their result and their errors.
//!
//! It is independent of the format: BrowserID and OpenID Connect return the same [`Identity`].

use std::fmt;
use std::net::IpAddr;

use async_trait::async_trait;
use presence_core::UnixMillis;

/// A verifier of one kind of proof.
#[async_trait]
pub trait Verifier: Send + Sync {
    /// Verifies `proof` at the time `now` and returns the identity that it proves.
    ///
    /// The caller compares the claimed e-mail and detects replays.
    ///
    /// # Errors
    /// [`IdentityError::Invalid`] if the proof is not valid, [`IdentityError::Unavailable`] and
    /// [`IdentityError::Busy`] if it cannot be verified now.
    async fn verify(&self, proof: &str, now: UnixMillis) -> Result<Identity, IdentityError>;

    /// Verifies `proof` like [`Verifier::verify`], for a client at this address. A verifier that
    /// sends requests to hosts which the proof names limits them for each client. A verifier whose
    /// issuers are all configured ignores the address.
    ///
    /// # Errors
    /// The same as [`Verifier::verify`].
    async fn verify_for(
        &self,
        proof: &str,
        now: UnixMillis,
        _client: Option<IpAddr>,
    ) -> Result<Identity, IdentityError> {
        self.verify(proof, now).await
    }
}

/// A verified identity.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The host (or issuer name) that vouches for the e-mail.
    pub issuer: String,
    /// The issuer's name of the user: for BrowserID the certified principal.
    pub subject: String,
    /// The verified e-mail. Its domain is in lower case; its local part is compared byte for byte.
    pub email: String,
    /// The end of the proof: the earlier of the assertion's and the certificate's expiry.
    pub expires_at: UnixMillis,
    /// The end of the time for which the proof is accepted, at most `expires_at`.
    pub accepted_until: UnixMillis,
    /// The SHA-256 of the signed texts: the key for a replay cache, which keeps it until
    /// `accepted_until`. The text of the proof is not suitable as the key, because one assertion
    /// has several spellings (rule 32).
    pub digest: [u8; 32],
    /// The claim `fxa-generation` in milliseconds, if the issuer gives it. It grows when the
    /// password changes, so the caller rejects a smaller value than an earlier one (rule 31).
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

/// The error of a verification. It contains no part of the proof, so it may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The proof is not valid. Another try cannot succeed.
    #[error("not a valid assertion: {0}")]
    Invalid(Reason),
    /// The issuer cannot be reached. A later try can succeed.
    #[error("the issuer cannot be reached")]
    Unavailable,
    /// Too many verifications are waiting. A later try can succeed.
    #[error("too many verifications are waiting")]
    Busy,
}

impl From<Reason> for IdentityError {
    fn from(reason: Reason) -> Self {
        Self::Invalid(reason)
    }
}

/// The reason why a proof is not valid. For logs and tests; clients get less detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The algorithm in the header is not the one of the key.
    AlgMismatch,
    /// The issuer may not use the algorithm in the header.
    AlgNotAllowed,
    /// The audience is another site, or is not a site.
    AudienceMismatch,
    /// The authorized party is another client.
    AzpMismatch,
    /// The certified key cannot be used.
    BadKey,
    /// A signature is not valid.
    BadSignature,
    /// The assertion has more than one certificate.
    ChainTooLong,
    /// The issuer may not certify e-mails of that domain.
    EmailDomainNotAllowed,
    /// The verified e-mail is not the claimed one. Only callers use this reason.
    EmailMismatch,
    /// The issuer has not verified the e-mail.
    EmailNotVerified,
    /// The proof has expired.
    Expired,
    /// The certified name is not an e-mail address.
    InvalidEmail,
    /// The issuer is not configured.
    IssuerMismatch,
    /// The named key may not be used for signatures of this kind.
    KeyNotUsable,
    /// The proof does not follow the format.
    Malformed,
    /// A required member is absent.
    MissingField,
    /// The assertion has no certificate.
    NoCertificate,
    /// The nonce is not the one of this sign-in.
    NonceMismatch,
    /// The proof is not valid yet.
    NotYetValid,
    /// The proof ends too late, or was issued too long ago.
    TooLong,
    /// The proof is longer than allowed.
    TooLarge,
    /// The key ID selects no key of the issuer, or more than one.
    UnknownKid,
    /// The issuer may not certify this e-mail.
    UntrustedIssuer,
    /// The key is valid, but too weak for the policy.
    WeakKey,
    /// The type of the token is not accepted.
    WrongType,
}

impl Reason {
    /// Returns the stable code of the reason, which is the one in the test vectors.
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
            Self::TooLong => "too_long",
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

    /// Holds threat 9.
    #[test]
    fn the_debug_output_of_an_identity_does_not_contain_the_email() {
        let identity = Identity {
            issuer: "idp.example".to_owned(),
            subject: "alice@idp.example".to_owned(),
            email: "alice@idp.example".to_owned(),
            expires_at: UnixMillis::new(1),
            accepted_until: UnixMillis::new(1),
            digest: [7; 32],
            generation: None,
        };
        let output = format!("{identity:?}");
        assert!(output.contains("idp.example") && !output.contains("alice"), "{output}");
    }

    #[test]
    fn an_error_text_contains_the_code_of_its_reason() {
        let error = IdentityError::from(Reason::Expired);
        assert_eq!(error.to_string(), "not a valid assertion: expired");
    }
}

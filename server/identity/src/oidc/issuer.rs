//! One configured issuer, and the verification of its tokens.

use presence_core::UnixMillis;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use url::Url;

use super::algorithm::JwsAlgorithm;
use super::cached_document::{CachedIssuerDocument, DocumentError};
use super::claims::{AgeLimits, Claims};
use super::issuer_keys::IssuerKeys;
use super::key_set_source::{CachedMetadata, KeySetSource};
use super::metadata::{Metadata, MetadataSource};
use super::settings::IssuerSettings;
use crate::browserid::{HostSyntax, email_host};
use crate::fetch::GuardedClient;
use crate::identity::{Identity, IdentityError, Reason};
use crate::jws::{Jws, SignedMessage};

/// The maximum size of a token, in bytes: the same as of an assertion.
const MAX_TOKEN_BYTES: usize = 10_240;
/// The default of the time after its issue for which a token is accepted.
pub(super) const MAX_TOKEN_AGE: Duration = Duration::from_mins(15);
/// The maximum nesting depth of the JSON.
const MAX_JSON_DEPTH: usize = 32;
/// The types of tokens that are rejected in any configuration: they are not ID tokens.
const FORBIDDEN_TYPES: [&str; 4] = ["at+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt"];

/// A parsed token, not verified yet.
pub(super) struct Token {
    signed: SignedMessage,
    claims: Claims,
    kid: Option<String>,
    typ: Option<String>,
}

impl Token {
    pub(super) fn read(token: &str) -> Result<Self, Reason> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Reason::TooLarge);
        }
        let Jws { header, signed, payload } = Jws::parse(token, MAX_JSON_DEPTH)?;
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(value) => {
                value.as_str().map(|text| Some(text.to_owned())).ok_or(Reason::Malformed)
            }
        };
        let (kid, typ) = (text("kid")?, text("typ")?);
        Ok(Self { signed, claims: Claims::read(&payload)?, kid, typ })
    }

    /// Returns the unverified claim `iss`.
    pub(super) fn issuer(&self) -> &str {
        &self.claims.issuer
    }
}

/// A configured issuer.
pub(super) struct Issuer {
    settings: IssuerSettings,
    /// The time after its issue for which a token is accepted.
    max_token_age: Duration,
    client: GuardedClient,
    metadata: Arc<CachedMetadata>,
    keys: IssuerKeys,
}

impl Issuer {
    pub(super) fn new(
        settings: IssuerSettings,
        max_token_age: Duration,
        client: GuardedClient,
    ) -> Self {
        let source = MetadataSource { client: client.clone(), issuer: settings.issuer.clone() };
        let metadata = Arc::new(CachedIssuerDocument::new(source));
        let pinned = settings.jwks_uri.as_deref().and_then(|url| Url::parse(url).ok());
        let source = KeySetSource::new(client.clone(), pinned, Arc::clone(&metadata));
        let keys = IssuerKeys::new(Arc::new(source));
        Self { settings, max_token_age, client, metadata, keys }
    }

    /// Creates an issuer with another source of keys.
    #[cfg(test)]
    pub(super) fn with_keys(
        settings: IssuerSettings,
        keys: Arc<dyn super::cached_document::DocumentSource<Document = super::key_set::KeySet>>,
    ) -> Self {
        let client = GuardedClient::new(crate::fetch::GuardOptions::default()).unwrap();
        Self { keys: IssuerKeys::new(keys), ..Self::new(settings, MAX_TOKEN_AGE, client) }
    }

    pub(super) fn settings(&self) -> &IssuerSettings {
        &self.settings
    }

    pub(super) fn client(&self) -> &GuardedClient {
        &self.client
    }

    pub(super) async fn metadata(&self, now: UnixMillis) -> Result<Arc<Metadata>, IdentityError> {
        self.metadata.get(now).await
    }

    /// Refreshes the documents that expire soon.
    ///
    /// # Errors
    /// If the issuer is down.
    pub(super) async fn refresh_if_due(&self, now: UnixMillis) -> Result<(), DocumentError> {
        let has_metadata = !self.needs_metadata() || self.metadata.refresh_if_due(now).await;
        if has_metadata && self.keys.refresh_if_due(now).await {
            Ok(())
        } else {
            Err(self.last_error())
        }
    }

    /// Returns the number of usable keys.
    ///
    /// # Errors
    /// If a document of the issuer is not available.
    pub(super) async fn usable_keys(&self, now: UnixMillis) -> Result<usize, DocumentError> {
        if self.needs_metadata() {
            self.metadata(now).await.map_err(|_| self.last_error())?;
        }
        Ok(self.keys.get(now).await.map_err(|_| self.last_error())?.usable())
    }

    /// Returns true if the metadata is needed: for the sign-in of browsers, or because the address
    /// of the keys is not configured.
    fn needs_metadata(&self) -> bool {
        self.settings.sign_in || self.settings.jwks_uri.is_none()
    }

    fn last_error(&self) -> DocumentError {
        self.metadata.last_error().or(self.keys.last_error()).unwrap_or(DocumentError::Busy)
    }

    /// Verifies a token of this issuer. If `nonce` is given, the token must contain it.
    ///
    /// # Errors
    /// The first check that failed, or [`IdentityError::Unavailable`] if there are no keys.
    pub(super) async fn verify(
        &self,
        token: Token,
        nonce: Option<&str>,
        now: UnixMillis,
    ) -> Result<Identity, IdentityError> {
        let algorithm = self.check_header(&token)?;
        self.check_claims(&token.claims, nonce, now)?;
        let email = self.email(&token.claims)?;
        let Token { signed, claims, kid, .. } = token;
        let keys = self.keys.find(kid.as_deref(), algorithm, now).await?;
        let is_valid = keys
            .select(kid.as_deref(), algorithm)?
            .iter()
            .any(|key| key.verify(algorithm, signed.input.as_bytes(), &signed.signature));
        if !is_valid {
            return Err(Reason::BadSignature.into());
        }
        let accepted_until = claims.accepted_until(self.max_token_age);
        Ok(Identity {
            issuer: self.settings.issuer.clone(),
            subject: claims.subject,
            email,
            expires_at: claims.expires_at,
            accepted_until,
            digest: sha256(signed.input.as_bytes()),
            generation: None,
        })
    }

    fn check_header(&self, token: &Token) -> Result<JwsAlgorithm, Reason> {
        if let Some(typ) = &token.typ {
            let is = |name: &str| typ.eq_ignore_ascii_case(name);
            let accepted = is("JWT") || self.settings.token_types.iter().any(|name| is(name));
            if !accepted || FORBIDDEN_TYPES.into_iter().any(is) {
                return Err(Reason::WrongType);
            }
        }
        let allowed = &self.settings.algorithms;
        allowed
            .iter()
            .copied()
            .find(|algorithm| algorithm.name() == token.signed.alg)
            .ok_or(Reason::AlgNotAllowed)
    }

    fn check_claims(
        &self,
        claims: &Claims,
        nonce: Option<&str>,
        now: UnixMillis,
    ) -> Result<(), Reason> {
        let settings = &self.settings;
        if !settings.has_identifier(&claims.issuer) {
            return Err(Reason::IssuerMismatch);
        }
        if !claims.audiences.iter().any(|audience| settings.client_ids.contains(audience)) {
            return Err(Reason::AudienceMismatch);
        }
        let allowed = |party: &String| {
            settings.client_ids.contains(party) || settings.authorized_parties.contains(party)
        };
        match &claims.authorized_party {
            Some(party) if !allowed(party) => return Err(Reason::AzpMismatch),
            None if claims.audiences.len() > 1 => return Err(Reason::AzpMismatch),
            Some(_) | None => {}
        }
        let limits = AgeLimits { token: self.max_token_age, authentication: settings.max_age() };
        claims.check_times(now, limits)?;
        if nonce.is_some() && claims.nonce.as_deref() != nonce {
            return Err(Reason::NonceMismatch);
        }
        Ok(())
    }

    /// Returns the account: the verified e-mail, or an address made of the subject if the issuer
    /// has a subject domain.
    fn email(&self, claims: &Claims) -> Result<String, Reason> {
        let settings = &self.settings;
        if let Some(domain) = &settings.subject_domain {
            let account = format!("{}@{domain}", claims.subject);
            email_host(&account, HostSyntax::Public).ok_or(Reason::InvalidEmail)?;
            return Ok(account);
        }
        let email = claims.email.as_deref().ok_or(Reason::MissingField)?;
        if !settings.accepts_verification(claims.email_verified.as_ref()) {
            return Err(Reason::EmailNotVerified);
        }
        let (local, host) = email.split_once('@').ok_or(Reason::InvalidEmail)?;
        // Host names are case-insensitive, and issuers pass on the spelling of their users.
        let email = format!("{local}@{}", host.to_ascii_lowercase());
        let host = email_host(&email, HostSyntax::Public).ok_or(Reason::InvalidEmail)?;
        if !settings.allows_domain(host) {
            return Err(Reason::EmailDomainNotAllowed);
        }
        Ok(email)
    }
}

fn sha256(text: &[u8]) -> [u8; 32] {
    let mut result = [0; 32];
    let hash = digest::digest(&digest::SHA256, text);
    result.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
    result
}

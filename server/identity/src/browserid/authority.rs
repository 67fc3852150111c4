//! The search for the issuer that may certify e-mails of a domain, and for its keys (rules 20 to
//! 23).

use std::net::IpAddr;
use std::sync::Arc;

use super::key::PublicKey;
use super::key_source::{DocumentQuery, KeySource, LookupError};
use super::names;
use super::policy::Policy;
use super::support_document::SupportDocument;
use crate::identity::{IdentityError, Reason};

/// The result of discovery: the issuer for a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Authority {
    /// The host that certifies e-mails of the domain, with its keys.
    Host { host: String, keys: Arc<[PublicKey]> },
    /// The domain, or a host that it delegates to, has disabled certificates.
    Disabled,
    /// The domain has no document, or its delegation leads to none.
    Absent,
}

/// The search for the issuer of a domain.
#[derive(Clone, Copy)]
pub(crate) struct AuthoritySearch<'a> {
    pub(crate) source: &'a dyn KeySource,
    pub(crate) policy: &'a Policy,
    /// The domain of the e-mail.
    pub(crate) domain: &'a str,
    /// The address of the client.
    pub(crate) client: Option<IpAddr>,
}

impl AuthoritySearch<'_> {
    /// Returns the keys of `issuer`, if it may certify e-mails of the domain.
    pub(crate) async fn issuer_keys(
        &self,
        issuer: &str,
    ) -> Result<Arc<[PublicKey]>, IdentityError> {
        if self.policy.trusts(issuer) {
            return self.own_keys(issuer).await;
        }
        match self.discover().await? {
            Authority::Host { host, keys } if host == issuer => Ok(keys),
            Authority::Disabled | Authority::Absent
                if self.policy.fallback.as_deref() == Some(issuer) =>
            {
                self.own_keys(issuer).await
            }
            Authority::Host { .. } | Authority::Disabled | Authority::Absent => {
                Err(Reason::UntrustedIssuer.into())
            }
        }
    }

    /// Returns the keys in the own document of `issuer`, which may certify e-mails of any domain.
    /// The query names its own domain, so that a client cannot cause one request per domain.
    async fn own_keys(&self, issuer: &str) -> Result<Arc<[PublicKey]>, IdentityError> {
        let query = DocumentQuery { host: issuer, domain: issuer, client: self.client };
        match self.source.document(query).await? {
            Some(SupportDocument::Supported { keys }) => Ok(keys),
            Some(SupportDocument::Delegated { .. } | SupportDocument::Disabled) | None => {
                Err(Reason::UntrustedIssuer.into())
            }
        }
    }

    /// Follows the delegations from the domain to its issuer.
    pub(crate) async fn discover(&self) -> Result<Authority, LookupError> {
        let mut visited = Vec::new();
        let mut host = self.domain.to_owned();
        loop {
            match self.document(&host).await? {
                Some(SupportDocument::Supported { keys }) => {
                    return Ok(Authority::Host { host, keys });
                }
                Some(SupportDocument::Disabled) => return Ok(Authority::Disabled),
                None => return Ok(Authority::Absent),
                Some(SupportDocument::Delegated { authority }) => {
                    visited.push(host);
                    let may_follow = names::is_host(&authority, self.policy.hosts())
                        && !visited.contains(&authority)
                        && visited.len() <= self.policy.max_delegations;
                    if !may_follow {
                        return Ok(Authority::Absent);
                    }
                    host = authority;
                }
            }
        }
    }

    async fn document(&self, host: &str) -> Result<Option<SupportDocument>, LookupError> {
        let Self { domain, client, .. } = *self;
        self.source.document(DocumentQuery { host, domain, client }).await
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::browserid::key_source::PinnedKeys;

    /// Holds rule 21 and threat 8.
    #[tokio::test]
    async fn only_the_fallback_certifies_for_a_disabled_domain() {
        let source = PinnedKeys::new()
            .with("off.example", SupportDocument::Disabled)
            .with("fallback.example", supported())
            .with("other.example", supported());
        let policy = Policy { fallback: Some("fallback.example".to_owned()), ..Policy::default() };
        assert!(issuer_keys(&source, &policy, "fallback.example", "off.example").await.is_ok());
        for issuer in ["other.example", "off.example"] {
            let rejected = issuer_keys(&source, &policy, issuer, "off.example").await;
            assert_eq!(rejected, Err(Reason::UntrustedIssuer.into()), "{issuer}");
        }
    }

    /// Holds rule 21 and threat 8.
    #[tokio::test]
    async fn a_trusted_issuer_certifies_for_every_domain_with_its_own_keys() {
        let source = PinnedKeys::new()
            .with("idp.example", supported())
            .with("mail.example", supported())
            .with(
                "delegating.example",
                SupportDocument::Delegated { authority: "idp.example".to_owned() },
            );
        let trusted_issuers = vec![
            "idp.example".to_owned(),
            "delegating.example".to_owned(),
            "absent.example".to_owned(),
        ];
        let policy = Policy { trusted_issuers, ..Policy::default() };
        assert!(issuer_keys(&source, &policy, "idp.example", "mail.example").await.is_ok());
        for issuer in ["delegating.example", "absent.example"] {
            let rejected = issuer_keys(&source, &policy, issuer, "mail.example").await;
            assert_eq!(rejected, Err(Reason::UntrustedIssuer.into()), "{issuer}");
        }
    }

    /// Holds threat 5.
    #[tokio::test]
    async fn the_fallback_does_not_certify_for_a_domain_whose_host_is_down() {
        let policy = Policy { fallback: Some("fallback.example".to_owned()), ..Policy::default() };
        let outcome =
            issuer_keys(&UnreachableSource, &policy, "fallback.example", "mail.example").await;
        assert_eq!(outcome, Err(IdentityError::Unavailable));
    }

    #[tokio::test]
    async fn keys_of_a_trusted_issuer_and_the_fallback_are_requested_with_their_own_domain() {
        let source = RecordingSource::default();
        let policy = Policy {
            trusted_issuers: vec!["idp.example".to_owned()],
            fallback: Some("fallback.example".to_owned()),
            ..Policy::default()
        };
        for issuer in ["idp.example", "fallback.example"] {
            issuer_keys(&source, &policy, issuer, "mail.example").await.unwrap_err();
        }
        let queries = source.0.lock().unwrap();
        let expected = [
            "idp.example idp.example",
            "mail.example mail.example",
            "fallback.example fallback.example",
        ];
        assert_eq!(*queries, expected);
    }

    /// A source without documents that records the queries.
    #[derive(Default)]
    struct RecordingSource(std::sync::Mutex<Vec<String>>);

    #[async_trait]
    impl KeySource for RecordingSource {
        async fn document(
            &self,
            query: DocumentQuery<'_>,
        ) -> Result<Option<SupportDocument>, LookupError> {
            self.0.lock().unwrap().push(format!("{} {}", query.host, query.domain));
            Ok(None)
        }
    }

    struct UnreachableSource;

    #[async_trait]
    impl KeySource for UnreachableSource {
        async fn document(
            &self,
            _: DocumentQuery<'_>,
        ) -> Result<Option<SupportDocument>, LookupError> {
            Err(LookupError::Unreachable)
        }
    }

    async fn issuer_keys(
        source: &dyn KeySource,
        policy: &Policy,
        issuer: &str,
        domain: &str,
    ) -> Result<Arc<[PublicKey]>, IdentityError> {
        AuthoritySearch { source, policy, domain, client: None }.issuer_keys(issuer).await
    }

    fn supported() -> SupportDocument {
        SupportDocument::Supported { keys: Arc::new([]) }
    }
}

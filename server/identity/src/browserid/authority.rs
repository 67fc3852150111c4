//! Which issuer may speak for a domain, and with which keys (rules 20 to 23).

use std::net::IpAddr;
use std::sync::Arc;

use super::key::PublicKey;
use super::key_source::{KeySource, NoAnswer, Question};
use super::names;
use super::policy::Policy;
use super::support_document::SupportDocument;
use crate::identity::{IdentityError, Reason};

/// Who speaks for a domain, in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Authority {
    /// This host, with these keys.
    Host { host: String, keys: Arc<[PublicKey]> },
    /// The domain (or a host that it refers to) wants no certificates.
    Disabled,
    /// Nobody: there is no document, or it leads nowhere.
    Absent,
}

/// The search for who speaks for a domain.
#[derive(Clone, Copy)]
pub(crate) struct Search<'a> {
    pub(crate) source: &'a dyn KeySource,
    pub(crate) policy: &'a Policy,
    /// The domain of the e-mail.
    pub(crate) domain: &'a str,
    /// Where the client is.
    pub(crate) client: Option<IpAddr>,
}

impl Search<'_> {
    /// The keys of `issuer`, if it may speak for e-mails at the domain.
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

    /// The keys in the document of `issuer` itself, which speaks for whatever domain: so it is
    /// asked about its own, and not about each domain that a stranger comes up with.
    async fn own_keys(&self, issuer: &str) -> Result<Arc<[PublicKey]>, IdentityError> {
        let question = Question { host: issuer, domain: issuer, client: self.client };
        match self.source.document(question).await? {
            Some(SupportDocument::Supported { keys }) => Ok(keys),
            Some(SupportDocument::Delegated { .. } | SupportDocument::Disabled) | None => {
                Err(Reason::UntrustedIssuer.into())
            }
        }
    }

    /// Follows the documents from the domain on to the host that speaks for it.
    pub(crate) async fn discover(&self) -> Result<Authority, NoAnswer> {
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
                    let leads_on = names::is_host(&authority, self.policy.hosts())
                        && !visited.contains(&authority)
                        && visited.len() <= self.policy.max_delegations;
                    if !leads_on {
                        return Ok(Authority::Absent);
                    }
                    host = authority;
                }
            }
        }
    }

    async fn document(&self, host: &str) -> Result<Option<SupportDocument>, NoAnswer> {
        let Self { domain, client, .. } = *self;
        self.source.document(Question { host, domain, client }).await
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::browserid::key_source::PinnedKeys;

    #[tokio::test]
    async fn a_disabled_domain_is_left_to_the_fallback_and_to_nobody_else() {
        let source = PinnedKeys::new()
            .with("off.example", SupportDocument::Disabled)
            .with("fallback.example", supported())
            .with("other.example", supported());
        let policy = Policy { fallback: Some("fallback.example".to_owned()), ..Policy::default() };
        assert!(issuer_keys(&source, &policy, "fallback.example", "off.example").await.is_ok());
        for issuer in ["other.example", "off.example"] {
            let refused = issuer_keys(&source, &policy, issuer, "off.example").await;
            assert_eq!(refused, Err(Reason::UntrustedIssuer.into()), "{issuer}");
        }
    }

    #[tokio::test]
    async fn a_trusted_issuer_speaks_for_every_domain_but_needs_keys_of_its_own() {
        let source = PinnedKeys::new()
            .with("idp.example", supported())
            .with("mail.example", supported())
            .with(
                "lazy.example",
                SupportDocument::Delegated { authority: "idp.example".to_owned() },
            );
        let trusted_issuers =
            vec!["idp.example".to_owned(), "lazy.example".to_owned(), "gone.example".to_owned()];
        let policy = Policy { trusted_issuers, ..Policy::default() };
        assert!(issuer_keys(&source, &policy, "idp.example", "mail.example").await.is_ok());
        for issuer in ["lazy.example", "gone.example"] {
            let refused = issuer_keys(&source, &policy, issuer, "mail.example").await;
            assert_eq!(refused, Err(Reason::UntrustedIssuer.into()), "{issuer}");
        }
    }

    #[tokio::test]
    async fn the_fallback_does_not_speak_for_a_domain_that_is_only_down() {
        let policy = Policy { fallback: Some("fallback.example".to_owned()), ..Policy::default() };
        let outcome = issuer_keys(&Down, &policy, "fallback.example", "mail.example").await;
        assert_eq!(outcome, Err(IdentityError::Unavailable));
    }

    #[tokio::test]
    async fn who_speaks_for_every_domain_is_asked_once_and_not_for_each_of_them() {
        let source = Asked::default();
        let policy = Policy {
            trusted_issuers: vec!["idp.example".to_owned()],
            fallback: Some("fallback.example".to_owned()),
            ..Policy::default()
        };
        for issuer in ["idp.example", "fallback.example"] {
            issuer_keys(&source, &policy, issuer, "mail.example").await.unwrap_err();
        }
        let asked = source.0.lock().unwrap();
        let expected = [
            "idp.example idp.example",
            "mail.example mail.example",
            "fallback.example fallback.example",
        ];
        assert_eq!(*asked, expected);
    }

    /// Has no documents, and remembers who was asked about which domain.
    #[derive(Default)]
    struct Asked(std::sync::Mutex<Vec<String>>);

    #[async_trait]
    impl KeySource for Asked {
        async fn document(&self, asked: Question<'_>) -> Result<Option<SupportDocument>, NoAnswer> {
            self.0.lock().unwrap().push(format!("{} {}", asked.host, asked.domain));
            Ok(None)
        }
    }

    struct Down;

    #[async_trait]
    impl KeySource for Down {
        async fn document(&self, _: Question<'_>) -> Result<Option<SupportDocument>, NoAnswer> {
            Err(NoAnswer::Unreachable)
        }
    }

    async fn issuer_keys(
        source: &dyn KeySource,
        policy: &Policy,
        issuer: &str,
        domain: &str,
    ) -> Result<Arc<[PublicKey]>, IdentityError> {
        Search { source, policy, domain, client: None }.issuer_keys(issuer).await
    }

    fn supported() -> SupportDocument {
        SupportDocument::Supported { keys: Arc::new([]) }
    }
}

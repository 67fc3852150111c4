//! The table of the e-mail domains that only one issuer may vouch for, over all verifiers.
//!
//! Each verifier decides for which domains it trusts its issuers. Some of those rules cover every
//! domain, such as the one for the fallback of BrowserID. This table takes away from all of them
//! what belongs to a single issuer: the domain of the development issuer, and the `subject_domain`
//! of an issuer of OpenID Connect, whose addresses exist at that issuer only.

use std::collections::BTreeMap;

use crate::dev_issuer::DevIssuer;
use crate::oidc::IssuerSettings;

/// The only issuer that may vouch for the e-mails of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
enum DomainOwner {
    /// The host of a BrowserID issuer.
    BrowserId(&'static str),
    /// An issuer of OpenID Connect, whose own settings name the domain.
    Oidc,
    /// None: the domain is that of development mode, which is off.
    Nobody,
}

/// The e-mail domains that belong to a single issuer. All others are left to the verifiers.
#[derive(Debug, Clone, Default)]
pub struct DomainTable(BTreeMap<String, DomainOwner>);

impl DomainTable {
    /// Returns the table for these issuers of OpenID Connect.
    pub fn new(issuers: &[IssuerSettings], development: bool) -> Self {
        let subject_domains = issuers.iter().filter_map(|issuer| issuer.subject_domain.clone());
        let mut owners: BTreeMap<_, _> =
            subject_domains.map(|domain| (domain, DomainOwner::Oidc)).collect();
        let of_development =
            if development { DomainOwner::BrowserId(DevIssuer::HOST) } else { DomainOwner::Nobody };
        owners.insert(DevIssuer::HOST.to_owned(), of_development);
        Self(owners)
    }

    /// Returns true if a BrowserID issuer may vouch for an e-mail.
    pub(crate) fn allows_browserid(&self, issuer: &str, email: &str) -> bool {
        match self.owner(email) {
            Some(DomainOwner::BrowserId(owner)) => *owner == issuer,
            Some(DomainOwner::Oidc | DomainOwner::Nobody) => false,
            None => true,
        }
    }

    /// Returns true if an issuer of OpenID Connect that trusts itself for an e-mail may vouch for
    /// it. The settings of these issuers are checked together at the start.
    pub(crate) fn allows_oidc(&self, email: &str) -> bool {
        match self.owner(email) {
            Some(DomainOwner::BrowserId(_) | DomainOwner::Nobody) => false,
            Some(DomainOwner::Oidc) | None => true,
        }
    }

    fn owner(&self, email: &str) -> Option<&DomainOwner> {
        let (_, domain) = email.rsplit_once('@')?;
        self.0.get(domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(development: bool) -> DomainTable {
        let issuer = serde_json::json!({
            "name": "idp",
            "issuer": "https://idp.example",
            "client_ids": ["me"],
            "subject_domain": "accounts.example",
        });
        DomainTable::new(&[serde_json::from_value(issuer).unwrap()], development)
    }

    #[test]
    fn only_its_issuer_vouches_for_a_subject_domain() {
        let table = table(false);
        assert!(!table.allows_browserid("fallback.example", "victim@accounts.example"));
        assert!(!table.allows_browserid("accounts.example", "victim@accounts.example"));
        assert!(table.allows_oidc("victim@accounts.example"));
        assert!(table.allows_browserid("fallback.example", "a@mail.example"));
    }

    #[test]
    fn only_the_development_issuer_vouches_for_its_domain_and_none_in_production() {
        let email = "alice@dev.localhost";
        assert!(table(true).allows_browserid("dev.localhost", email));
        for development in [true, false] {
            assert!(!table(development).allows_browserid("fallback.example", email));
            assert!(!table(development).allows_oidc(email));
        }
        assert!(!table(false).allows_browserid("dev.localhost", email));
    }
}

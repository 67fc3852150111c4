//! The choices of a verifier that the format leaves open (rule 27).
//!
//! By default no issuer is trusted: without `trusted_issuers` and `fallback`, an issuer certifies
//! only for domains whose support documents lead to it. Prefer such documents (pinned, if needed)
//! to `trusted_issuers`, which apply to every domain.

use std::time::Duration;

use super::key::BrowserIdAlgorithm;
use super::names::HostSyntax;

/// The policy of a verifier. The default is the strictest one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The maximum length of an assertion, in bytes.
    pub max_len: usize,
    /// The maximum difference of clocks.
    pub skew: Duration,
    /// The maximum time between now and the end of an assertion.
    pub max_lifetime: Duration,
    /// The algorithms of issuers. [`BrowserIdAlgorithm::Rs64`] is rejected even if listed.
    pub issuer_algs: Vec<BrowserIdAlgorithm>,
    /// The algorithms of users. [`BrowserIdAlgorithm::Rs64`] is rejected even if listed.
    pub user_algs: Vec<BrowserIdAlgorithm>,
    /// The maximum number of delegations in a row.
    pub max_delegations: usize,
    /// Accepts hosts of a single label and hosts with a port. For development only.
    pub allow_host_port: bool,
    /// The maximum depth of JSON (at most 127 in any case).
    pub max_json_depth: usize,
    /// The issuers that may certify for every domain.
    pub trusted_issuers: Vec<String>,
    /// The issuer for domains that have no support of their own.
    pub fallback: Option<String>,
    /// The only accepted issuers, if given, even if other settings name more.
    pub allowed_issuers: Option<Vec<String>>,
    /// Uses `fxa-verifiedEmail` as the e-mail, if it is present in a certificate of
    /// `trusted_issuers` (rule 30).
    pub fxa_verified_email: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_len: 10_240,
            skew: Duration::from_mins(1),
            max_lifetime: Duration::from_mins(15),
            issuer_algs: vec![BrowserIdAlgorithm::Rs256, BrowserIdAlgorithm::Ds256],
            user_algs: vec![
                BrowserIdAlgorithm::Rs256,
                BrowserIdAlgorithm::Ds256,
                BrowserIdAlgorithm::Ds128,
            ],
            max_delegations: 5,
            allow_host_port: false,
            max_json_depth: 128,
            trusted_issuers: Vec::new(),
            fallback: None,
            allowed_issuers: None,
            fxa_verified_email: false,
        }
    }
}

impl Policy {
    pub(crate) fn hosts(&self) -> HostSyntax {
        if self.allow_host_port { HostSyntax::Local } else { HostSyntax::Public }
    }

    pub(crate) fn trusts(&self, issuer: &str) -> bool {
        self.trusted_issuers.iter().any(|trusted| trusted == issuer)
    }

    pub(crate) fn allows(&self, issuer: &str) -> bool {
        self.allowed_issuers.as_ref().is_none_or(|allowed| allowed.iter().any(|one| one == issuer))
    }
}

//! What is accepted, where the format leaves a choice.
//!
//! The defaults trust nobody: without `trusted_issuers` and `fallback` an issuer speaks only for
//! the domains whose support documents lead to it. Prefer such documents (pinned ones will do) to
//! `trusted_issuers`, which hold for every domain.

use std::time::Duration;

use super::key::Algorithm;
use super::names::Hosts;

/// The choices of a verifier. `Default` gives the strict ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The longest assertion, in bytes.
    pub max_len: usize,
    /// How far clocks may disagree.
    pub skew: Duration,
    /// What issuers may sign with. [`Algorithm::Rs64`] is refused even if listed.
    pub issuer_algs: Vec<Algorithm>,
    /// What users may sign with. [`Algorithm::Rs64`] is refused even if listed.
    pub user_algs: Vec<Algorithm>,
    /// How often a domain may refer to another one.
    pub max_delegations: usize,
    /// Development only: hosts may be single labels and have ports.
    pub allow_host_port: bool,
    /// How deep JSON may be nested (at most 127 in any case).
    pub max_json_depth: usize,
    /// Issuers that may speak for every domain. A strong setting.
    pub trusted_issuers: Vec<String>,
    /// The issuer for domains that have no support of their own.
    pub fallback: Option<String>,
    /// If given, no other issuers are accepted, whatever else is set.
    pub allowed_issuers: Option<Vec<String>>,
    /// For certificates of `trusted_issuers`, take `fxa-verifiedEmail` for the e-mail where there
    /// is one (rule 30).
    pub fxa_verified_email: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_len: 10_240,
            skew: Duration::from_mins(1),
            issuer_algs: vec![Algorithm::Rs256, Algorithm::Ds256],
            user_algs: vec![Algorithm::Rs256, Algorithm::Ds256, Algorithm::Ds128],
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
    pub(crate) fn hosts(&self) -> Hosts {
        if self.allow_host_port { Hosts::Local } else { Hosts::Public }
    }

    pub(crate) fn trusts(&self, issuer: &str) -> bool {
        self.trusted_issuers.iter().any(|trusted| trusted == issuer)
    }

    pub(crate) fn allows(&self, issuer: &str) -> bool {
        self.allowed_issuers.as_ref().is_none_or(|allowed| allowed.iter().any(|one| one == issuer))
    }
}

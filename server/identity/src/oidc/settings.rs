//! The settings of an issuer.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::{Host, Url};

use super::algorithm::JwsAlgorithm;
use crate::browserid::{HostSyntax, email_host};

/// The wildcard for every e-mail domain.
const ANY_DOMAIN: &str = "*";
/// The domain of development mode, which the wildcard does not include.
const DEV_DOMAIN: &str = "dev.localhost";

/// The configuration of an issuer of ID tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own in the file")]
pub struct IssuerSettings {
    /// The name in this server's URLs, such as `google`: 1 to 32 of `a-z 0-9 -`.
    pub name: String,
    /// The name on the button of the sign-in page. If empty, `name` is shown.
    #[serde(default)]
    pub title: String,
    /// The issuer, a URL, exactly as in the claim `iss`.
    pub issuer: String,
    /// Other values of `iss` that the same issuer uses.
    #[serde(default)]
    pub issuer_aliases: Vec<String>,
    /// The clients whose tokens are accepted (`aud`). The first one is used to sign browsers in.
    pub client_ids: Vec<String>,
    /// Other clients that may request a token for one of `client_ids` (`azp`).
    #[serde(default)]
    pub authorized_parties: Vec<String>,
    /// The secret of the first client, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<ClientSecret>,
    /// The algorithms that the issuer may sign with.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<JwsAlgorithm>,
    /// The e-mail domains for which this issuer is trusted, or `*` for every domain.
    #[serde(default)]
    pub email_domains: Vec<String>,
    /// Indicates that a token must state that the e-mail is verified.
    #[serde(default = "default_true")]
    pub require_email_verified: bool,
    /// Indicates that the string `"true"` is accepted as well as the value `true`.
    #[serde(default)]
    pub email_verified_as_text: bool,
    /// If given, an account is `<sub>@<subject_domain>` and the e-mail is ignored: for issuers that
    /// provide no e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_domain: Option<String>,
    /// The maximum time since the user authenticated at the issuer, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u32>,
    /// The types of tokens (`typ`) that are accepted in addition to `JWT`.
    #[serde(default)]
    pub token_types: Vec<String>,
    /// The URL of the keys. If not given, it is taken from the issuer's metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Indicates that the sign-in page offers this issuer.
    #[serde(default = "default_true")]
    pub sign_in: bool,
    /// Indicates that the issuer may be in a private network and use any port.
    #[serde(default)]
    pub internal: bool,
}

fn default_true() -> bool {
    true
}

fn default_algorithms() -> Vec<JwsAlgorithm> {
    vec![JwsAlgorithm::Rs256]
}

impl IssuerSettings {
    /// Returns the name on the button of the sign-in page.
    pub fn title(&self) -> &str {
        if self.title.is_empty() { &self.name } else { &self.title }
    }

    /// Returns true if `iss` equals the issuer or one of its aliases, byte for byte.
    pub(super) fn has_identifier(&self, iss: &str) -> bool {
        self.issuer == iss || self.issuer_aliases.iter().any(|alias| alias == iss)
    }

    /// Returns true if this issuer is trusted for e-mails of a domain.
    pub(super) fn allows_domain(&self, domain: &str) -> bool {
        let is_listed = |one: &String| (one == ANY_DOMAIN && domain != DEV_DOMAIN) || one == domain;
        self.email_domains.iter().any(is_listed)
    }

    /// Returns true if the value of `email_verified` is accepted.
    pub(super) fn accepts_verification(&self, claim: Option<&Value>) -> bool {
        match claim {
            Some(Value::Bool(verified)) => *verified || !self.require_email_verified,
            Some(Value::String(text)) if text == "true" => {
                self.email_verified_as_text || !self.require_email_verified
            }
            Some(_) | None => !self.require_email_verified,
        }
    }

    pub(super) fn max_age(&self) -> Option<Duration> {
        self.max_age_seconds.map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// Returns the first invalid field of this issuer, if any.
    fn problem(&self, development: bool) -> Option<&'static str> {
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_url = |text: &str| is_issuer_url(text, development);
        let is_domain =
            |text: &String| email_host(&format!("a@{text}"), HostSyntax::Public).is_some();
        let any_empty = |texts: &[String]| texts.iter().any(String::is_empty);
        let is_valid_name =
            (1..=32).contains(&self.name.len()) && self.name.bytes().all(is_allowed);
        let checks = [
            (is_valid_name, "name must be 1 to 32 characters of a-z, 0-9 and -"),
            (
                is_url(&self.issuer) && !self.issuer.contains('?'),
                "issuer must be an https URL without query and fragment",
            ),
            (self.jwks_uri.as_deref().is_none_or(is_url), "jwks_uri must be an https URL"),
            (!self.client_ids.is_empty(), "client_ids must name at least one client"),
            (!any_empty(&self.client_ids), "client_ids must not contain an empty string"),
            (!any_empty(&self.issuer_aliases), "issuer_aliases must not contain an empty string"),
            (!self.algorithms.is_empty(), "algorithms must not be empty"),
            (
                self.email_domains.iter().all(|domain| domain == ANY_DOMAIN || is_domain(domain)),
                "email_domains must be domains in lower case, or \"*\"",
            ),
            (
                self.subject_domain.as_ref().is_none_or(is_domain),
                "subject_domain must be a domain in lower case",
            ),
            (
                self.email_domains.is_empty() != self.subject_domain.is_none(),
                "either email_domains or subject_domain must be given, and not both",
            ),
        ];
        checks.into_iter().find(|(fits, _)| !fits).map(|(_, problem)| problem)
    }
}

/// Returns true for an `https` URL, and in development mode for `http` on a loopback address.
fn is_issuer_url(text: &str, development: bool) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && loopback && development);
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    scheme && bare && url.has_host()
}

/// Checks the settings of each issuer, and of all issuers together.
///
/// # Errors
/// The first problem, in one line that names the issuer.
pub fn validate_issuers(issuers: &[IssuerSettings], development: bool) -> Result<(), String> {
    for (index, issuer) in issuers.iter().enumerate() {
        let before = || issuers.iter().take(index);
        let fail = |problem: &str| Err(format!("{:?}: {problem}", issuer.name));
        if let Some(problem) = issuer.problem(development) {
            return fail(problem);
        }
        if before().any(|other| other.name == issuer.name) {
            return fail("two issuers have this name");
        }
        let names = || issuer.issuer_aliases.iter().chain([&issuer.issuer]);
        if before().any(|other| names().any(|name| other.has_identifier(name))) {
            return fail("the issuer is configured twice");
        }
        let others = || issuers.iter().filter(|other| other.name != issuer.name);
        let Some(domain) = &issuer.subject_domain else { continue };
        let claims = |other: &IssuerSettings| {
            other.allows_domain(domain) || other.subject_domain.as_ref() == Some(domain)
        };
        if others().any(claims) {
            return fail(
                "subject_domain is also a domain of another issuer, which could impersonate its users",
            );
        }
    }
    Ok(())
}

/// The secret of a client. `Debug` does not reveal it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientSecret(String);

impl ClientSecret {
    /// Returns the placeholder that is displayed instead of a secret.
    pub fn hidden() -> Self {
        Self("***".to_owned())
    }

    /// Returns the secret itself.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ClientSecret")
    }
}

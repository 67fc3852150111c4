//! What an operator says of an issuer.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::{Host, Url};

use super::algorithm::JwsAlgorithm;
use crate::browserid::{HostSyntax, email_host};

/// Stands for every e-mail domain.
const ANY_DOMAIN: &str = "*";

/// An issuer of ID tokens, as the operator describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own in the file")]
pub struct IssuerSettings {
    /// The name in this server's own addresses, such as `google`: 1 to 32 of `a-z 0-9 -`.
    pub name: String,
    /// The name on the button of the sign-in page. Empty: as `name`.
    #[serde(default)]
    pub title: String,
    /// The issuer exactly as it names itself in `iss`: a URL.
    pub issuer: String,
    /// Further spellings of `iss` that the same issuer uses.
    #[serde(default)]
    pub issuer_aliases: Vec<String>,
    /// The clients whose tokens are accepted (`aud`). The first one signs browsers in.
    pub client_ids: Vec<String>,
    /// Further clients that may have asked for a token made for one of `client_ids` (`azp`).
    #[serde(default)]
    pub authorized_parties: Vec<String>,
    /// The secret of the first client, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<ClientSecret>,
    /// The algorithms that the issuer may sign with.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<JwsAlgorithm>,
    /// The domains of the e-mails that this issuer is believed for, or `*` for every one.
    #[serde(default)]
    pub email_domains: Vec<String>,
    /// Whether a token must say that the e-mail is verified.
    #[serde(default = "default_true")]
    pub require_email_verified: bool,
    /// Whether the text `"true"` says so too, beside the value `true`.
    #[serde(default)]
    pub email_verified_as_text: bool,
    /// Where it is given, an account is `<sub>@<subject_domain>` and no e-mail is looked at: for
    /// issuers that give none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_domain: Option<String>,
    /// How long ago a user may have proved to the issuer who they are, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u32>,
    /// Types of tokens (`typ`) that are accepted beside `JWT`.
    #[serde(default)]
    pub token_types: Vec<String>,
    /// Where the keys are. Not given: where the issuer's own document says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Whether the sign-in page offers this issuer.
    #[serde(default = "default_true")]
    pub sign_in: bool,
    /// Whether the issuer is in a private network, or on a port of its own.
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
    /// The name on the button of the sign-in page.
    pub fn title(&self) -> &str {
        if self.title.is_empty() { &self.name } else { &self.title }
    }

    /// Whether `iss` is this issuer's, byte for byte.
    pub(super) fn has_identifier(&self, iss: &str) -> bool {
        self.issuer == iss || self.issuer_aliases.iter().any(|alias| alias == iss)
    }

    /// Whether this issuer is believed for e-mails of a domain.
    pub(super) fn allows_domain(&self, domain: &str) -> bool {
        self.email_domains.iter().any(|one| one == ANY_DOMAIN || one == domain)
    }

    /// Whether `email_verified` says enough.
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

    /// What cannot be about these settings alone.
    fn problem(&self, development: bool) -> Option<&'static str> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_url = |text: &str| is_issuer_url(text, development);
        let is_domain =
            |text: &String| email_host(&format!("a@{text}"), HostSyntax::Public).is_some();
        let no_text = |texts: &[String]| texts.iter().any(String::is_empty);
        let named = (1..=32).contains(&self.name.len()) && self.name.bytes().all(plain);
        let checks = [
            (named, "name must be 1 to 32 characters of a-z, 0-9 and -"),
            (
                is_url(&self.issuer) && !self.issuer.contains('?'),
                "issuer must be an https URL without query and fragment",
            ),
            (self.jwks_uri.as_deref().is_none_or(is_url), "jwks_uri must be an https URL"),
            (!self.client_ids.is_empty(), "client_ids must name at least one client"),
            (!no_text(&self.client_ids), "client_ids must not hold an empty text"),
            (!no_text(&self.issuer_aliases), "issuer_aliases must not hold an empty text"),
            (!self.algorithms.is_empty(), "algorithms must name at least one"),
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

/// An address: `https`, or `http` on loopback in development mode.
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

/// Looks whether the settings of all issuers can be, alone and together.
///
/// # Errors
/// What cannot be, in one line that names the issuer.
pub fn validate_issuers(issuers: &[IssuerSettings], development: bool) -> Result<(), String> {
    for (place, issuer) in issuers.iter().enumerate() {
        let before = || issuers.iter().take(place);
        let fail = |problem: &str| Err(format!("{:?}: {problem}", issuer.name));
        if let Some(problem) = issuer.problem(development) {
            return fail(problem);
        }
        if before().any(|other| other.name == issuer.name) {
            return fail("two issuers have this name");
        }
        let names = || issuer.issuer_aliases.iter().chain([&issuer.issuer]);
        if before().any(|other| names().any(|name| other.has_identifier(name))) {
            return fail("the issuer is described twice");
        }
        let others = || issuers.iter().filter(|other| other.name != issuer.name);
        let Some(domain) = &issuer.subject_domain else { continue };
        let claims = |other: &IssuerSettings| {
            other.allows_domain(domain) || other.subject_domain.as_ref() == Some(domain)
        };
        if others().any(claims) {
            return fail(
                "subject_domain belongs to another issuer too, which could pass for its users",
            );
        }
    }
    Ok(())
}

/// The secret of a client. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientSecret(String);

impl ClientSecret {
    /// What stands in its place where it is shown.
    pub fn hidden() -> Self {
        Self("***".to_owned())
    }

    /// The secret itself.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ClientSecret")
    }
}

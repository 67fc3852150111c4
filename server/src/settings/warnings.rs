//! Settings that are allowed and probably not meant, and servers that can never work.

use super::definition::{BrowserIdDiscovery, Settings};
use super::error::{SettingsError, invalid};
use super::similar::{did_you_mean, most_similar};
use super::values::{ENVIRONMENT_PREFIX, is_loopback, origin};

/// The environment variables of the prefix that are no settings: the settings file, the target of a
/// copy, the values of the build, and those of clients.
const OTHER_VARIABLES: [&str; 9] =
    ["CONFIG", "COPY_TO", "SOURCE", "COMMIT", "BUILD", "SERVER", "APPID", "API_KEY", "ASSERTION"];

impl Settings {
    /// Checks that somebody can sign in.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Invalid`] if no issuer is accepted, so that the server can do nothing.
    pub(crate) fn check_sign_in(&self) -> Result<(), SettingsError> {
        let allowed = &self.browserid_allowed_issuers;
        let has_browserid = match self.browserid_discovery {
            BrowserIdDiscovery::Off => false,
            BrowserIdDiscovery::Open => true,
            BrowserIdDiscovery::AllowListed => self
                .browserid_hosts()
                .iter()
                .any(|host| allowed.is_empty() || allowed.contains(host)),
        };
        if self.dev || has_browserid || !self.oidc_issuers.as_slice().is_empty() {
            return Ok(());
        }
        invalid(
            "oidc_issuers",
            "or browserid_issuers must name an issuer that is accepted: nobody can sign in; to try \
             the server on this machine, start it with --dev",
        )
    }

    /// Returns what is allowed and probably not meant, each as one line.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> =
            unknown_variables().map(|name| describe_unknown_variable(&name)).collect();
        let public = origin(&self.public_url);
        let is_public =
            public.as_ref().is_some_and(|url| !url.host().is_some_and(|host| is_loopback(&host)));
        let scheme = public.as_ref().map(url::Url::scheme);
        if is_public && scheme == Some("http") {
            warnings.push(
                "public_url begins with http://: credentials and messages can be read on their way"
                    .to_owned(),
            );
        }
        let has_tls = self.scheme() == "https" || !self.trusted_proxies.is_empty();
        if is_public && scheme == Some("https") && !has_tls {
            warnings.push(
                "public_url begins with https://, and neither tls_certificate nor acme_domains nor \
                 trusted_proxies is set: behind a proxy, all clients share the limits of one address"
                    .to_owned(),
            );
        }
        let host = public.as_ref().and_then(url::Url::host_str).unwrap_or_default();
        if !self.acme_domains.is_empty() && !self.acme_domains.iter().any(|name| name == host) {
            warnings.push(
                "acme_domains does not contain the host of public_url: clients do not accept the \
                 certificate"
                    .to_owned(),
            );
        }
        warnings.extend(self.challenge_warning());
        let metrics = self.metrics_listen();
        if metrics.is_some_and(|address| !address.ip().is_loopback()) {
            warnings.push(
                "metrics_listen is not a loopback address: whoever reaches it can find out who hides"
                    .to_owned(),
            );
        }
        let collector = self.traces_endpoint();
        let is_plain = collector.is_some_and(|url| {
            url.scheme() == "http" && !url.host().is_some_and(|host| is_loopback(&host))
        });
        if is_plain && !self.traces_headers_file.is_empty() {
            warnings.push(
                "traces_endpoint begins with http://: the headers of traces_headers_file can be \
                 read on their way"
                    .to_owned(),
            );
        }
        warnings
    }

    /// Warns of an address that a certificate authority probably does not reach: it connects to
    /// port 443 of each name.
    fn challenge_warning(&self) -> Option<String> {
        let Self { listen, .. } = self;
        let problem = if self.acme_domains.is_empty() {
            return None;
        } else if listen.ip().is_loopback() {
            "no other machine reaches a loopback address"
        } else if listen.port() != 443 && self.trusted_proxies.is_empty() {
            "it is another port"
        } else {
            return None;
        };
        Some(format!(
            "acme_domains is set, and listen is {listen}: the certificate authority connects to \
             port 443 of each name, which must lead to this server, and {problem}"
        ))
    }
}

/// Returns the environment variables with the prefix of settings that are none.
fn unknown_variables() -> impl Iterator<Item = String> {
    std::env::vars_os().filter_map(|(name, _)| {
        let name = name.into_string().ok()?;
        let setting = name.strip_prefix(ENVIRONMENT_PREFIX)?;
        let is_known = OTHER_VARIABLES.contains(&setting)
            || Settings::NAMES.iter().any(|known| known.eq_ignore_ascii_case(setting));
        (!is_known).then_some(name)
    })
}

fn describe_unknown_variable(name: &str) -> String {
    let setting = name.strip_prefix(ENVIRONMENT_PREFIX).unwrap_or(name);
    let similar = most_similar(setting, Settings::NAMES.iter().copied());
    let similar = similar.map(|name| format!("{ENVIRONMENT_PREFIX}{}", name.to_uppercase()));
    let suggestion = did_you_mean(similar.as_deref());
    format!("the environment variable {name} is not a setting{suggestion}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_environment_variable_has_a_suggestion() {
        let warning = describe_unknown_variable("PRESENCE_LISTN");
        assert!(warning.ends_with("; did you mean PRESENCE_LISTEN?"), "{warning}");
        let warning = describe_unknown_variable("PRESENCE_SOMETHING_ELSE");
        assert!(warning.ends_with("is not a setting"), "{warning}");
    }

    #[test]
    fn a_server_that_accepts_no_issuer_can_never_work() {
        let nobody = Settings::default().check_sign_in().unwrap_err().to_string();
        assert!(nobody.contains("nobody can sign in"), "{nobody}");
        let listed =
            Settings { browserid_issuers: vec!["a.example".to_owned()], ..Settings::default() };
        assert!(listed.check_sign_in().is_ok());
        let excluded =
            Settings { browserid_allowed_issuers: vec!["b.example".to_owned()], ..listed };
        assert!(excluded.check_sign_in().is_err());
        let open = BrowserIdDiscovery::Open;
        for working in [
            Settings { dev: true, ..Settings::default() },
            Settings { browserid_discovery: open, ..Settings::default() },
        ] {
            assert!(working.check_sign_in().is_ok());
        }
    }

    #[test]
    fn an_address_that_no_certificate_authority_reaches_is_a_warning() {
        let warnings = |listen: &str, domains: &[&str]| {
            let acme_domains = domains.iter().map(ToString::to_string).collect();
            let listen = listen.parse().unwrap();
            Settings { listen, acme_domains, ..Settings::default() }.warnings().join("\n")
        };
        let name = ["presence.example.org"];
        assert!(
            warnings("127.0.0.1:443", &name).contains("listen is 127.0.0.1:443: the certificate")
        );
        assert!(warnings("0.0.0.0:8443", &name).contains("it is another port"));
        assert!(!warnings("0.0.0.0:443", &name).contains("listen is"));
        assert!(!warnings("127.0.0.1:443", &[]).contains("listen is"));
    }

    #[test]
    fn settings_that_are_probably_not_meant_are_named() {
        let warnings = |public_url: &str, proxies: &[&str]| {
            let trusted_proxies = proxies.iter().map(ToString::to_string).collect();
            let public_url = public_url.to_owned();
            Settings { public_url, trusted_proxies, ..Settings::default() }.warnings().join("\n")
        };
        assert!(warnings("http://presence.example.org", &[]).contains("http://"));
        assert!(warnings("https://presence.example.org", &[]).contains("trusted_proxies"));
        assert!(!warnings("https://presence.example.org", &["127.0.0.1"]).contains("public_url"));
        assert!(!warnings("http://localhost:8080", &[]).contains("public_url"));
    }
}

//! Checks the settings of BrowserID.

use std::collections::BTreeSet;

use presence_identity::browserid::is_issuer_host;

use super::definition::{BrowserIdDiscovery, Settings};
use super::error::{SettingsError, invalid};

/// Checks the settings of BrowserID.
///
/// # Errors
///
/// [`SettingsError::Invalid`].
pub(super) fn check(settings: &Settings) -> Result<(), SettingsError> {
    let fallback = Some(&settings.browserid_fallback).filter(|host| !host.is_empty());
    for (name, hosts) in [
        ("browserid_issuers", settings.browserid_issuers.as_slice()),
        ("browserid_trusted_issuers", settings.browserid_trusted_issuers.as_slice()),
        ("browserid_fallback", fallback.map_or(&[], std::slice::from_ref)),
        ("browserid_allowed_issuers", settings.browserid_allowed_issuers.as_slice()),
    ] {
        if hosts.iter().any(|host| !is_issuer_host(host, settings.dev)) {
            return invalid(
                name,
                "must be host names such as idp.example.org (localhost:PORT only in development mode)",
            );
        }
        let is_off = settings.browserid_discovery == BrowserIdDiscovery::Off;
        if is_off && !hosts.is_empty() {
            return invalid(name, "has no effect while browserid_discovery is off");
        }
    }
    if settings.browserid_verified_email && settings.browserid_trusted_issuers.is_empty() {
        return invalid("browserid_verified_email", "needs browserid_trusted_issuers");
    }
    check_subject_domains(settings)
}

/// Checks that no BrowserID issuer of the settings may vouch for the e-mails of a `subject_domain`,
/// which belong to one issuer of OpenID Connect.
fn check_subject_domains(settings: &Settings) -> Result<(), SettingsError> {
    let allowed = &settings.browserid_allowed_issuers;
    let is_accepted = |host: &&String| allowed.is_empty() || allowed.contains(host);
    let fallback = Some(&settings.browserid_fallback).filter(|host| !host.is_empty());
    for issuer in settings.oidc_issuers.as_slice() {
        let Some(domain) = &issuer.subject_domain else { continue };
        let of_every_domain = settings.browserid_trusted_issuers.iter().find(is_accepted);
        let of_own_domain = settings.browserid_issuers.iter().find(|host| *host == domain);
        for (name, host) in [
            ("browserid_fallback", fallback.filter(is_accepted)),
            ("browserid_trusted_issuers", of_every_domain),
            ("browserid_issuers", of_own_domain.filter(is_accepted)),
        ] {
            let Some(host) = host else { continue };
            let problem = format!(
                "lets {host} vouch for e-mails of {domain}, the subject_domain of the issuer \
                 {:?}: it could sign in as its users",
                issuer.name
            );
            return invalid(name, problem);
        }
    }
    Ok(())
}

impl Settings {
    /// Returns the hosts of the settings that are asked for their BrowserID keys.
    pub(crate) fn browserid_hosts(&self) -> BTreeSet<String> {
        let named = self.browserid_issuers.iter().chain(&self.browserid_trusted_issuers);
        let fallback = Some(&self.browserid_fallback).filter(|host| !host.is_empty());
        named.chain(fallback).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_changed(change: impl FnOnce(&mut Settings)) -> Result<(), String> {
        let mut settings = Settings::default();
        change(&mut settings);
        check(&settings).map_err(|error| error.to_string())
    }

    #[test]
    fn hosts_must_be_host_names_and_loopback_hosts_need_development_mode() {
        let issuers = |host: &str, dev: bool| {
            check_changed(|settings| {
                settings.browserid_issuers = vec![host.to_owned()];
                settings.dev = dev;
            })
        };
        assert_eq!(issuers("idp.example.org", false), Ok(()));
        assert_eq!(issuers("localhost:8000", true), Ok(()));
        for (host, dev) in [
            ("localhost:8000", false),
            ("localhost", false),
            ("127.0.0.1:8000", true),
            ("idp.example.org:8000", true),
            ("https://idp.example.org", false),
            ("IDP.example.org", false),
            ("169.254.169.254", false),
            ("", false),
        ] {
            let problem = issuers(host, dev).unwrap_err();
            assert!(
                problem.starts_with("browserid_issuers must be host names"),
                "{host}: {problem}"
            );
        }
        let fallback =
            check_changed(|settings| settings.browserid_fallback = "localhost:1".to_owned());
        assert!(fallback.unwrap_err().starts_with("browserid_fallback must be"));
    }

    #[test]
    fn settings_without_effect_are_rejected() {
        let off = check_changed(|settings| {
            settings.browserid_discovery = BrowserIdDiscovery::Off;
            settings.browserid_trusted_issuers = vec!["idp.example.org".to_owned()];
        });
        assert!(off.unwrap_err().starts_with("browserid_trusted_issuers has no effect"));
        let alone = check_changed(|settings| settings.browserid_verified_email = true);
        assert!(alone.unwrap_err().starts_with("browserid_verified_email needs"));
    }

    #[test]
    fn no_browserid_issuer_may_vouch_for_a_subject_domain() {
        let issuers = r#"[{"name": "idp", "issuer": "https://idp.example", "client_ids": ["me"],
            "subject_domain": "accounts.example"}]"#;
        let check = |change: fn(&mut Settings)| {
            check_changed(|settings| {
                settings.oidc_issuers = issuers.parse().unwrap();
                change(settings);
            })
        };
        let host = || "b.example".to_owned();
        for problem in [
            check(|settings| settings.browserid_fallback = "b.example".to_owned()),
            check(|settings| settings.browserid_trusted_issuers = vec!["b.example".to_owned()]),
            check(|settings| settings.browserid_issuers = vec!["accounts.example".to_owned()]),
        ] {
            let problem = problem.unwrap_err();
            assert!(problem.contains("vouch for e-mails of accounts.example"), "{problem}");
        }
        assert_eq!(
            check(|settings| settings.browserid_issuers = vec!["b.example".to_owned()]),
            Ok(())
        );
        let excluded = check_changed(|settings| {
            settings.oidc_issuers = issuers.parse().unwrap();
            settings.browserid_fallback = host();
            settings.browserid_allowed_issuers = vec!["other.example".to_owned()];
        });
        assert_eq!(excluded, Ok(()));
    }

    #[test]
    fn trusted_and_fallback_issuers_are_asked_without_being_listed() {
        let settings = Settings {
            browserid_issuers: vec!["a.example".to_owned()],
            browserid_trusted_issuers: vec!["b.example".to_owned()],
            browserid_fallback: "c.example".to_owned(),
            browserid_allowed_issuers: vec!["d.example".to_owned()],
            ..Settings::default()
        };
        let listed: Vec<String> = settings.browserid_hosts().into_iter().collect();
        assert_eq!(listed, ["a.example", "b.example", "c.example"]);
    }
}

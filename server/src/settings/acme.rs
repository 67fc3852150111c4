//! Checks the settings of certificates by ACME.

use std::collections::HashSet;

use url::{Host, Url};

use super::definition::{DEFAULT_DIRECTORY, Settings};
use super::error::{SettingsError, invalid};

/// The maximum number of names in one certificate, which is that of Let's Encrypt.
const MAX_NAMES: usize = 100;

/// Checks that the settings of ACME fit together and to the others.
///
/// # Errors
///
/// [`SettingsError::Invalid`] for the first wrong setting.
pub(super) fn check(settings: &Settings) -> Result<(), SettingsError> {
    if settings.acme_domains.is_empty() {
        return check_unused(settings);
    }
    check_mode(settings)?;
    check_names(&settings.acme_domains)?;
    check_authority(settings)
}

/// Checks that no setting of ACME is set on a server without ACME.
fn check_unused(settings: &Settings) -> Result<(), SettingsError> {
    let set = [
        ("acme_terms_agreed", settings.acme_terms_agreed),
        ("acme_contact", !settings.acme_contact.is_empty()),
        ("acme_directory", settings.acme_directory != DEFAULT_DIRECTORY),
        ("acme_directory_ca", !settings.acme_directory_ca.is_empty()),
        ("acme_eab_key_id", !settings.acme_eab_key_id.is_empty()),
        ("acme_eab_key_file", !settings.acme_eab_key_file.is_empty()),
    ];
    match set.iter().find(|(_, is_set)| *is_set) {
        Some((name, _)) => invalid(name, "must be given with acme_domains"),
        None => Ok(()),
    }
}

fn check_mode(settings: &Settings) -> Result<(), SettingsError> {
    if settings.dev {
        return invalid("acme_domains", "cannot be used in development mode");
    }
    if !settings.tls_certificate.is_empty() {
        return invalid(
            "acme_domains",
            "cannot be used with tls_certificate: leave one of them out",
        );
    }
    if !settings.acme_terms_agreed {
        return invalid(
            "acme_terms_agreed",
            "must be true: the certificate authority issues certificates only to those who agree \
             to its terms of service",
        );
    }
    Ok(())
}

fn check_names(names: &[String]) -> Result<(), SettingsError> {
    if names.len() > MAX_NAMES {
        return invalid("acme_domains", format!("must have at most {MAX_NAMES} names"));
    }
    let mut seen = HashSet::new();
    for name in names {
        let problem = if name.starts_with("*.") {
            "which is a wildcard: a challenge over TLS proves single names only"
        } else if !is_host_name(name) {
            "which is not a host name in lower case such as presence.example.org"
        } else if !seen.insert(name) {
            "which is there twice"
        } else {
            continue;
        };
        return invalid("acme_domains", format!("contains {name:?}, {problem}"));
    }
    Ok(())
}

/// Returns true for a DNS name with at least one dot, in lower case and ASCII.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
    };
    let is_domain = matches!(Host::parse(name), Ok(Host::Domain(_)));
    is_domain && name.len() <= 253 && name.contains('.') && name.split('.').all(is_label)
}

fn check_authority(settings: &Settings) -> Result<(), SettingsError> {
    let directory = Url::parse(&settings.acme_directory).ok();
    let is_directory = directory.is_some_and(|url| {
        url.scheme() == "https"
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    });
    if !is_directory {
        return invalid("acme_directory", format!("must be a URL such as {DEFAULT_DIRECTORY}"));
    }
    // The value is not shown.
    if !settings.acme_contact.is_empty() && !is_email(&settings.acme_contact) {
        return invalid("acme_contact", "must be one e-mail address such as admin@example.org");
    }
    match (settings.acme_eab_key_id.is_empty(), settings.acme_eab_key_file.is_empty()) {
        (true, false) => invalid("acme_eab_key_id", "must be given with acme_eab_key_file"),
        (false, true) => invalid("acme_eab_key_file", "must be given with acme_eab_key_id"),
        (true, true) | (false, false) => Ok(()),
    }
}

fn is_email(text: &str) -> bool {
    let is_plain = |it: u8| it.is_ascii_graphic() && !b",;:<>?\"".contains(&it);
    match text.split_once('@') {
        Some((local, domain)) => {
            !local.is_empty() && text.bytes().all(is_plain) && Host::parse(domain).is_ok()
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> Settings {
        Settings {
            acme_domains: vec!["presence.example.org".to_owned()],
            acme_terms_agreed: true,
            public_url: "https://presence.example.org".to_owned(),
            ..Settings::default()
        }
    }

    /// Returns the error of settings after a change.
    fn problem(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = valid();
        change(&mut settings);
        let error = check(&settings).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    }

    #[test]
    fn names_with_the_terms_agreed_are_enough() {
        check(&valid()).unwrap();
        check(&Settings::default()).unwrap();
        let with_contact = Settings { acme_contact: "a.b+c@example.org".to_owned(), ..valid() };
        check(&with_contact).unwrap();
    }

    #[test]
    fn settings_that_do_not_fit_together_are_refused() {
        for (error, wanted) in [
            (problem(|it| it.dev = true), "acme_domains cannot be used in development mode"),
            (problem(|it| it.tls_certificate = "a.pem".to_owned()), "with tls_certificate"),
            (problem(|it| it.acme_terms_agreed = false), "acme_terms_agreed must be true"),
            (problem(|it| it.acme_eab_key_id = "key".to_owned()), "acme_eab_key_file must be"),
            (problem(|it| it.acme_eab_key_file = "key".to_owned()), "acme_eab_key_id must be"),
        ] {
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn a_setting_of_acme_without_names_is_refused() {
        let set: [fn(&mut Settings); 6] = [
            |it| it.acme_terms_agreed = true,
            |it| it.acme_contact = "admin@example.org".to_owned(),
            |it| it.acme_directory = "https://ca.example/".to_owned(),
            |it| it.acme_directory_ca = "ca.pem".to_owned(),
            |it| it.acme_eab_key_id = "id".to_owned(),
            |it| it.acme_eab_key_file = "key".to_owned(),
        ];
        for change in set {
            let mut settings = Settings::default();
            change(&mut settings);
            let error = check(&settings).unwrap_err().to_string();
            assert!(error.ends_with("must be given with acme_domains"), "{error}");
        }
    }

    #[test]
    fn only_host_names_are_ordered() {
        let long = format!("{}.example", "a".repeat(64));
        for name in [
            "*.example.org",
            "",
            "example",
            "192.0.2.1",
            "[::1]",
            "a..b",
            "-a.example",
            "A.example",
            "a.example.",
            "münchen.example",
            "a b.example",
            "a.example:443",
            "https://a.example",
            "0x7f.1",
            &long,
        ] {
            let error = problem(|it| it.acme_domains = vec![name.to_owned()]);
            assert!(error.starts_with("acme_domains contains"), "{name}: {error}");
        }
        let twice = problem(|it| it.acme_domains.push("presence.example.org".to_owned()));
        assert!(twice.ends_with("which is there twice"), "{twice}");
        let many = (0..=MAX_NAMES).map(|n| format!("n{n}.example")).collect();
        assert!(problem(|it| it.acme_domains = many).contains("at most 100"));
    }

    #[test]
    fn a_directory_is_an_https_url_and_a_contact_one_address_that_is_not_shown() {
        for url in ["http://ca.example/", "ca.example", "", "https://a:b@ca.example/", "file:///x"]
        {
            let error = problem(|it| it.acme_directory = url.to_owned());
            assert!(error.starts_with("acme_directory must be a URL"), "{url}: {error}");
        }
        for contact in ["somebody", "mailto:somebody@example.org", "somebody@", "@b.example"] {
            let error = problem(|it| it.acme_contact = contact.to_owned());
            assert!(error.starts_with("acme_contact must be"), "{contact}");
            assert!(!error.contains("somebody"), "{error}");
        }
        let two = "somebody@example.org,other@example.org";
        assert!(!problem(|it| it.acme_contact = two.to_owned()).contains("somebody"));
    }
}

//! The settings of this program that all servers of a database must share.

use super::definition::Settings;
use super::values::origin;

/// The value of a setting that is empty.
const NOT_SET: &str = "not set";

impl Settings {
    /// Returns the public URL, if one is set. Without one, it follows from the address of each
    /// server.
    pub(super) fn common_public_url(&self) -> String {
        origin(&self.public_url).map_or(NOT_SET.to_owned(), String::from)
    }

    /// Returns the issuers, with their names in the settings file. No secret is among them, and
    /// their order does not count.
    pub(super) fn common_issuers(&self) -> Vec<(&'static str, String)> {
        let oidc = self.oidc_issuers.as_slice().iter();
        let oidc = oidc.map(|issuer| format!("{} {}", issuer.name, issuer.issuer)).collect();
        vec![
            ("browserid_issuers", list(self.browserid_issuers.clone())),
            ("browserid_trusted_issuers", list(self.browserid_trusted_issuers.clone())),
            ("browserid_allowed_issuers", list(self.browserid_allowed_issuers.clone())),
            ("browserid_fallback", list(vec![self.browserid_fallback.clone()])),
            ("oidc_issuers", list(oidc)),
        ]
    }
}

fn list(mut items: Vec<String>) -> String {
    items.retain(|item| !item.is_empty());
    items.sort();
    items.dedup();
    if items.is_empty() { NOT_SET.to_owned() } else { items.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_issuers_and_the_form_of_the_url_do_not_count_and_no_secret_is_in_it() {
        let issuers = |text: &str| text.parse().unwrap();
        let one = Settings {
            public_url: "https://Presence.example.org".to_owned(),
            browserid_issuers: vec!["b.example".to_owned(), "a.example".to_owned()],
            oidc_issuers: issuers(
                r#"[{"name": "one", "issuer": "https://one.example", "client_ids": ["client"],
                     "client_secret": "hidden", "email_domains": ["*"]}]"#,
            ),
            ..Settings::default()
        };
        let other = Settings {
            public_url: "https://presence.example.org/".to_owned(),
            browserid_issuers: vec!["a.example".to_owned(), "b.example".to_owned()],
            ..one.clone()
        };
        assert_eq!(one.common_public_url(), other.common_public_url());
        assert_ne!(one.common_public_url(), Settings::default().common_public_url());
        assert_eq!(one.common_issuers(), other.common_issuers());
        assert!(!format!("{:?}", one.common_issuers()).contains("hidden"));
        assert_ne!(one.common_issuers(), Settings::default().common_issuers());
    }
}

//! The list of OpenID Connect issuers: tables in the file, JSON in a flag or the environment.

use std::fmt;
use std::str::FromStr;

use presence_identity::oidc::{ClientSecret, IssuerSettings, validate_issuers};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The issuers, in the order in which the sign-in page offers them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct OidcIssuers(Vec<IssuerSettings>);

impl OidcIssuers {
    /// Returns the issuers.
    pub fn as_slice(&self) -> &[IssuerSettings] {
        &self.0
    }

    /// Checks each issuer, and all together.
    ///
    /// # Errors
    ///
    /// The reason in one line.
    pub(super) fn check(&self, development: bool) -> Result<(), String> {
        validate_issuers(&self.0, development)
    }

    /// Returns the issuers without their secrets.
    pub(super) fn redacted(&self) -> Self {
        let redact = |issuer: &IssuerSettings| IssuerSettings {
            client_secret: issuer.client_secret.as_ref().map(|_| ClientSecret::hidden()),
            ..issuer.clone()
        };
        Self(self.0.iter().map(redact).collect())
    }
}

impl FromStr for OidcIssuers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text).map(Self).map_err(|error| {
            format!(
                "oidc_issuers must be a JSON list of issuers with the fields of SIGN-IN.md: {error}"
            )
        })
    }
}

impl<'de> Deserialize<'de> for OidcIssuers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ListOrJson)
    }
}

struct ListOrJson;

impl<'de> Visitor<'de> for ListOrJson {
    type Value = OidcIssuers;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("tables [[oidc_issuers]], or a JSON list of issuers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<OidcIssuers, A::Error> {
        let mut issuers = Vec::new();
        while let Some(issuer) = items.next_element()? {
            issuers.push(issuer);
        }
        Ok(OidcIssuers(issuers))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OidcIssuers, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Flags, Settings};

    const GUIDE: &str = include_str!("../../SIGN-IN.md");

    /// Returns the settings that the guide shows.
    fn snippets() -> Vec<&'static str> {
        let mut blocks = GUIDE.split("```toml\n");
        blocks.next();
        blocks.map(|block| block.split("```").next().unwrap()).collect()
    }

    fn load(file: &str) -> Settings {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("presence.toml");
        std::fs::write(&path, file).unwrap();
        Settings::load(&Flags::default(), Some(&path)).unwrap()
    }

    #[test]
    fn the_examples_of_the_guide_can_be_used_alone_and_together() {
        let snippets = snippets();
        let names: Vec<_> = snippets
            .iter()
            .map(|snippet| load(snippet).oidc_issuers.as_slice()[0].name.clone())
            .collect();
        assert_eq!(names, ["google", "keycloak", "auth0", "mozilla"]);
        let apart = snippets.join("\n").replacen("\"example.org\"", "\"other.example\"", 1);
        assert_eq!(load(&apart).oidc_issuers.as_slice().len(), 4);
    }

    #[test]
    fn the_guide_describes_every_field() {
        let settings = load(snippets()[0]);
        let all = serde_json::to_value(&settings.oidc_issuers).unwrap();
        for name in all[0].as_object().unwrap().keys() {
            assert!(GUIDE.contains(&format!("| `{name}` |")), "{name}");
        }
        for name in ["subject_domain", "max_age_seconds", "jwks_uri"] {
            assert!(GUIDE.contains(&format!("| `{name}` |")), "{name}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let settings = load(snippets()[0]);
        assert!(
            !settings.redacted().contains("GOCSPX") && !format!("{settings:?}").contains("GOCSPX")
        );
        assert_eq!(load(&settings.redacted()).oidc_issuers, settings.oidc_issuers.redacted());
    }
}

//! The list of OpenID Connect issuers: tables in the file, JSON in a flag or in the environment.

use std::fmt;
use std::str::FromStr;

use presence_identity::oidc::{ClientSecret, IssuerSettings, check_all};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The issuers, in the order in which the sign-in page offers them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct OidcIssuers(Vec<IssuerSettings>);

impl OidcIssuers {
    /// The issuers.
    pub fn as_slice(&self) -> &[IssuerSettings] {
        &self.0
    }

    /// Whether they can be, alone and together.
    pub(super) fn check(&self, development: bool) -> Result<(), String> {
        check_all(&self.0, development)
    }

    /// The same without secrets.
    pub(super) fn hidden(&self) -> Self {
        let hide = |issuer: &IssuerSettings| IssuerSettings {
            client_secret: issuer.client_secret.as_ref().map(|_| ClientSecret::hidden()),
            ..issuer.clone()
        };
        Self(self.0.iter().map(hide).collect())
    }
}

impl FromStr for OidcIssuers {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text).map(Self)
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

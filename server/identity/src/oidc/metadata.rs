//! The metadata of an issuer: `<issuer>/.well-known/openid-configuration`.

use async_trait::async_trait;
use presence_core::UnixMillis;
use serde_json::Value;
use url::Url;

use super::cached_document::{self, DocumentError, DocumentSource, FetchedDocument};
use crate::fetch::GuardedClient;
use crate::strict_json;

/// The maximum nesting depth of the JSON.
const MAX_JSON_DEPTH: usize = 16;

/// The members of the document that are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) jwks_uri: Url,
    pub(super) authorization_endpoint: Option<Url>,
    pub(super) token_endpoint: Option<Url>,
    /// Indicates that the token endpoint supports the secret in the form only, not in the header.
    pub(super) secret_in_form: bool,
    /// Indicates that the authorization response contains the issuer (RFC 9207).
    pub(super) sends_issuer_parameter: bool,
}

impl Metadata {
    /// Parses the document of `issuer`. Returns `None` if it is invalid or names another issuer.
    pub(super) fn read(text: &[u8], issuer: &str) -> Option<Self> {
        let document = strict_json::object(text, MAX_JSON_DEPTH)?;
        let url = |name: &str| Url::parse(document.get(name)?.as_str()?).ok();
        if document.get("issuer")?.as_str()? != issuer {
            return None;
        }
        let methods = document.get("token_endpoint_auth_methods_supported");
        let supports = |name: &str| match methods {
            Some(Value::Array(methods)) => methods.iter().any(|method| method == name),
            Some(_) | None => false,
        };
        let sends_issuer_parameter = document.get("authorization_response_iss_parameter_supported");
        Some(Self {
            jwks_uri: url("jwks_uri")?,
            authorization_endpoint: url("authorization_endpoint"),
            token_endpoint: url("token_endpoint"),
            secret_in_form: supports("client_secret_post") && !supports("client_secret_basic"),
            sends_issuer_parameter: sends_issuer_parameter == Some(&Value::Bool(true)),
        })
    }
}

/// The source of an issuer's metadata.
pub(super) struct MetadataSource {
    pub(super) client: GuardedClient,
    pub(super) issuer: String,
}

#[async_trait]
impl DocumentSource for MetadataSource {
    type Document = Metadata;

    async fn fetch(&self, _now: UnixMillis) -> Result<FetchedDocument<Metadata>, DocumentError> {
        let base = self.issuer.trim_end_matches('/');
        let url = Url::parse(&format!("{base}/.well-known/openid-configuration"))
            .map_err(|_| DocumentError::Unreadable)?;
        cached_document::fetch(&self.client, &url, |text| Metadata::read(text, &self.issuer)).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::unwrap_in_result, reason = "the value that the test creates is an object")]
    fn read(changes: &Value) -> Option<Metadata> {
        let mut document = json!({
            "issuer": "https://idp.example/",
            "jwks_uri": "https://idp.example/keys",
            "authorization_endpoint": "https://idp.example/authorize",
            "token_endpoint": "https://idp.example/token",
        });
        let members = document.as_object_mut().unwrap();
        members.extend(changes.as_object().unwrap().clone());
        Metadata::read(document.to_string().as_bytes(), "https://idp.example/")
    }

    #[test]
    fn a_document_that_names_another_issuer_is_rejected() {
        assert!(read(&json!({})).is_some());
        for other in ["https://idp.example", "https://evil.example/", ""] {
            assert_eq!(read(&json!({ "issuer": other })), None, "{other}");
        }
        assert_eq!(read(&json!({ "jwks_uri": "keys" })), None);
    }

    #[test]
    fn the_secret_is_sent_in_the_form_only_if_the_header_is_not_supported() {
        let in_form = |methods: Value| {
            read(&json!({ "token_endpoint_auth_methods_supported": methods }))
                .unwrap()
                .secret_in_form
        };
        assert!(!read(&json!({})).unwrap().secret_in_form);
        assert!(!in_form(json!(["client_secret_post", "client_secret_basic"])));
        assert!(in_form(json!(["client_secret_post"])));
    }
}

//! The description of one REST call.

use std::fmt::{Display, Write};

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::server_url::ServerUrl;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A REST call. Invalid parts are reported when the request is built.
pub(super) struct RestCall {
    method: Method,
    /// The path with names in place of its parameters. Log messages show this form.
    template: &'static str,
    path_params: Vec<String>,
    query: String,
    credential: Option<SecretString>,
    body: Option<SecretString>,
    is_idempotent: bool,
}

/// A reply without content.
#[derive(Deserialize)]
pub(super) struct EmptyReply {}

impl RestCall {
    pub(super) fn get(template: &'static str) -> Self {
        Self::new(Method::GET, template).idempotent()
    }

    pub(super) fn delete(template: &'static str) -> Self {
        Self::new(Method::DELETE, template).idempotent()
    }

    /// Begins a `PATCH` call. All of them name the new value, so that they are idempotent.
    pub(super) fn patch(template: &'static str) -> Self {
        Self::new(Method::PATCH, template).idempotent()
    }

    pub(super) fn post(template: &'static str) -> Self {
        Self::new(Method::POST, template)
    }

    fn new(method: Method, template: &'static str) -> Self {
        Self {
            method,
            template,
            path_params: Vec::new(),
            query: String::new(),
            credential: None,
            body: None,
            is_idempotent: false,
        }
    }

    /// Fills the next `{…}` of the path.
    pub(super) fn path_param(mut self, value: impl Display) -> Self {
        self.path_params.push(percent_encoded(&value.to_string(), b""));
        self
    }

    /// Adds a parameter to the query.
    pub(super) fn query(mut self, name: &str, value: impl Display) -> Self {
        let separator = if self.query.is_empty() { '?' } else { '&' };
        // A comma has no special meaning in a query, and its encoded form is three times as long.
        let value = percent_encoded(&value.to_string(), b",");
        let _ = write!(self.query, "{separator}{name}={value}");
        self
    }

    /// Adds the credential.
    pub(super) fn bearer(self, credential: &SecretString) -> Self {
        Self { credential: Some(credential.clone()), ..self }
    }

    /// Adds a JSON body.
    pub(super) fn json(self, body: &impl Serialize) -> Self {
        // The bodies hold only texts and numbers under text keys, which always serialise.
        let body = serde_json::to_string(body).unwrap_or_default();
        Self { body: Some(body.into()), ..self }
    }

    /// Marks the call as idempotent, so that it can be sent again.
    pub(super) fn idempotent(self) -> Self {
        Self { is_idempotent: true, ..self }
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    pub(super) fn template(&self) -> &'static str {
        self.template
    }

    pub(super) fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    /// Builds the request to a server, with the headers that every request has.
    pub(super) fn request(
        &self,
        server: &ServerUrl,
        headers: &HeaderMap,
    ) -> Result<Request<String>, Error> {
        let body = self.body.as_ref().map(|body| body.expose_secret().to_owned());
        let mut request = Request::new(body.unwrap_or_default());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = server.rest(&format!("{}{}", self.path(), self.query))?;
        request.headers_mut().clone_from(headers);
        self.set_headers(request.headers_mut())?;
        Ok(request)
    }

    fn set_headers(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        headers.insert(ACCEPT, JSON);
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, JSON);
        }
        if let Some(credential) = &self.credential {
            let value = HeaderValue::try_from(format!("Bearer {}", credential.expose_secret()));
            let mut value = value.map_err(|_| {
                Error::InvalidArgument("the credential has invalid characters".to_owned())
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(())
    }

    fn path(&self) -> String {
        let mut params = self.path_params.iter();
        let filled = self.template.split('/').map(|part| {
            let param = if part.starts_with('{') { params.next() } else { None };
            param.map_or(part, String::as_str)
        });
        filled.collect::<Vec<_>>().join("/")
    }
}

/// Encodes every byte except the unreserved ones and those of `kept`. A text of dots alone is
/// encoded too, because it would change the path.
fn percent_encoded(text: &str, kept: &[u8]) -> String {
    let is_only_dots = text.bytes().all(|b| b == b'.');
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) || kept.contains(&byte);
        if plain || (byte == b'.' && !is_only_dots) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use presence_protocol::AppId;

    use super::*;

    fn server() -> ServerUrl {
        "https://presence.example/below".parse().unwrap()
    }

    #[test]
    fn path_parameters_fill_the_path_in_order_and_cannot_change_it() {
        for (param, expected) in [
            ("phone-1.work_a~", "phone-1.work_a~"),
            ("a/../b?c#d%e f", "a%2F..%2Fb%3Fc%23d%25e%20f"),
            ("..", "%2E%2E"),
            ("é", "%C3%A9"),
        ] {
            let call = RestCall::delete("/apps/{appid}/keys/{id}").path_param(AppId::from_bits(1));
            let request = call.path_param(param).request(&server(), &HeaderMap::new()).unwrap();
            let expected = format!("/below/apps/00000000000000000000000000000001/keys/{expected}");
            assert_eq!(request.uri().path(), expected);
        }
    }

    #[test]
    fn query_parameters_are_encoded_and_joined() {
        let call = RestCall::get("/presence").query("uid", "a,b").query("after", "c&d");
        let request = call.request(&server(), &HeaderMap::new()).unwrap();
        assert_eq!(request.uri().query(), Some("uid=a,b&after=c%26d"));
    }

    #[test]
    fn a_request_has_its_headers_and_its_credential_is_sensitive() {
        let call = RestCall::post("/session").json(&["a"]).bearer(&"secret".into());
        let request = call.request(&server(), &HeaderMap::new()).unwrap();
        let header = |name| request.headers().get(name).unwrap();
        assert_eq!(header(ACCEPT), "application/json");
        assert_eq!(header(CONTENT_TYPE), "application/json");
        assert_eq!(header(AUTHORIZATION), "Bearer secret");
        assert!(header(AUTHORIZATION).is_sensitive());
        assert_eq!(request.body(), r#"["a"]"#);
        let bare = RestCall::get("/session").request(&server(), &HeaderMap::new()).unwrap();
        assert!(!bare.headers().contains_key(CONTENT_TYPE));
    }

    #[test]
    fn a_credential_with_invalid_characters_is_refused_and_not_printed() {
        let call = RestCall::get("/session").bearer(&"secret\r\nx: y".into());
        let error = call.request(&server(), &HeaderMap::new()).unwrap_err();
        assert!(matches!(&error, Error::InvalidArgument(text) if !text.contains("secret")));
    }
}

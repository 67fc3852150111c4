//! One call, as it is to be made.

use std::fmt::{Display, Write};

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::server_url::ServerUrl;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("presence-client/", env!("CARGO_PKG_VERSION")));

/// A call that is being put together. What cannot be sent comes out when it is made.
pub(super) struct Call {
    method: Method,
    /// The path with names in place of its variable pieces: this is what logs show.
    template: &'static str,
    pieces: Vec<String>,
    query: String,
    credential: Option<SecretString>,
    body: Option<SecretString>,
    twice: bool,
}

/// The answer of a call that has nothing to tell.
#[derive(Deserialize)]
pub(super) struct Done {}

impl Call {
    pub(super) fn get(template: &'static str) -> Self {
        Self::new(Method::GET, template).may_be_made_twice()
    }

    pub(super) fn delete(template: &'static str) -> Self {
        Self::new(Method::DELETE, template).may_be_made_twice()
    }

    /// Ours all name the value that shall be, so they may be made twice.
    pub(super) fn patch(template: &'static str) -> Self {
        Self::new(Method::PATCH, template).may_be_made_twice()
    }

    pub(super) fn post(template: &'static str) -> Self {
        Self::new(Method::POST, template)
    }

    fn new(method: Method, template: &'static str) -> Self {
        let (pieces, query) = (Vec::new(), String::new());
        Self { method, template, pieces, query, credential: None, body: None, twice: false }
    }

    /// Fills the next `{…}` of the path.
    pub(super) fn piece(mut self, value: impl Display) -> Self {
        self.pieces.push(percent_encoded(&value.to_string(), b""));
        self
    }

    /// Adds to the query.
    pub(super) fn query(mut self, name: &str, value: impl Display) -> Self {
        let separator = if self.query.is_empty() { '?' } else { '&' };
        // A comma means nothing in a query, and encoded it would be three times as long.
        let value = percent_encoded(&value.to_string(), b",");
        let _ = write!(self.query, "{separator}{name}={value}");
        self
    }

    /// With the credential.
    pub(super) fn bearer(self, credential: &SecretString) -> Self {
        Self { credential: Some(credential.clone()), ..self }
    }

    /// With a body.
    pub(super) fn json(self, body: &impl Serialize) -> Self {
        // Ours hold only texts and numbers under text keys, which always serialise.
        let body = serde_json::to_string(body).unwrap_or_default();
        Self { body: Some(body.into()), ..self }
    }

    /// Making it twice does the same as making it once.
    pub(super) fn may_be_made_twice(self) -> Self {
        Self { twice: true, ..self }
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    pub(super) fn template(&self) -> &'static str {
        self.template
    }

    pub(super) fn is_harmless_twice(&self) -> bool {
        self.twice
    }

    /// The request to a server.
    pub(super) fn request(&self, server: &ServerUrl) -> Result<Request<String>, Error> {
        let body = self.body.as_ref().map(|body| body.expose_secret().to_owned());
        let mut request = Request::new(body.unwrap_or_default());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = server.rest(&format!("{}{}", self.path(), self.query))?;
        self.fill(request.headers_mut())?;
        Ok(request)
    }

    fn fill(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        headers.insert(ACCEPT, JSON);
        headers.insert(USER_AGENT, AGENT);
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, JSON);
        }
        if let Some(credential) = &self.credential {
            let value = HeaderValue::try_from(format!("Bearer {}", credential.expose_secret()));
            let mut value = value.map_err(|_| {
                Error::InvalidArgument("the credential has characters of no credential".to_owned())
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(())
    }

    fn path(&self) -> String {
        let mut pieces = self.pieces.iter();
        let filled = self.template.split('/').map(|part| {
            let piece = if part.starts_with('{') { pieces.next() } else { None };
            piece.map_or(part, String::as_str)
        });
        filled.collect::<Vec<_>>().join("/")
    }
}

/// Encodes all but what means nothing in a URL, and some more bytes that mean nothing in their place. A piece of dots alone would
/// mean another path.
fn percent_encoded(text: &str, kept: &[u8]) -> String {
    let dots = text.bytes().all(|b| b == b'.');
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) || kept.contains(&byte);
        if plain || (byte == b'.' && !dots) {
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
    fn pieces_fill_the_path_in_order_and_cannot_leave_their_place() {
        for (piece, wanted) in [
            ("phone-1.work_a~", "phone-1.work_a~"),
            ("a/../b?c#d%e f", "a%2F..%2Fb%3Fc%23d%25e%20f"),
            ("..", "%2E%2E"),
            ("é", "%C3%A9"),
        ] {
            let call = Call::delete("/apps/{appid}/keys/{id}").piece(AppId::from_bits(1));
            let request = call.piece(piece).request(&server()).unwrap();
            let wanted = format!("/below/apps/00000000000000000000000000000001/keys/{wanted}");
            assert_eq!(request.uri().path(), wanted);
        }
    }

    #[test]
    fn a_query_is_put_together() {
        let call = Call::get("/presence").query("uid", "a,b").query("after", "c&d");
        let request = call.request(&server()).unwrap();
        assert_eq!(request.uri().query(), Some("uid=a,b&after=c%26d"));
    }

    #[test]
    fn a_request_names_what_it_takes_and_hides_its_credential() {
        let call = Call::post("/session").json(&["a"]).bearer(&"secret".into());
        let request = call.request(&server()).unwrap();
        let header = |name| request.headers().get(name).unwrap();
        assert_eq!(header(ACCEPT), "application/json");
        assert_eq!(header(CONTENT_TYPE), "application/json");
        assert_eq!(header(AUTHORIZATION), "Bearer secret");
        assert!(header(AUTHORIZATION).is_sensitive());
        assert_eq!(request.body(), r#"["a"]"#);
        let bare = Call::get("/session").request(&server()).unwrap();
        assert!(!bare.headers().contains_key(CONTENT_TYPE));
    }

    #[test]
    fn a_credential_that_no_header_can_carry_is_refused_and_not_repeated() {
        let call = Call::get("/session").bearer(&"secret\r\nx: y".into());
        let error = call.request(&server()).unwrap_err();
        assert!(matches!(&error, Error::InvalidArgument(text) if !text.contains("secret")));
    }
}

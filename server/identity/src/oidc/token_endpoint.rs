//! The exchange of a code for an ID token (RFC 6749, section 4.1.3, with RFC 7636).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::flow_error::FlowError;
use super::settings::ClientSecret;
use crate::fetch::{FetchedResponse, GuardedClient};
use crate::strict_json;

/// The maximum nesting depth of the JSON of a response.
const MAX_JSON_DEPTH: usize = 16;

/// The parameters of a token request.
pub(super) struct CodeExchange<'a> {
    pub(super) code: &'a str,
    pub(super) redirect_uri: &'a str,
    pub(super) verifier: &'a str,
}

/// This server as a client of the issuer.
pub(super) struct OidcClient<'a> {
    pub(super) id: &'a str,
    pub(super) secret: Option<&'a ClientSecret>,
    /// Indicates that the secret is sent in the form rather than in a header.
    pub(super) secret_in_form: bool,
}

/// Exchanges a code for an ID token.
///
/// # Errors
/// If the endpoint cannot be reached or rejects the request.
pub(super) async fn exchange_code(
    http: &GuardedClient,
    endpoint: &Url,
    client: &OidcClient<'_>,
    exchange: &CodeExchange<'_>,
) -> Result<String, FlowError> {
    let (form, authorization) = request(client, exchange);
    let fetched = http
        .post_form(endpoint, form, authorization.as_deref())
        .await
        .map_err(|_| FlowError::Unavailable)?;
    read(&fetched)
}

fn request(client: &OidcClient<'_>, exchange: &CodeExchange<'_>) -> (String, Option<String>) {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", exchange.code)
        .append_pair("redirect_uri", exchange.redirect_uri)
        .append_pair("code_verifier", exchange.verifier);
    let authorization = match client.secret {
        Some(secret) if !client.secret_in_form => {
            Some(basic_authorization(client.id, secret.expose()))
        }
        secret => {
            form.append_pair("client_id", client.id);
            if let Some(secret) = secret {
                form.append_pair("client_secret", secret.expose());
            }
            None
        }
    };
    (form.finish(), authorization)
}

/// Returns the `Authorization` header of a client with a secret. The identifier and the secret are
/// form-encoded before they are joined.
fn basic_authorization(id: &str, secret: &str) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret))))
}

fn read(fetched: &FetchedResponse) -> Result<String, FlowError> {
    let response = strict_json::object(&fetched.body, MAX_JSON_DEPTH);
    let text = |name: &str| response.as_ref()?.get(name).and_then(Value::as_str);
    match (fetched.status, text("id_token"), text("error")) {
        (200, Some(token), _) => Ok(token.to_owned()),
        (400..=499, _, Some("invalid_client" | "unauthorized_client")) | (401, _, _) => {
            Err(FlowError::ClientRefused)
        }
        (400..=499, _, _) => Err(FlowError::CodeRefused),
        _ => Err(FlowError::Unavailable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXCHANGE: CodeExchange<'_> =
        CodeExchange { code: "a/b", redirect_uri: "https://p.example/cb", verifier: "v" };

    fn secret() -> ClientSecret {
        serde_json::from_str("\"p:w &\"").unwrap()
    }

    #[test]
    fn a_secret_is_sent_in_the_header_or_in_the_form_if_that_is_required() {
        let secret = secret();
        let client =
            |secret_in_form| OidcClient { id: "me", secret: Some(&secret), secret_in_form };
        let (form, header) = request(&client(false), &EXCHANGE);
        assert_eq!(header.unwrap(), format!("Basic {}", STANDARD.encode("me:p%3Aw+%26")));
        assert!(!form.contains("client_id") && !form.contains("client_secret"), "{form}");
        let (form, header) = request(&client(true), &EXCHANGE);
        assert_eq!(header, None);
        assert!(form.ends_with("&client_id=me&client_secret=p%3Aw+%26"), "{form}");
    }

    #[test]
    fn a_client_without_a_secret_sends_its_identifier() {
        let client = OidcClient { id: "me", secret: None, secret_in_form: false };
        let (form, header) = request(&client, &EXCHANGE);
        assert_eq!(header, None);
        assert_eq!(
            form,
            "grant_type=authorization_code&code=a%2Fb&redirect_uri=https%3A%2F%2Fp.example%2Fcb\
             &code_verifier=v&client_id=me"
        );
    }

    #[test]
    fn a_response_is_a_token_or_an_error_of_the_code_the_client_or_the_provider() {
        let read = |status, body: &str| {
            let body = body.as_bytes().to_vec();
            read(&FetchedResponse { status, content_type: None, max_age: None, body })
        };
        assert_eq!(read(200, r#"{"id_token":"t"}"#), Ok("t".to_owned()));
        let code_refused = Err(FlowError::CodeRefused);
        assert_eq!(read(400, r#"{"error":"invalid_grant"}"#), code_refused);
        assert_eq!(read(400, "nonsense"), code_refused);
        let client_refused = Err(FlowError::ClientRefused);
        assert_eq!(read(400, r#"{"error":"invalid_client"}"#), client_refused);
        assert_eq!(read(401, ""), client_refused);
        for (status, body) in [(200, "{}"), (200, ""), (500, "{}"), (503, r#"{"id_token":"t"}"#)] {
            assert_eq!(read(status, body), Err(FlowError::Unavailable), "{status} {body}");
        }
    }
}

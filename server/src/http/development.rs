//! Development mode: assertions for any address `@dev.localhost`. In any other mode these paths do
//! not exist.

use std::sync::Arc;

use poem::{FromRequest, Request, RequestBody};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use presence_identity::{DevIssuer, DevIssuerError};
use presence_protocol::{ApiError, Errno};

use crate::context::ServerContext;

use super::body::{self, Fields, FromFields, JsonBody};
use super::error_response::ErrorResponse;
use super::operation_error::{DeclaredErrors, OperationError, declared_errors};
use super::request_context;
use super::tag::ApiTag;
use super::views::example;

pub(super) struct DevelopmentApi;

declared_errors! {
    /// The errors of making an assertion.
    AssertionErrors: [InvalidField, NotFound];
    /// The errors of the support document.
    SupportDocumentErrors: [NotFound];
}

/// A request in development mode. In any other mode its path does not exist.
struct Development(Arc<ServerContext>);

impl<'a> FromRequest<'a> for Development {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let context = request_context::context(request)?;
        if context.dev_issuer.is_none() {
            return Err(ErrorResponse::from(Errno::NotFound).into());
        }
        Ok(Self(context))
    }
}

impl Development {
    fn assertion(&self, email: &str, audience: &str) -> Result<NewAssertion, ApiError> {
        let Self(context) = self;
        let assertion = dev_assertion(context, email, audience)?;
        Ok(NewAssertion {
            assertion,
            email: email.to_owned(),
            audience: audience.to_owned(),
            expires_at: (context.service.now() + DevIssuer::DEFAULT_LIFETIME).get(),
        })
    }
}

/// Returns an assertion of the development issuer.
///
/// # Errors
///
/// Returns `NotFound` in any other mode, or `InvalidField`.
pub(crate) fn dev_assertion(
    context: &ServerContext,
    email: &str,
    audience: &str,
) -> Result<String, ApiError> {
    let issuer = context.dev_issuer.as_ref().ok_or(Errno::NotFound)?;
    let (now, lifetime) = (context.service.now(), DevIssuer::DEFAULT_LIFETIME);
    issuer.assertion(email, audience, now, lifetime).map_err(assertion_error)
}

fn assertion_error(error: DevIssuerError) -> ApiError {
    match error {
        DevIssuerError::ForeignEmail => body::invalid("email", "an e-mail address @dev.localhost"),
        DevIssuerError::InvalidAudience => {
            body::invalid("audience", "an origin such as http://localhost:8080")
        }
        DevIssuerError::TooLong | DevIssuerError::Crypto => Errno::Internal.into(),
    }
}

/// The contents of a new assertion.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
struct AssertionRequest {
    /// Any address `@dev.localhost`.
    #[oai(validator(pattern = "^[A-Za-z0-9_!#$%&'*+/=?^`{|}~.-]{1,64}@dev\\.localhost$"))]
    email: String,
    /// The origin of the site that the assertion is for. The default is this server.
    #[oai(validator(
        max_length = 253,
        pattern = "^https?://(([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?\
                   |127\\.0\\.0\\.1|\\[::1\\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?/?$"
    ))]
    audience: Option<String>,
}

impl Example for AssertionRequest {
    fn example() -> Self {
        Self { email: "alice@dev.localhost".to_owned(), audience: None }
    }
}

impl FromFields for AssertionRequest {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            email: fields.required("email", "a string")?,
            audience: fields.optional("audience", "a string")?,
        })
    }
}

/// An identity assertion.
#[derive(Object)]
#[oai(rename = "Assertion", example)]
struct NewAssertion {
    /// The assertion. It is valid for one session, or for the sockets of one device.
    assertion: String,
    /// The e-mail that the assertion proves.
    email: String,
    /// The origin of the site that the assertion is for.
    audience: String,
    /// The time at which the assertion expires.
    expires_at: u64,
}

impl Example for NewAssertion {
    fn example() -> Self {
        Self {
            assertion: example::ASSERTION.to_owned(),
            email: AssertionRequest::example().email,
            audience: "http://localhost:8080".to_owned(),
            expires_at: example::START_TIME,
        }
    }
}

/// The support document of an issuer.
#[derive(Object)]
#[oai(example)]
struct SupportDocument {
    /// The key with which the issuer signs.
    #[oai(rename = "public-key")]
    public_key: PublicKey,
    /// The path of the issuer's sign-in page.
    authentication: String,
    /// The path of the issuer's page that makes certificates.
    provisioning: String,
}

/// An RSA key, its numbers in decimal.
#[derive(Object)]
struct PublicKey {
    /// The algorithm family: `RS`.
    algorithm: String,
    /// The modulus.
    n: String,
    /// The exponent.
    e: String,
}

impl SupportDocument {
    fn of(published: &serde_json::Value) -> Self {
        let text = |pointer: &str| {
            let found = published.pointer(pointer).and_then(serde_json::Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        Self {
            public_key: PublicKey {
                algorithm: text("/public-key/algorithm"),
                n: text("/public-key/n"),
                e: text("/public-key/e"),
            },
            authentication: text("/authentication"),
            provisioning: text("/provisioning"),
        }
    }
}

impl Example for SupportDocument {
    fn example() -> Self {
        Self::of(&serde_json::json!({
            "public-key": {"algorithm": "RS", "n": "2219591567702820539604349763648505", "e": "65537"},
            "authentication": "/auth",
            "provisioning": "/provision",
        }))
    }
}

#[OpenApi(tag = "ApiTag::Development")]
impl DevelopmentApi {
    /// Make an assertion.
    ///
    /// The server's own issuer signs it, and the server checks it like any other. This call exists
    /// in development mode only.
    #[oai(path = "/dev/assertion", method = "post", operation_id = "make_dev_assertion")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn assertion(
        &self,
        development: Development,
        body: JsonBody<AssertionRequest>,
    ) -> Result<Json<NewAssertion>, OperationError<AssertionErrors>> {
        let AssertionRequest { email, audience } = body.0;
        let audience = audience.unwrap_or_else(|| development.0.origin());
        Ok(Json(development.assertion(&email, &audience)?))
    }

    /// Show the development issuer's support document.
    ///
    /// It has the public key with which other verifiers check assertions of `dev.localhost`. This
    /// call exists in development mode only.
    #[oai(
        path = "/.well-known/browserid",
        method = "get",
        operation_id = "get_dev_support_document"
    )]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn support_document(
        &self,
        development: Development,
    ) -> Result<Json<SupportDocument>, OperationError<SupportDocumentErrors>> {
        let issuer = development.0.dev_issuer.as_ref().ok_or(Errno::NotFound)?;
        Ok(Json(SupportDocument::of(issuer.support_document())))
    }
}

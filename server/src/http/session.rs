//! Signing in and out.

use poem::http::header;
use poem_openapi::payload::{Json, Response};
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use presence_core::Scope;
use presence_protocol::ApiError;
use presence_service::sessions;
use secrecy::ExposeSecret;

use crate::cookie::SetCookie;

use super::body::{Fields, FromFields, JsonBody};
use super::credential::SessionAuth;
use super::operation_error::{
    DeclaredErrors, NoErrors, OperationError, StorageErrors, declared_errors,
};
use super::request_context::{self, RequestContext};
use super::tag::ApiTag;
use super::views::{Done, ScopeName, WithHeaders, example};

pub(super) struct SessionApi;

declared_errors! {
    /// The errors of signing in.
    SignInErrors: [
        SlowDown,
        IdentityUnavailable,
        InvalidAssertion,
        EmailMismatch,
        StorageUnavailable,
    ];
}

/// The proof of a user who signs in.
#[derive(Object)]
#[oai(example)]
struct SignIn {
    /// The e-mail that the assertion must prove. May be left out.
    email: Option<String>,
    /// An identity assertion made for this server's origin, or an ID token of a configured OpenID
    /// Connect issuer. It is valid for one session only.
    assertion: String,
    /// The scope of the session. The default is `device`.
    scope: Option<ScopeName>,
}

impl Example for SignIn {
    fn example() -> Self {
        Self {
            email: Some(example::EMAIL.to_owned()),
            assertion: example::ASSERTION.to_owned(),
            scope: Some(ScopeName::Account),
        }
    }
}

impl FromFields for SignIn {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, ApiError> {
        let expected = "device or account";
        let scope: Option<String> = fields.optional("scope", expected)?;
        let known = |name: String| {
            Scope::from_name(&name)
                .map(ScopeName::from)
                .ok_or_else(|| super::body::invalid("scope", expected))
        };
        Ok(Self {
            email: fields.optional("email", "a string")?,
            assertion: fields.required("assertion", "a string")?,
            scope: scope.map(known).transpose()?,
        })
    }
}

/// A new session.
#[derive(Object)]
#[oai(example)]
struct SessionOpened {
    /// The bearer token, which is shown only once.
    token: String,
    /// The verified e-mail.
    email: String,
    /// The scope of the session.
    scope: ScopeName,
    /// The time at which the session ends.
    expires_at: u64,
    /// The value of the header `X-CSRF-Token`, which every write by cookie must have.
    csrf_token: String,
}

impl Example for SessionOpened {
    fn example() -> Self {
        Self {
            token: example::TOKEN.to_owned(),
            email: example::EMAIL.to_owned(),
            scope: ScopeName::Account,
            expires_at: example::START_TIME + 24 * example::HOUR,
            csrf_token: "ZXhhbXBsZSBleGFtcGxlIGV4YW1wbGUgZXhhbXBsZSE".to_owned(),
        }
    }
}

/// A session.
#[derive(Object)]
#[oai(rename = "Session", example, skip_serializing_if_is_none)]
struct SessionView {
    /// The verified e-mail.
    email: String,
    /// The scope of the session.
    scope: ScopeName,
    /// The time at which the session ends.
    expires_at: u64,
    /// The value of the header `X-CSRF-Token`, which every write by cookie must have. Absent
    /// unless the cookie authenticated the request.
    csrf_token: Option<String>,
}

impl Example for SessionView {
    fn example() -> Self {
        Self {
            email: example::EMAIL.to_owned(),
            scope: ScopeName::Account,
            expires_at: example::START_TIME + 24 * example::HOUR,
            csrf_token: None,
        }
    }
}

#[OpenApi(tag = "ApiTag::Session")]
impl SessionApi {
    /// Sign in.
    ///
    /// Returns the token of a new session. A browser on a page of this server's own origin also
    /// gets it as a cookie.
    #[oai(path = "/session", method = "post", operation_id = "create_session")]
    async fn create(
        &self,
        request: RequestContext,
        body: JsonBody<SignIn>,
    ) -> Result<WithHeaders<SessionOpened>, OperationError<SignInErrors>> {
        let SignIn { email, assertion, scope } = body.0;
        let scope = match scope {
            Some(ScopeName::Account) => Scope::Account,
            Some(ScopeName::Device) | None => Scope::Device,
        };
        let service = &request.context.service;
        let client = request.client;
        let opened = service.sessions().open(&assertion, email.as_deref(), scope, client).await?;
        let (token, holder) = (opened.token.expose_secret(), opened.holder);
        let seconds = (holder.expires_at - service.now()).as_secs();
        let response = Response::new(Json(SessionOpened {
            token: token.to_owned(),
            email: holder.email.as_str().to_owned(),
            scope: holder.scope.into(),
            expires_at: holder.expires_at.get(),
            csrf_token: sessions::csrf_token(token),
        }))
        .header(header::CACHE_CONTROL, "no-store");
        if !request.same_origin {
            return Ok(response);
        }
        let cookie = request_context::session_cookie(&request.context, token, seconds);
        Ok(response.header(header::SET_COOKIE, cookie.as_str()))
    }

    /// Show my session.
    ///
    /// Returns the user of the credential, its scope, and the time at which it ends.
    #[oai(path = "/session", method = "get", operation_id = "get_session")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn show(&self, auth: SessionAuth) -> Result<Json<SessionView>, OperationError<NoErrors>> {
        Ok(Json(SessionView {
            email: auth.caller.email.as_str().to_owned(),
            scope: auth.caller.scope.into(),
            expires_at: auth.caller.expires_at.get(),
            csrf_token: auth.csrf_token(),
        }))
    }

    /// Sign out.
    ///
    /// This ends the session, and closes the sockets that were opened with its token.
    #[oai(path = "/session", method = "delete", operation_id = "delete_session")]
    async fn delete(
        &self,
        auth: SessionAuth,
    ) -> Result<WithHeaders<Done>, OperationError<StorageErrors>> {
        auth.service().sessions().close(&auth.caller).await?;
        Ok(done_without_cookie(auth.clear_cookie()))
    }
}

/// Returns a success, with the header that removes the cookie if there was one.
pub(super) fn done_without_cookie(clear_cookie: Option<SetCookie>) -> WithHeaders<Done> {
    let response = Response::new(Done::new());
    match clear_cookie {
        Some(cookie) => response.header(header::SET_COOKIE, cookie.as_str()),
        None => response,
    }
}

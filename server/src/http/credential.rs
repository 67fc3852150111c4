//! The credentials of requests: a user has a session token or its cookie, an AppService an API key.

use std::ops::Deref;
use std::sync::Arc;

use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use presence_core::Scope;
use presence_protocol::{ApiError, AppId, Errno};
use presence_service::PresenceService;
use presence_service::app_services::{self, AuthenticatedAppService, RequestedApplication};
use presence_service::sessions::{self, AuthenticatedUser};

use crate::authorization::bearer;
use crate::client_address;
use crate::client_proof;
use crate::context::ServerContext;
use crate::cookie::SetCookie;
use crate::form::CsrfCheck;

use super::error_response::ErrorResponse;
use super::request_context::{self, RequestContext};
use super::unread_body::UnreadBody;

/// The header that every write by cookie must have.
const CSRF_HEADER: &str = "x-csrf-token";
/// The name of that header's security scheme in the document.
pub(super) const CSRF_TOKEN: &str = "csrf_token";
const SESSION: &str = "session";
pub(super) const SESSION_COOKIE: &str = "session_cookie";
const API_KEY: &str = "api_key";
/// The name of the security scheme of the operator's token.
pub(super) const OPERATOR_TOKEN: &str = "operator_token";

/// Returns the errors of checking a credential of a security scheme.
pub(super) fn errnos(scheme: &str) -> &'static [Errno] {
    match scheme {
        API_KEY => &[
            Errno::SlowDown,
            Errno::NotAuthenticated,
            Errno::UnknownApplication,
            Errno::InvalidApiKey,
            Errno::ApplicationNotActive,
            Errno::Forbidden,
            Errno::StorageUnavailable,
        ],
        OPERATOR_TOKEN => &[],
        _ => &[
            Errno::SlowDown,
            Errno::NotAuthenticated,
            Errno::SessionExpired,
            Errno::Forbidden,
            Errno::StorageUnavailable,
        ],
    }
}

/// A request that a session authenticates.
///
/// Handlers that change something take it out of an extractor that has checked that no other site
/// could have sent the request: [`SessionAuth`], [`AccountAuth`], or the extractor of a form.
pub(crate) struct AuthenticatedRequest {
    pub(crate) context: Arc<ServerContext>,
    pub(crate) caller: AuthenticatedUser,
    /// The session token, if it came in the cookie.
    cookie: Option<String>,
    same_origin: bool,
    csrf: Option<String>,
}

impl AuthenticatedRequest {
    /// Returns the service.
    pub(crate) fn service(&self) -> &PresenceService {
        &self.context.service
    }

    /// Returns the CSRF token that writes must have, if the session came by the cookie.
    pub(crate) fn csrf_token(&self) -> Option<String> {
        self.cookie.as_deref().map(sessions::csrf_token)
    }

    /// Returns the header that removes the cookie, if the session came by it.
    pub(crate) fn clear_cookie(&self) -> Option<SetCookie> {
        self.cookie.as_ref().map(|_| request_context::clear_cookie(&self.context))
    }

    /// Returns the CSRF check that this request must pass before it changes something.
    pub(crate) fn csrf_check(&self) -> CsrfCheck<'_> {
        match &self.cookie {
            Some(session) => CsrfCheck::Cookie {
                session,
                same_origin: self.same_origin,
                header: self.csrf.as_deref(),
            },
            None => CsrfCheck::Bearer,
        }
    }

    /// Rejects a session whose scope is not `account`.
    pub(crate) fn check_scope(&self) -> Result<(), ErrorResponse> {
        match self.caller.scope {
            Scope::Account => Ok(()),
            Scope::Device => {
                Err(forbidden("the session has the scope device, and this call needs account"))
            }
        }
    }

    /// Authenticates a request by its bearer token or its cookie.
    pub(crate) async fn of(request: &Request) -> Result<Self, ErrorResponse> {
        let RequestContext { context, same_origin, .. } = RequestContext::of(request)?;
        let (token, by_cookie) =
            match (bearer(request.headers()), request_context::session_of(request, &context)) {
                (Some(key), _) if app_services::looks_like_api_key(key) => {
                    return Err(forbidden("this call needs the session of a user, not an API key"));
                }
                (Some(token), _) => (token.to_owned(), false),
                (None, Some(token)) => (token, true),
                (None, None) => return Err(Errno::NotAuthenticated.into()),
            };
        let service = &context.service;
        let from = client_address::of(request);
        let caller = if by_cookie {
            service.sessions().authenticate_cookie(&token, from).await?
        } else {
            service.sessions().authenticate(&token, from).await?
        };
        accept_client(request);
        let csrf = request.header(CSRF_HEADER).map(str::to_owned);
        Ok(Self { context, caller, cookie: by_cookie.then_some(token), same_origin, csrf })
    }
}

/// A request of a session of any scope. A write by cookie has passed the CSRF check.
pub(super) struct SessionAuth(AuthenticatedRequest);
/// A request of a session of the scope `account`. A write by cookie has passed the CSRF check.
pub(super) struct AccountAuth(AuthenticatedRequest);

impl SessionAuth {
    fn verify(user: AuthenticatedRequest, writes: bool) -> Result<Self, ErrorResponse> {
        if writes {
            user.csrf_check().check()?;
        }
        Ok(Self(user))
    }
}

impl AccountAuth {
    fn verify(user: AuthenticatedRequest, writes: bool) -> Result<Self, ErrorResponse> {
        user.check_scope()?;
        if writes {
            user.csrf_check().check()?;
        }
        Ok(Self(user))
    }
}

macro_rules! user_extractor {
    ($($name:ident)+) => {$(
        impl Deref for $name {
            type Target = AuthenticatedRequest;

            fn deref(&self) -> &AuthenticatedRequest {
                &self.0
            }
        }

        impl<'a> ApiExtractor<'a> for $name {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                register_schemes(registry);
            }

            fn security_schemes() -> Vec<&'static str> {
                session_schemes()
            }

            async fn from_request(
                request: &'a Request,
                _: &mut RequestBody,
                _: ExtractParamOptions<()>,
            ) -> poem::Result<Self> {
                let user = AuthenticatedRequest::of(request).await?;
                Ok(Self::verify(user, !request.method().is_safe())?)
            }
        }
    )+};
}

user_extractor!(SessionAuth AccountAuth);

/// An AppService whose API key is valid for the Application in the path. The key is checked before
/// the rest of the request is read.
pub(super) struct ApiKeyAuth {
    pub(super) context: Arc<ServerContext>,
    pub(super) app_service: AuthenticatedAppService,
}

impl<'a> ApiExtractor<'a> for ApiKeyAuth {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_schemes(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![API_KEY]
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let context = request_context::context(request)?;
        let key = match bearer(request.headers()) {
            Some(token) if sessions::looks_like_token(token) => Err(forbidden(NEEDS_KEY)),
            Some(key) => Ok(key),
            None if request_context::session_of(request, &context).is_some() => {
                Err(forbidden(NEEDS_KEY))
            }
            None => Err(Errno::NotAuthenticated.into()),
        };
        let key = key?;
        // The router names the parameter itself, so it is read from the path: /apps/<appid>/…
        let named = request.uri().path().split('/').nth(2).and_then(|appid| appid.parse().ok());
        let app: AppId = named.ok_or_else(|| ErrorResponse::from(Errno::UnknownApplication))?;
        let (service, from) = (&context.service, client_address::of(request));
        let app = RequestedApplication::Id(app);
        let checked = service.app_services().authenticate(app, key, from).await;
        if checked.is_ok() {
            accept_client(request);
        }
        Ok(Self { app_service: checked.map_err(ErrorResponse::from)?, context })
    }
}

/// Ends the limits for strangers on a request whose credential was accepted.
fn accept_client(request: &Request) {
    client_proof::complete(request);
    UnreadBody::allow_full_size(request);
}

/// The cause of the error of a call of an AppService with a session.
const NEEDS_KEY: &str = "this call needs an API key, not the session of a user";

fn forbidden(cause: &str) -> ErrorResponse {
    ApiError::detailed(Errno::Forbidden, cause).into()
}

/// Returns the security schemes of a session.
pub(super) fn session_schemes() -> Vec<&'static str> {
    vec![SESSION, SESSION_COOKIE]
}

/// Adds all security schemes to the document.
pub(super) fn register_schemes(registry: &mut Registry) {
    let bearer = |description| MetaSecurityScheme {
        ty: "http",
        description: Some(description),
        name: None,
        key_in: None,
        scheme: Some("bearer"),
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    };
    registry.create_security_scheme(SESSION, bearer("The token of a session: `prt_…`."));
    registry.create_security_scheme(API_KEY, bearer("The key of an AppService: `prs_…`."));
    let operator =
        bearer("The token of the operator: `pro_…`, as `presence-server admin-token` creates it.");
    registry.create_security_scheme(OPERATOR_TOKEN, operator);
    let cookie = MetaSecurityScheme {
        ty: "apiKey",
        name: Some("__Host-presence"),
        key_in: Some("cookie"),
        scheme: None,
        ..bearer(
            "The token of a session, as a browser of this server's own origin gets it (`presence` if the server is reached \
             without TLS). Writes need the same origin and `X-CSRF-Token`.",
        )
    };
    registry.create_security_scheme(SESSION_COOKIE, cookie);
    let csrf = MetaSecurityScheme {
        ty: "apiKey",
        name: Some("X-CSRF-Token"),
        key_in: Some("header"),
        scheme: None,
        ..bearer(
            "The `csrf_token` of the session, beside the cookie. A form carries it in its field `csrf_token` instead.",
        )
    };
    registry.create_security_scheme(CSRF_TOKEN, csrf);
}

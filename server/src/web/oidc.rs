//! Signing in by OpenID Connect: the redirect to the provider, and the return from it.
//!
//! A browser begins at `/sign-in/oidc/<name>?return=<path>` and is sent to the provider, which
//! sends it back to `/sign-in/oidc/<name>/callback`. That address must be registered at the
//! provider. The page of a failure says what to do, and contains nothing that the provider
//! sent. `ServerContext::code_flow` lists the providers.

use askama::Template;
use poem::http::StatusCode;
use poem::web::{Path, Query};
use poem::{Request, RequestBody};
use presence_core::Scope;
use presence_core::expiring_map::Moment;
use presence_identity::oidc::{AuthorizationResponse, CodeFlow, FlowError};
use presence_protocol::{ApiError, Errno};

use crate::context::ServerContext;
use crate::cookie::Cookie;
use crate::http::RequestContext;
use crate::page::{Layout, LocalPath, PageResponse, Section};

use super::page_routes::{FromPageRequest, PageError, PageResult};
use super::request_parts::{ClientAddress, PathAndQuery, SignInQuery};
use super::sign_in;
use super::visitor::Visitor;

/// The time that a browser keeps its secret, in seconds: as long as a user may take at the
/// provider.
const SECRET_SECONDS: u64 = 600;
/// The maximum length of the return path, in bytes, since the address of the provider carries it.
const MAX_RETURN_PATH_BYTES: usize = 2_000;
/// The length of a browser's secret, in bytes.
const SECRET_BYTES: usize = 43;

#[derive(Template)]
#[template(path = "sign_in_failed.html")]
struct SignInFailedPage {
    layout: Layout,
    help: &'static str,
    errno: Errno,
}

/// The secret that identifies this browser. All sign-ins of the browser share it, also those of
/// other tabs.
pub(super) struct BrowserSecret(Option<String>);

impl FromPageRequest for BrowserSecret {
    async fn from_page_request(request: &Request, _: &mut RequestBody) -> Result<Self, PageError> {
        let RequestContext { context, .. } = RequestContext::of(request)?;
        let secret = Cookie::SIGN_IN.read(request, context.is_secure());
        let is_secret = |secret: &String| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            secret.len() == SECRET_BYTES && secret.bytes().all(is_plain)
        };
        Ok(Self(secret.filter(is_secret)))
    }
}

/// Sends the browser to the provider.
pub(super) async fn begin(
    visitor: Visitor,
    Path(provider): Path<String>,
    Query(query): Query<SignInQuery>,
    BrowserSecret(secret): BrowserSecret,
) -> PageResult {
    let context = visitor.context();
    let is_short = |path: &LocalPath| path.as_str().len() <= MAX_RETURN_PATH_BYTES;
    let return_path = query.return_path().filter(is_short);
    let return_path = return_path.unwrap_or_else(|| LocalPath::fixed(sign_in::DEFAULT_PATH));
    let flow = flow(context)?;
    let now = context.service.now();
    let begun = async {
        let secret = secret.map_or_else(CodeFlow::browser_secret, Ok)?;
        let url = flow.begin(&provider, return_path.as_str(), &secret, now).await?;
        Ok((url, secret))
    };
    match begun.await {
        Ok((url, secret)) => {
            let cookie = Cookie::SIGN_IN.set(context.is_secure(), &secret, SECRET_SECONDS);
            Ok(PageResponse::to_provider(&url).with_cookie(&cookie))
        }
        Err(error) => failure_page(&visitor, &provider, error),
    }
}

/// Receives the browser from the provider.
pub(super) async fn finish(
    visitor: Visitor,
    Path(provider): Path<String>,
    BrowserSecret(secret): BrowserSecret,
    path: PathAndQuery,
    ClientAddress(client): ClientAddress,
) -> PageResult {
    let context = visitor.context();
    let response = AuthorizationResponse::from_query(path.query());
    let moment = Moment::of(&*context.service.clock());
    let flow = flow(context)?;
    // Any site can make a browser send a response that fails here, so it counts against nobody.
    let resumed = match flow.resume(&provider, response, secret.as_deref(), moment.now) {
        Ok(resumed) => resumed,
        Err(error) => return failure_page(&visitor, &provider, error),
    };
    let (mut return_path, mut failure) = (String::new(), None);
    // The code is a credential as any other: after too many failures the provider is not asked.
    let finishing = async {
        match flow.finish(resumed, moment).await {
            Ok(finished) => {
                return_path = finished.return_path;
                Ok(finished.identity)
            }
            Err(error) => {
                failure = Some(error);
                Err(ApiError::from(user_message(error).0))
            }
        }
    };
    let sessions = context.service.sessions();
    // This large future must not be part of the caller's.
    let opened = Box::pin(sessions.open_verified(client, Scope::Account, finishing)).await;
    let opened = match (opened, failure) {
        (Ok(opened), _) => opened,
        (Err(error), _) if error.errno == Errno::SlowDown => {
            return failure_page(&visitor, &provider, FlowError::Busy);
        }
        (Err(_), Some(error)) => return failure_page(&visitor, &provider, error),
        (Err(error), None) => return Err(error.into()),
    };
    let return_path = LocalPath::parse(&return_path);
    let return_path = return_path.unwrap_or_else(|| LocalPath::fixed(sign_in::DEFAULT_PATH));
    Ok(sign_in::start_session(&visitor, &opened, &return_path).await)
}

fn flow(context: &ServerContext) -> Result<&CodeFlow, Errno> {
    context.code_flow.as_ref().ok_or(Errno::NotFound)
}

fn failure_page(visitor: &Visitor, provider: &str, error: FlowError) -> PageResult {
    let (errno, title, help) = user_message(error);
    if errno == Errno::NotFound {
        return Err(errno.into());
    }
    if matches!(error, FlowError::ClientRefused | FlowError::Unavailable) {
        warn(provider, error);
    }
    let layout = visitor.layout(title, Section::Unlisted);
    let status = StatusCode::from_u16(errno.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
    Ok(visitor.show_problem(&SignInFailedPage { layout, help, errno }, status))
}

/// Logs a failure that the operator can do something about.
fn warn(provider: &str, error: FlowError) {
    tracing::warn!(provider, %error, "sign_in.failed");
}

/// Returns the error of the registry, a title that says what happened, and a text that says what to
/// do.
fn user_message(error: FlowError) -> (Errno, &'static str, &'static str) {
    match error {
        FlowError::UnknownProvider => (Errno::NotFound, "Page not found", ""),
        FlowError::Stale => (
            Errno::InvalidAssertion,
            "This sign-in has expired",
            "It took too long, was already finished, or was started in another browser. Start \
             again, and allow cookies for this site.",
        ),
        FlowError::Declined => (
            Errno::InvalidAssertion,
            "You were not signed in",
            "You cancelled the sign-in, or your sign-in service did not allow it. Nothing was \
             shared.",
        ),
        FlowError::CodeRefused | FlowError::MixedUp | FlowError::Invalid(_) => (
            Errno::InvalidAssertion,
            "You could not be signed in",
            "Your sign-in service did not confirm your e-mail address. Your address may not be \
             verified there, or it may belong to another service.",
        ),
        FlowError::ClientRefused | FlowError::Unavailable => (
            Errno::IdentityUnavailable,
            "Your sign-in service cannot be reached",
            "You did nothing wrong. Try again in a minute.",
        ),
        FlowError::Busy => (
            Errno::SlowDown,
            "Too many people are signing in at the moment",
            "Wait a moment, then try again.",
        ),
    }
}

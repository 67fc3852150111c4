//! Signing in by OpenID Connect: to the provider, and back.
//!
//! A browser begins at `/sign-in/oidc/<name>?return=<path>` and is sent to the provider, which sends it back to
//! `/sign-in/oidc/<name>/callback`: that address is to be registered there. What goes wrong is shown as a page that says what to do,
//! and nothing of what the provider said. `ServerContext::code_flow` lists the providers.

use askama::Template;
use poem::http::{HeaderValue, StatusCode, header};
use poem::web::{Path, Query};
use poem::{Request, Response, handler};
use presence_core::Scope;
use presence_identity::oidc::{Answer, CodeFlow, FlowError};
use presence_protocol::{ApiError, Errno};
use presence_service::attempts::Attempt;
use serde::Deserialize;

use crate::client_address;
use crate::context::ServerContext;
use crate::http::{ErrorResponse, cookie};
use crate::page::{self, Place, Policy, Shell};

use super::visitor::set_cookie;
use super::{Visitor, return_path, sign_in};

/// How long a browser keeps its secret, in seconds: as long as a user may take at the provider.
const KEPT: u32 = 600;
/// The longest path that is carried to the provider and back, in bytes: addresses must not become too long for it.
const LONGEST_RETURN: usize = 2_000;
/// The length of a browser's secret.
const SECRET: usize = 43;

/// What the beginning is asked with.
#[derive(Deserialize)]
pub(super) struct Wish {
    #[serde(rename = "return")]
    back: Option<String>,
}

#[derive(Template)]
#[template(path = "sign_in_failed.html")]
struct FailedPage {
    shell: Shell,
    help: &'static str,
    errno: Errno,
}

/// Sends the browser to the provider.
#[handler]
pub(super) async fn begin(
    request: &Request,
    visitor: Visitor,
    Path(provider): Path<String>,
    Query(wish): Query<Wish>,
) -> poem::Result<Response> {
    let context = &visitor.context;
    let back = wish.back.as_deref().and_then(return_path::parse);
    let back = back.filter(|back| back.len() <= LONGEST_RETURN).unwrap_or(sign_in::HOME);
    let flow = flow(context)?;
    let begun = match browser(request, context) {
        Some(secret) => Ok(secret),
        None => CodeFlow::browser_secret(),
    };
    let begun = match begun {
        Ok(secret) => {
            let url = flow.begin(&provider, back, &secret, context.service.now()).await;
            url.map(|url| (url, secret))
        }
        Err(error) => Err(error),
    };
    match begun {
        Ok((url, secret)) => {
            let mut response = page::see_other(url.as_str());
            set_cookie(&mut response, &browser_cookie(context, &secret));
            Ok(without_referrer(response))
        }
        Err(error) => failed(&visitor, &provider, error),
    }
}

/// Takes the browser back from the provider.
#[handler]
pub(super) async fn finish(
    request: &Request,
    visitor: Visitor,
    Path(provider): Path<String>,
) -> poem::Result<Response> {
    let context = &visitor.context;
    let answer = Answer::of_query(request.uri().query().unwrap_or_default());
    let secret = browser(request, context);
    let now = context.service.now();
    let flow = flow(context)?;
    let mut fault = FlowError::Busy;
    let finishing = async {
        let finished = flow.finish(&provider, &answer, secret.as_deref(), now).await;
        finished.map_err(|error| {
            fault = error;
            ApiError::from(in_plain_words(error).0)
        })
    };
    // What is brought back is a credential as any other: a code that is no good has the provider asked for nothing.
    let finished =
        context.service.attempt(client_address::of(request), Attempt::SignIn, finishing).await;
    let finished = match finished {
        Ok(finished) => finished,
        Err(ko) if ko.errno == Errno::SlowDown => {
            return failed(&visitor, &provider, FlowError::Busy);
        }
        Err(_) => return failed(&visitor, &provider, fault),
    };
    let opened = context.service.open_session_for(finished.identity, Scope::Account).await;
    let opened = opened.map_err(ErrorResponse::from)?;
    let response = sign_in::enter(request, context, &opened, &finished.return_path).await;
    Ok(without_referrer(response))
}

fn flow(context: &ServerContext) -> Result<&CodeFlow, ErrorResponse> {
    context.code_flow.as_ref().ok_or(ErrorResponse::from(Errno::NotFound))
}

/// The name of the cookie; over TLS one that browsers keep to this host.
fn cookie_name(context: &ServerContext) -> &'static str {
    if context.is_secure() { "__Host-presence-sign-in" } else { "presence-sign-in" }
}

/// The secret by which this browser is known, also to a sign-in that it has begun in another tab.
fn browser(request: &Request, context: &ServerContext) -> Option<String> {
    let secret = cookie(request, cookie_name(context))?;
    let plain = secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    (plain && secret.len() == SECRET).then_some(secret)
}

/// The cookie comes along when the provider sends the browser back, which `SameSite=Strict` would forbid.
fn browser_cookie(context: &ServerContext, secret: &str) -> String {
    let (name, secure) = (cookie_name(context), if context.is_secure() { "; Secure" } else { "" });
    format!("{name}={secret}; Path=/; Max-Age={KEPT}; HttpOnly; SameSite=Lax{secure}")
}

/// The addresses on this way hold the code.
fn without_referrer(mut response: Response) -> Response {
    let value = HeaderValue::from_static("no-referrer");
    response.headers_mut().insert(header::REFERRER_POLICY, value);
    response
}

fn failed(visitor: &Visitor, provider: &str, error: FlowError) -> poem::Result<Response> {
    let (errno, title, help) = in_plain_words(error);
    if errno == Errno::NotFound {
        return Err(ErrorResponse::from(errno).into());
    }
    if matches!(error, FlowError::ClientRefused | FlowError::Unavailable) {
        warn(provider, error);
    }
    let shell = visitor.shell(title, Place::Elsewhere);
    let status = StatusCode::from_u16(errno.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
    let page = FailedPage { shell, help, errno };
    Ok(without_referrer(visitor.show_with(&page, status, &Policy::new())))
}

/// Tells the operator.
fn warn(provider: &str, error: FlowError) {
    tracing::warn!(provider, %error, "sign_in.failed");
}

/// What it is to a caller, what happened, and what to do.
fn in_plain_words(error: FlowError) -> (Errno, &'static str, &'static str) {
    match error {
        FlowError::UnknownProvider => (Errno::NotFound, "There is nothing here", ""),
        FlowError::Stale => (
            Errno::InvalidAssertion,
            "This sign-in was not begun here",
            "It took too long, was finished already, or was begun in another browser. Begin again, and allow cookies for this \
             site.",
        ),
        FlowError::Declined => (
            Errno::InvalidAssertion,
            "You were not signed in",
            "You or your identity provider said no. Nothing was shared.",
        ),
        FlowError::CodeRefused | FlowError::MixedUp | FlowError::Invalid(_) => (
            Errno::InvalidAssertion,
            "You could not be signed in",
            "What your identity provider told us does not prove who you are. Your e-mail address may not be verified there, or \
             may not be one that this provider speaks for.",
        ),
        FlowError::ClientRefused | FlowError::Unavailable => (
            Errno::IdentityUnavailable,
            "Your identity provider cannot be reached",
            "This is not your fault. Try again in a minute.",
        ),
        FlowError::Busy => {
            (Errno::SlowDown, "Too many are signing in", "Wait a moment, then try again.")
        }
    }
}

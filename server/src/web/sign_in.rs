//! Signing in and out.

use std::sync::Arc;

use askama::Template;
use poem::http::StatusCode;
use poem::web::Query;
use poem::{Request, Response, handler};
use presence_core::Scope;
use presence_identity::DevIssuer;
use presence_identity::oidc::CodeFlow;
use presence_protocol::Errno;
use presence_service::sessions::NewSession;
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::context::ServerContext;
use crate::http::{self, AuthenticatedRequest, ErrorResponse};
use crate::page::{Notice, Place, Policy, Shell};

use super::visitor::{see_other, set_cookie};
use super::{Form, SignedForm, Visitor, return_path};

/// Where people go who did not say where they want to go.
pub(super) const HOME: &str = "/sidebar";

/// Somebody who knows who people are.
struct Provider {
    /// What it is called.
    label: String,
    /// Where signing in with it begins.
    path: String,
}

/// The providers that this server is configured for. A visitor begins at `/sign-in/oidc/<name>?return=<path>`.
fn providers(context: &ServerContext) -> Vec<Provider> {
    let providers = context.code_flow.iter().flat_map(CodeFlow::providers);
    providers
        .map(|(name, title)| Provider {
            label: title.to_owned(),
            path: format!("{}/{name}", CodeFlow::PATH),
        })
        .collect()
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    shell: Shell,
    back: String,
    providers: Vec<Provider>,
    dev_host: Option<&'static str>,
    typed: String,
    problem: Option<&'static str>,
}

impl SignInPage {
    /// Whether an Application's question waits.
    fn is_for_grant(&self) -> bool {
        self.back.starts_with("/grant/")
    }
}

/// What the page is asked with.
#[derive(Deserialize)]
struct Wish {
    #[serde(rename = "return")]
    back: Option<String>,
}

fn page(visitor: &Visitor, back: String) -> SignInPage {
    let context = &visitor.context;
    SignInPage {
        shell: visitor.shell("Sign in", Place::Elsewhere),
        back,
        providers: providers(context),
        dev_host: context.dev_issuer.as_ref().map(|_| DevIssuer::HOST),
        typed: String::new(),
        problem: None,
    }
}

#[handler]
#[expect(clippy::unused_async, reason = "poem takes async handlers only")]
pub(super) async fn show(visitor: Visitor, Query(wish): Query<Wish>) -> Response {
    let back = wish.back.as_deref().and_then(return_path::parse).unwrap_or(HOME);
    visitor.show(&page(&visitor, back.to_owned()))
}

/// Signs anybody in as anybody of the development issuer.
#[handler]
pub(super) async fn development(
    request: &Request,
    visitor: Visitor,
    form: Form,
) -> poem::Result<Response> {
    let context = Arc::clone(&form.context);
    let issuer = context.dev_issuer.as_ref().ok_or(ErrorResponse::from(Errno::NotFound))?;
    let back = form.fields.get("return").and_then(return_path::parse).unwrap_or(HOME);
    let typed = form.fields.get("name").unwrap_or_default();
    let email = email(typed);
    let (now, lifetime) = (context.service.now(), DevIssuer::DEFAULT_LIFETIME);
    let Ok(assertion) = issuer.assertion(&email, &context.origin(), now, lifetime) else {
        let problem = Some("That cannot be a name: use letters, digits, dots and dashes.");
        let page =
            SignInPage { problem, typed: typed.to_owned(), ..page(&visitor, back.to_owned()) };
        return Ok(visitor.show_with(&page, StatusCode::BAD_REQUEST, &Policy::new()));
    };
    let client = http::RequestContext::of(request)?.client;
    let (presence, email) = (&context.service, Some(email.as_str()));
    let opened = presence.sessions().open(&assertion, email, Scope::Account, client).await;
    Ok(enter(request, &context, &opened.map_err(ErrorResponse::from)?, back).await)
}

/// Ends the session that the browser had, gives it the new one and sends it on.
pub(super) async fn enter(
    request: &Request,
    context: &ServerContext,
    opened: &NewSession,
    back: &str,
) -> Response {
    if let Ok(before) = AuthenticatedRequest::of(request).await {
        // Where it fails, the old session ends by itself.
        let _ = context.service.sessions().close(&before.caller).await;
    }
    let seconds = (opened.holder.expires_at - context.service.now()).as_secs();
    let mut response = see_other(back, Notice::SignedIn);
    let cookie = http::session_cookie(context, opened.token.expose_secret(), seconds);
    set_cookie(&mut response, &cookie);
    response
}

#[handler]
pub(super) async fn sign_out(form: SignedForm) -> poem::Result<Response> {
    form.service().sessions().close(&form.user.caller).await.map_err(ErrorResponse::from)?;
    let mut response = see_other("/", Notice::SignedOut);
    if let Some(cookie) = form.user.clear_cookie() {
        set_cookie(&mut response, &cookie);
    }
    Ok(response)
}

/// Who is meant: `alice` is `alice@dev.localhost`.
fn email(typed: &str) -> String {
    if typed.contains('@') { typed.to_owned() } else { format!("{typed}@{}", DevIssuer::HOST) }
}

//! Signing in and out.

use askama::Template;
use poem::http::StatusCode;
use poem::web::Query;
use presence_core::Scope;
use presence_identity::DevIssuer;
use presence_identity::oidc::CodeFlow;
use presence_protocol::Errno;
use presence_service::sessions::NewSession;
use secrecy::ExposeSecret;

use crate::context::ServerContext;
use crate::http;
use crate::page::{Layout, LocalPath, Notice, PageResponse, Section};

use super::forms::{AnonymousForm, UserForm};
use super::page_routes::PageResult;
use super::request_parts::{ClientAddress, SignInQuery};
use super::visitor::Visitor;

/// The page to show after signing in, unless the visitor requested another one.
pub(super) const DEFAULT_PATH: &str = "/sidebar";

/// An identity provider.
struct ProviderLink {
    /// The name for people.
    label: String,
    /// The path at which signing in with it begins.
    path: String,
}

/// Returns the providers that this server is configured for. A visitor begins at
/// `/sign-in/oidc/<name>?return=<path>`.
fn providers(context: &ServerContext) -> Vec<ProviderLink> {
    let providers = context.code_flow.iter().flat_map(CodeFlow::providers);
    providers
        .map(|(name, title)| ProviderLink {
            label: title.to_owned(),
            path: format!("{}/{name}", CodeFlow::PATH),
        })
        .collect()
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    layout: Layout,
    return_path: LocalPath,
    providers: Vec<ProviderLink>,
    dev_host: Option<&'static str>,
    name: String,
    problem: Option<&'static str>,
}

impl SignInPage {
    /// Returns true if the visitor wants to answer an Application's request.
    fn is_for_grant(&self) -> bool {
        self.return_path.as_str().starts_with("/grant/")
    }
}

fn page(visitor: &Visitor, return_path: LocalPath) -> SignInPage {
    let context = visitor.context();
    SignInPage {
        layout: visitor.layout("Sign in", Section::Unlisted),
        return_path,
        providers: providers(context),
        dev_host: context.dev_issuer.as_ref().map(|_| DevIssuer::HOST),
        name: String::new(),
        problem: None,
    }
}

/// Shows the page.
pub(super) async fn show(visitor: Visitor, Query(query): Query<SignInQuery>) -> PageResult {
    let return_path = query.return_path().unwrap_or_else(|| LocalPath::fixed(DEFAULT_PATH));
    Ok(visitor.show(&page(&visitor, return_path)))
}

/// Signs a visitor in under any name of the development issuer.
pub(super) async fn development(
    form: AnonymousForm,
    ClientAddress(client): ClientAddress,
) -> PageResult {
    let (visitor, context) = (form.visitor(), form.visitor().context());
    let issuer = context.dev_issuer.as_ref().ok_or(Errno::NotFound)?;
    let return_path = form.fields().get("return").and_then(LocalPath::parse);
    let return_path = return_path.unwrap_or_else(|| LocalPath::fixed(DEFAULT_PATH));
    let name = form.fields().get("name").unwrap_or_default();
    let email = email(name);
    let (now, lifetime) = (context.service.now(), DevIssuer::DEFAULT_LIFETIME);
    let Ok(assertion) = issuer.assertion(&email, &context.origin(), now, lifetime) else {
        let problem = Some("This is not a valid name. Use letters, digits, dots and dashes.");
        let page = SignInPage { problem, name: name.to_owned(), ..page(visitor, return_path) };
        return Ok(visitor.show_problem(&page, StatusCode::BAD_REQUEST));
    };
    let (sessions, email) = (context.service.sessions(), Some(email.as_str()));
    let opened = sessions.open(&assertion, email, Scope::Account, client).await?;
    Ok(start_session(visitor, &opened, &return_path).await)
}

/// Ends the session that the browser had, gives it the new one, and sends it to a page.
pub(super) async fn start_session(
    visitor: &Visitor,
    opened: &NewSession,
    return_path: &LocalPath,
) -> PageResponse {
    let context = visitor.context();
    if let Some(before) = visitor.session() {
        // If this fails, the old session ends when it expires.
        let _ = context.service.sessions().close(&before.caller).await;
    }
    let seconds = (opened.holder.expires_at - context.service.now()).as_secs();
    let cookie = http::session_cookie(context, opened.token.expose_secret(), seconds);
    PageResponse::redirect(return_path, Notice::SignedIn).with_cookie(&cookie)
}

/// Ends the session.
pub(super) async fn sign_out(form: UserForm) -> PageResult {
    if let Some(session) = form.visitor().session() {
        form.service().sessions().close(&session.caller).await?;
    }
    let response = PageResponse::redirect(&LocalPath::fixed(LocalPath::HOME), Notice::SignedOut);
    Ok(form.clear_cookie().iter().fold(response, PageResponse::with_cookie))
}

/// Returns the e-mail address of a name: `alice` is `alice@dev.localhost`.
fn email(name: &str) -> String {
    if name.contains('@') { name.to_owned() } else { format!("{name}@{}", DevIssuer::HOST) }
}

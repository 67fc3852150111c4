//! The REST API: each handler parses, calls the service and answers. Every refusal, also of the router's own, is the one error
//! object of the registry.
//!
//! Deliberately without CORS headers: pages of other origins have no business here.
//!
//! The modules in reading order: the calls by subject, then what they are made of.

mod account;
mod app_service;
mod apps;
mod grants;
mod keys;
mod session;

mod development;
mod operation;
pub(crate) mod pages;

mod description;
mod errors_markdown;

mod body;
mod credential;
mod door;
mod form;
mod refusal;
pub(crate) mod running;
mod site;
mod views;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use poem::endpoint::{DynEndpoint, ToDynEndpoint};
use poem::http::{HeaderValue, header};
use poem::middleware::CatchPanic;
use poem::{Endpoint, EndpointExt, IntoEndpoint, Response, Route};
use poem_openapi::{LicenseObject, OpenApiService, Tags};
use presence_protocol::{Errno, Ko};

use crate::context::ServerContext;

use self::account::AccountApi;
use self::app_service::AppServiceApi;
use self::apps::AppsApi;
use self::development::DevelopmentApi;
use self::door::{AllowedMethods, FinishResponse};
use self::grants::GrantsApi;
use self::keys::KeysApi;
use self::operation::OperationApi;
use self::pages::PagesApi;
use self::session::SessionApi;

pub(crate) use self::body::text as read_body;
pub(crate) use self::credential::AuthenticatedRequest;
pub use self::description::document;
pub(crate) use self::development::dev_assertion;
pub(crate) use self::door::accepts_html;
pub use self::errors_markdown::errors_markdown;
pub(crate) use self::form::FORM;
pub(crate) use self::refusal::ErrorResponse;
pub(crate) use self::site::{RequestContext, cookie, session_cookie};

/// An endpoint that several routes share.
pub type SharedEndpoint = Arc<dyn DynEndpoint<Output = Response>>;

/// All calls.
type Api = (
    SessionApi,
    GrantsApi,
    AccountApi,
    AppsApi,
    KeysApi,
    AppServiceApi,
    OperationApi,
    DevelopmentApi,
    PagesApi,
);

/// The subjects of calls.
#[derive(Tags)]
enum ApiTag {
    /// Signing in and out.
    Session,
    /// Who may see the user.
    Grants,
    /// What is connected, and what is held.
    Account,
    /// The Applications of a developer.
    Applications,
    /// What an Application's server does with its API key.
    AppService,
    /// Health and version.
    Operation,
    /// Only in development mode.
    Development,
    /// Pages and documents.
    Documents,
}

/// All routes but the two sockets and the metrics: `pages` puts its own before those of the API, and tells which methods they know.
pub fn routes(
    context: Arc<ServerContext>,
    pages: fn(SharedEndpoint) -> Route,
    methods: &[(&str, &str)],
) -> impl Endpoint<Output = Response> {
    let api = service().into_endpoint().map_to_response();
    let calls = pages(Arc::new(ToDynEndpoint(api)))
        .with(CatchPanic::new().with_handler(|_| ErrorResponse::from(Errno::Internal).response()))
        .data(context);
    FinishResponse::new(calls, AllowedMethods::of::<Api>(methods))
}

/// A refusal as an answer, for what is refused outside of these routes: by the sockets, which only know GET.
pub fn refuse(ko: &Ko) -> Response {
    let mut response = ErrorResponse::from(ko.clone()).response();
    if ko.errno == Errno::MethodNotAllowed {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
    }
    door::finish(response.headers_mut());
    response
}

/// The page of the viewer of the OpenAPI document, as poem-openapi makes it.
pub(crate) fn viewer() -> String {
    service().swagger_ui_html()
}

fn service() -> OpenApiService<Api, ()> {
    let api = (
        SessionApi,
        GrantsApi,
        AccountApi,
        AppsApi,
        KeysApi,
        AppServiceApi,
        OperationApi,
        DevelopmentApi,
        PagesApi,
    );
    OpenApiService::new(api, "Presence", env!("CARGO_PKG_VERSION"))
        .description(include_str!("http/introduction.md"))
        .license(LicenseObject::new(env!("CARGO_PKG_LICENSE")).url("https://spdx.org/licenses/"))
        .server("/")
}

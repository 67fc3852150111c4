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
pub(crate) mod documents;
mod operation;

mod description;
mod errors_markdown;

mod body;
pub(crate) mod build_info;
mod credential;
mod error_response;
mod finish;
mod form;
mod request_context;
mod views;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use poem::endpoint::ToDynEndpoint;
use poem::http::{HeaderValue, header};
use poem::middleware::CatchPanic;
use poem::{Endpoint, EndpointExt, IntoEndpoint, Response};
use poem_openapi::{LicenseObject, OpenApiService, Tags};
use presence_protocol::{ApiError, Errno};

use crate::context::ServerContext;
use crate::route_table::{RouteTable, SharedEndpoint};

use self::account::AccountApi;
use self::app_service::AppServiceApi;
use self::apps::AppsApi;
use self::development::DevelopmentApi;
use self::documents::DocumentsApi;
use self::finish::{AllowedMethods, FinishResponse};
use self::grants::GrantsApi;
use self::keys::KeysApi;
use self::operation::OperationApi;
use self::session::SessionApi;

pub(crate) use self::body::text as read_body;
pub(crate) use self::credential::AuthenticatedRequest;
pub use self::description::document;
pub(crate) use self::development::dev_assertion;
pub(crate) use self::error_response::ErrorResponse;
pub use self::errors_markdown::errors_markdown;
pub(crate) use self::finish::accepts_html;
pub(crate) use self::form::FORM;
pub(crate) use self::request_context::{RequestContext, session_cookie};

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
    DocumentsApi,
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

/// Returns all routes except the two sockets and the metrics: those of the API, and those that
/// `pages` puts before them.
pub fn routes(
    context: Arc<ServerContext>,
    pages: fn(SharedEndpoint) -> RouteTable,
) -> impl Endpoint<Output = Response> {
    let api = service().into_endpoint().map_to_response();
    let table = pages(Arc::new(ToDynEndpoint(api)));
    let allowed = AllowedMethods::of::<Api>(&table.methods());
    let calls = table
        .into_route()
        .with(CatchPanic::new().with_handler(|_| ErrorResponse::from(Errno::Internal).response()))
        .data(context);
    FinishResponse::new(calls, allowed)
}

/// A refusal as an answer, for what is refused outside of these routes: by the sockets, which only know GET.
pub fn error_response(ko: &ApiError) -> Response {
    let mut response = ErrorResponse::from(ko.clone()).response();
    if ko.errno == Errno::MethodNotAllowed {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
    }
    finish::finish(response.headers_mut());
    response
}

/// The page of the viewer of the OpenAPI document, as poem-openapi makes it.
pub(crate) fn swagger_ui_page() -> String {
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
        DocumentsApi,
    );
    OpenApiService::new(api, "Presence", env!("CARGO_PKG_VERSION"))
        .description(include_str!("http/introduction.md"))
        .license(LicenseObject::new(env!("CARGO_PKG_LICENSE")).url("https://spdx.org/licenses/"))
        .server("/")
}

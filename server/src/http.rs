//! The REST API: each handler parses its request, calls the service and responds. Every error, also
//! one of the router, is sent as the error object of the registry.
//!
//! No response has CORS headers: pages of other origins do not use this API.
//!
//! The modules in reading order: the operations by subject, their OpenAPI document, and the parts
//! that they share.

mod account;
mod app_service;
mod apps;
mod grants;
mod keys;
mod session;
mod sessions;

mod development;
pub(crate) mod documents;
mod operation;

mod api;
mod errors_markdown;
mod openapi;

mod body;
pub(crate) mod build_info;
mod credential;
mod error_response;
mod finish;
mod operation_error;
mod path_templates;
mod request_context;
mod tag;
mod unread_body;
mod views;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use poem::endpoint::ToDynEndpoint;
use poem::http::{HeaderValue, header};
use poem::middleware::CatchPanic;
use poem::{Endpoint, EndpointExt, IntoEndpoint, Response};
use presence_protocol::{ApiError, Errno};

use crate::context::ServerContext;
use crate::route_table::{RouteTable, SharedEndpoint};

use self::api::Api;
use self::documents::OpenApiText;
use self::finish::{AllowedMethods, FinishResponse};
use self::unread_body::SealBody;

pub(crate) use self::body::{FORM, text as read_body};
pub(crate) use self::credential::AuthenticatedRequest;
pub(crate) use self::development::dev_assertion;
pub(crate) use self::error_response::ErrorResponse;
pub use self::errors_markdown::errors_markdown;
pub(crate) use self::finish::{accepts_html, finish};
pub use self::openapi::document;
pub(crate) use self::path_templates::PathTemplates;
pub(crate) use self::request_context::{RequestContext, session_cookie};

/// Returns all routes except the two sockets and the metrics: those of the API, and those that
/// `pages` puts before them.
pub fn routes(
    context: Arc<ServerContext>,
    pages: fn(SharedEndpoint) -> RouteTable,
) -> impl Endpoint<Output = Response> {
    let api = api::service().into_endpoint().map_to_response();
    let table = pages(Arc::new(ToDynEndpoint(api)));
    let allowed = AllowedMethods::of::<Api>(&table.methods());
    let calls = table
        .into_route()
        .with(CatchPanic::new().with_handler(|_| ErrorResponse::from(Errno::Internal).response()))
        .data(OpenApiText(document))
        .data(Arc::clone(&context));
    FinishResponse::new(SealBody::new(calls, context), allowed)
}

/// Returns an error as the response of an endpoint outside of these routes. Such an endpoint
/// supports GET only.
pub fn error_response(error: &ApiError) -> Response {
    let mut response = ErrorResponse::from(error.clone()).response();
    if error.errno == Errno::MethodNotAllowed {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
    }
    finish(response.headers_mut());
    response
}

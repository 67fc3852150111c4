//! All routes of the server: the two sockets, the REST API with the pages, and the metrics.

use std::sync::Arc;

use poem::endpoint::{DynEndpoint, ToDynEndpoint, make};
use poem::http::{Method, Uri};
use poem::{Endpoint, EndpointExt, IntoResponse, Request, Response, Route};
use presence_protocol::{ApiError, Errno};
use presence_service::clock::Stopwatch;

use crate::client_address::TrustedProxies;
use crate::context::ServerContext;
use crate::http;
use crate::meter::{self, MetricsExporter};
use crate::route_table::SharedEndpoint;
use crate::socket::registry::SocketRegistry;
use crate::socket::upgrade;
use crate::web;

/// The path of the metrics in the text format of Prometheus.
pub(super) const METRICS: &str = "/metrics";

/// The delay before a retry, in seconds, in the replies of a server that is stopping.
const RETRY_AFTER_STOP: f64 = 1.0;

/// Returns all routes. `metrics` is `None` if the metrics are served on an address of their own.
pub(super) fn endpoint(
    context: Arc<ServerContext>,
    sockets: Arc<SocketRegistry>,
    proxies: TrustedProxies,
    metrics: Option<impl Endpoint<Output = Response> + 'static>,
) -> impl Endpoint<Output = Response> {
    let app_socket =
        socket_route(
            &sockets,
            |sockets, request| async move { upgrade::app(&sockets, &request).await },
        );
    let device_socket =
        socket_route(
            &sockets,
            |sockets, request| async move { upgrade::device(&sockets, &request) },
        );
    let http_routes: SharedEndpoint = Arc::new(ToDynEndpoint(http::routes(context, web::pages)));
    let app_socket = web::page_or_socket(&http_routes, app_socket);
    let mut routes = Route::new()
        .at("/presence", device_socket)
        .at("/myapps/", Arc::clone(&app_socket))
        .at("/myapps/:appid", app_socket)
        .nest_no_strip("/", http_routes);
    if let Some(metrics) = metrics {
        routes = routes.at(METRICS, metrics);
    }
    routes.around(move |next, mut request| {
        proxies.record_client(&mut request);
        let is_refused = sockets.is_draining() && !is_served_while_draining(request.uri());
        let started = Stopwatch::start();
        async move {
            let response = if is_refused {
                http::error_response(
                    &ApiError::from(Errno::ShuttingDown).with_retry_after(RETRY_AFTER_STOP),
                )
            } else {
                next.call(request).await?.into_response()
            };
            meter::record_response(response.status(), started.elapsed());
            Ok(response)
        }
    })
}

/// Returns true for the paths that show an operator how the drain proceeds.
fn is_served_while_draining(uri: &Uri) -> bool {
    [METRICS, web::FIGURES].contains(&uri.path())
}

/// Responds to a request for the metrics.
pub(super) fn metrics(
    method: &Method,
    exporter: &MetricsExporter,
    sockets: &SocketRegistry,
) -> Response {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return http::error_response(&Errno::MethodNotAllowed.into());
    }
    Response::builder()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(exporter.render(&sockets.service, sockets.is_draining()))
}

fn socket_route<F, A>(
    sockets: &Arc<SocketRegistry>,
    upgrade: F,
) -> Arc<dyn DynEndpoint<Output = Response>>
where
    F: Fn(Arc<SocketRegistry>, Request) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Response, ApiError>> + Send + 'static,
{
    let sockets = Arc::clone(sockets);
    let endpoint = make(move |request| {
        let response = upgrade(Arc::clone(&sockets), request);
        async move { response.await.unwrap_or_else(|error| http::error_response(&error)) }
    });
    Arc::new(ToDynEndpoint(endpoint.map_to_response()))
}

//! All routes of the server: the two sockets, the REST API with the pages, and the metrics.

use std::sync::Arc;

use poem::endpoint::{DynEndpoint, ToDynEndpoint, make};
use poem::http::{HeaderValue, Method, Uri, header};
use poem::{Endpoint, EndpointExt, IntoResponse, Request, Response, Route};
use presence_protocol::{ApiError, Errno};
use presence_service::as_one_call;
use presence_service::clock::Stopwatch;
use tracing::Instrument;

use crate::authorization::bearer;
use crate::client_address;
use crate::client_proof::{self, ClientProof};
use crate::connection::listener::ConnectionLimits;
use crate::context::ServerContext;
use crate::development_guard;
use crate::http::{self, PathTemplates};
use crate::meter::{self, MetricsExporter};
use crate::operator_console::OperatorConsole;
use crate::request_record::RequestRecorder;
use crate::route_table::SharedEndpoint;
use crate::settings::Settings;
use crate::socket::registry::SocketRegistry;
use crate::socket::upgrade;
use crate::web;

/// The path of the metrics in the text format of Prometheus.
const METRICS: &str = "/metrics";

/// The paths that are neither pages nor operations of the API, as templates.
const OTHER_PATHS: [&str; 5] = ["/presence", "/presence/", "/myapps/", "/myapps/{appid}/", METRICS];

/// The delay before a retry, in seconds, in the replies of a server that is stopping.
const RETRY_AFTER_STOP: f64 = 1.0;

/// Returns all routes, and completes and records every response. `strict_transport` is the value of
/// the header `Strict-Transport-Security`.
pub(super) fn endpoint(
    context: Arc<ServerContext>,
    sockets: Arc<SocketRegistry>,
    limits: ConnectionLimits,
    (strict_transport, recorder): (Option<HeaderValue>, RequestRecorder),
) -> impl Endpoint<Output = Response> {
    let development = context.dev_issuer.is_some();
    routes(context, &sockets).around(move |next, mut request| {
        limits.proxies.record_client(&mut request);
        let record = recorder.begin(&request, &limits.proxies);
        let span = record.span();
        let proof = proof_of_client(&mut request, &limits);
        let refusal = if sockets.is_draining() && !is_served_while_draining(request.uri()) {
            Some(ApiError::from(Errno::ShuttingDown).with_retry_after(RETRY_AFTER_STOP))
        } else if proof.exceeds_limit() && !has_credential(&request) {
            Some(ClientProof::too_many_connections())
        } else if development {
            development_guard::check(&request).err()
        } else {
            None
        };
        let has_other_version = upgrade::has_other_version(request.headers());
        let started = Stopwatch::start();
        let strict_transport = strict_transport.clone();
        async move {
            let mut response = if let Some(error) = refusal {
                http::error_response(&error)
            } else {
                let response =
                    as_one_call(next.call(request)).await.map(IntoResponse::into_response);
                response.unwrap_or_else(poem::Error::into_response)
            };
            if has_other_version {
                upgrade::name_version(response.headers_mut());
            }
            http::finish(response.headers_mut());
            if let Some(value) = strict_transport {
                response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, value);
            }
            if proof.exceeds_limit() {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            let elapsed = started.elapsed();
            meter::record_response(response.status(), elapsed);
            record.end(response.status(), elapsed);
            Ok(response)
        }
        .instrument(span)
    })
}

/// Returns what records requests.
pub(super) fn recorder(settings: &Settings) -> RequestRecorder {
    RequestRecorder::new(settings, PathTemplates::of(web::pages, &OTHER_PATHS))
}

/// Returns the endpoints of all paths.
fn routes(context: Arc<ServerContext>, sockets: &Arc<SocketRegistry>) -> Route {
    let app_socket =
        socket_route(
            sockets,
            |sockets, request| async move { upgrade::app(&sockets, &request).await },
        );
    let device_socket =
        socket_route(
            sockets,
            |sockets, request| async move { upgrade::device(&sockets, &request) },
        );
    let metrics = operator_metrics_endpoint(Arc::clone(&context));
    let http_routes: SharedEndpoint = Arc::new(ToDynEndpoint(http::routes(context, web::pages)));
    let app_socket = web::page_or_socket(&http_routes, app_socket);
    Route::new()
        .at("/presence", Arc::clone(&device_socket))
        .at("/presence/", device_socket)
        .at("/myapps/", Arc::clone(&app_socket))
        .at("/myapps/:appid", Arc::clone(&app_socket))
        .at("/myapps/:appid/", app_socket)
        .at(METRICS, metrics.map_to_response())
        .nest_no_strip("/", http_routes)
}

/// Returns the proof of a request's client: that of the connection, or behind a proxy one of the
/// request.
fn proof_of_client(request: &mut Request, limits: &ConnectionLimits) -> Arc<ClientProof> {
    if let Some(proof) = client_proof::of(request) {
        return proof;
    }
    let proof = limits.unproven.add(client_address::of(request));
    request.set_data(Arc::clone(&proof));
    proof
}

/// Returns true if a request has a credential, valid or not.
fn has_credential(request: &Request) -> bool {
    let headers = request.headers();
    bearer(headers).is_some() || headers.contains_key(header::COOKIE)
}

/// Returns true for the paths that show an operator how the drain proceeds.
fn is_served_while_draining(uri: &Uri) -> bool {
    [METRICS, web::FIGURES].contains(&uri.path())
}

/// Returns the routes of the metrics' own listener, which needs no credential.
pub(super) fn metrics_endpoint(
    exporter: MetricsExporter,
    sockets: Arc<SocketRegistry>,
) -> impl Endpoint<Output = Response> {
    let metrics = make(move |request: Request| {
        let (exporter, sockets) = (exporter.clone(), Arc::clone(&sockets));
        async move {
            let rendering =
                async { Ok(exporter.render(&sockets.service, sockets.is_draining()).await) };
            exposition(request.method(), rendering).await
        }
    });
    Route::new().at(METRICS, metrics).around(|next, request| async move {
        let response = next.call(request).await.map(IntoResponse::into_response);
        let mut response =
            response.unwrap_or_else(|_| http::error_response(&Errno::NotFound.into()));
        http::finish(response.headers_mut());
        Ok(response)
    })
}

fn operator_metrics_endpoint(context: Arc<ServerContext>) -> impl Endpoint<Output = Response> {
    make(move |request| {
        let context = Arc::clone(&context);
        async move { operator_metrics(&request, context.operator.as_ref()).await }
    })
}

/// Responds to a request for the metrics on the listener of everything else. Only the operator gets
/// them, since the counters show who hides. For all others they do not exist.
async fn operator_metrics(request: &Request, console: Option<&OperatorConsole>) -> Response {
    let rendering = async {
        let (console, token) = console.zip(bearer(request.headers())).ok_or(Errno::NotFound)?;
        let is_operator = console.access.accepts(client_address::of(request), token);
        if is_operator {
            client_proof::complete(request);
        }
        if is_operator { Ok(console.metrics().await) } else { Err(Errno::NotFound) }
    };
    exposition(request.method(), rendering).await
}

async fn exposition(
    method: &Method,
    rendering: impl Future<Output = Result<String, Errno>>,
) -> Response {
    let rendered = match *method {
        Method::GET | Method::HEAD => rendering.await,
        _ => Err(Errno::MethodNotAllowed),
    };
    match rendered {
        Ok(text) => {
            Response::builder().content_type("text/plain; version=0.0.4; charset=utf-8").body(text)
        }
        Err(errno) => http::error_response(&errno.into()),
    }
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

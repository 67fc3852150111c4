//! The record of an HTTP request: its span in traces, and its line in the access log.
//!
//! Both have the method, the template of the route and the status, and never a path, a query or a
//! header. A method that HTTP does not define is a text of the client, and is not shown.

use std::net::IpAddr;
use std::time::Duration;

use poem::Request;
use poem::http::{Method, StatusCode};
use presence_core::TRACE_TARGET;
use tracing::field::{Empty, display};
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::client_address::{self, TrustedProxies};
use crate::http::PathTemplates;
use crate::logging::ACCESS_TARGET;
use crate::request_id::RequestId;
use crate::settings::Settings;
use crate::traces::remote_parent;

/// The name of a method that HTTP does not define, as OpenTelemetry names it.
const OTHER_METHOD: &str = "_OTHER";

/// Records requests as the operator has chosen.
pub(crate) struct RequestRecorder {
    has_access_log: bool,
    shows_addresses: bool,
    /// Set if the trace context of trusted proxies counts.
    trusts_proxies: bool,
    templates: PathTemplates,
}

impl RequestRecorder {
    /// Reads the choices from the settings.
    pub(crate) fn new(settings: &Settings, templates: PathTemplates) -> Self {
        Self {
            has_access_log: settings.access_log,
            shows_addresses: settings.access_log_addresses,
            trusts_proxies: settings.traces_from_proxies,
            templates,
        }
    }

    /// Begins the record of a request whose client is known.
    pub(crate) fn begin(&self, request: &Request, proxies: &TrustedProxies) -> RequestRecord {
        let (method, id) = (method_name(request.method()), request.data::<RequestId>().copied());
        let is_traced = tracing::span_enabled!(target: TRACE_TARGET, Level::INFO);
        let is_recorded = is_traced || self.has_access_log;
        let route = if is_recorded { self.templates.find(request.uri().path()) } else { None };
        let span = if is_traced { span((method, route), id) } else { Span::none() };
        if is_traced
            && self.trusts_proxies
            && proxies.is_peer_of(request)
            && let Some(parent) = remote_parent::of(request.headers())
        {
            // The span was made a moment ago, so it has no other parent yet.
            let _ = span.set_parent(parent);
        }
        RequestRecord {
            method,
            route: route.map(str::to_owned),
            id,
            client: self.shows_addresses.then(|| client_address::of(request)),
            has_access_log: self.has_access_log,
            span,
        }
    }
}

/// A request that is being served.
pub(crate) struct RequestRecord {
    method: &'static str,
    /// The template of the path, if the path is known and recorded.
    route: Option<String>,
    id: Option<RequestId>,
    /// The address of the client, if it is shown.
    client: Option<IpAddr>,
    has_access_log: bool,
    span: Span,
}

impl RequestRecord {
    /// Returns the span, in which the request is served.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Completes the record, once the head of the response is known.
    pub(crate) fn end(&self, status: StatusCode, elapsed: Duration) {
        let status = status.as_u16();
        if !self.span.is_disabled() {
            self.complete_span(status);
        }
        if self.has_access_log {
            self.log(status, elapsed.as_secs_f64() * 1000.0);
        }
    }

    fn complete_span(&self, status: u16) {
        self.span.record("http.response.status_code", i64::from(status));
        if status >= 500 {
            self.span.record("otel.status_code", "error");
        }
    }

    /// Logs a line outside of the span of the request, since that depends on the filter of the log.
    fn log(&self, status: u16, milliseconds: f64) {
        let Self { method, route, .. } = self;
        let (client, id) = (self.client.map(display), self.id.map(display));
        tracing::info!(
            target: ACCESS_TARGET,
            parent: None,
            method,
            route,
            status,
            milliseconds,
            client,
            request.id = id,
            "request"
        );
    }
}

/// Returns the span of a request. It has no parent but one that a proxy gives. Its name is complete
/// from the beginning, since it cannot be changed once there is a span below it.
fn span((method, route): (&'static str, Option<&str>), id: Option<RequestId>) -> Span {
    let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
    tracing::info_span!(
        target: TRACE_TARGET,
        parent: None,
        "request",
        otel.kind = "server",
        otel.name = name,
        "http.request.method" = method,
        "http.route" = route,
        "http.response.status_code" = Empty,
        "presence.request.id" = id.map(display),
        otel.status_code = Empty,
    )
}

/// Returns the name of a method.
fn method_name(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| method == known).unwrap_or(OTHER_METHOD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_a_client_invents_is_not_shown() {
        assert_eq!(method_name(&Method::DELETE), "DELETE");
        assert_eq!(method_name(&Method::from_bytes(b"ALICE").unwrap()), OTHER_METHOD);
        assert_eq!(method_name(&Method::from_bytes(b"get").unwrap()), OTHER_METHOD);
    }
}

//! The HTTP client: shared connections, a time limit for each call, and no redirects.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tracing::Instrument;

use crate::error::Error;
use crate::net::{Connector, TransportError};
use crate::server_url::ServerUrl;
use crate::timing::Timing;

use super::call::RestCall;
use super::response::RestResponse;
use super::tracked_stream::{StreamConnector, Usage};

/// The maximum number of bytes of a response.
const MAX_RESPONSE_BYTES: usize = 16 * 1024 * 1024;
/// The time for which an idle connection is kept. It is shorter than that of servers and proxies,
/// so that the client is the one to close it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// The maximum number of idle connections.
const MAX_IDLE_CONNECTIONS: usize = 4;

/// The HTTP client of one server. Clones share the connections.
#[derive(Clone)]
pub(super) struct HttpClient {
    client: Client<StreamConnector, String>,
    server: Arc<ServerUrl>,
    headers: Arc<HeaderMap>,
    timeout: Duration,
}

impl HttpClient {
    pub(super) fn new(server: ServerUrl, connector: Connector, timing: &Timing) -> Self {
        let headers = Arc::clone(connector.headers());
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .build(StreamConnector::new(connector, timing.connect_timeout));
        Self { client, server: Arc::new(server), headers, timeout: timing.request_timeout }
    }

    pub(super) fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// Makes a call, and reads its reply.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: RestCall) -> Result<T, Error> {
        let span =
            tracing::debug_span!("api.call", method = %call.method(), path = call.template());
        let replied = async {
            let response = timeout(self.timeout, self.exchange(&call)).await;
            let reply = response.unwrap_or(Err(Error::TimedOut)).and_then(RestResponse::read);
            match &reply {
                Ok(_) => tracing::debug!("api.answered"),
                Err(error) => tracing::debug!(%error, "api.failed"),
            }
            reply
        };
        replied.instrument(span).await
    }

    async fn exchange(&self, call: &RestCall) -> Result<RestResponse, Error> {
        // Each attempt before the last one may remove one stale idle connection from the pool.
        for _ in 0..MAX_IDLE_CONNECTIONS {
            match self.send(call.request(&self.server, &self.headers)?).await {
                Err(failure) if failure.is_stale && call.is_idempotent() => {}
                sent => return sent.map_err(|failure| failure.error),
            }
        }
        self.send(call.request(&self.server, &self.headers)?).await.map_err(|failure| failure.error)
    }

    async fn send(&self, request: Request<String>) -> Result<RestResponse, ExchangeFailure> {
        let sent = self.client.request(request).await;
        let (head, body) = sent.map_err(|error| ExchangeFailure::new(&error))?.into_parts();
        let body = Limited::new(body, MAX_RESPONSE_BYTES)
            .collect()
            .await
            .map_err(|error| ExchangeFailure::in_body(&*error))?;
        if let Some(usage) = head.extensions.get::<Usage>() {
            usage.mark_used();
        }
        Ok(RestResponse::new(&head, body.to_bytes().into()))
    }
}

/// An exchange that failed.
struct ExchangeFailure {
    error: Error,
    /// Set if the connection was reused from an earlier call and no part of a response arrived.
    is_stale: bool,
}

impl ExchangeFailure {
    fn new(error: &hyper_util::client::legacy::Error) -> Self {
        let is_stale = error.connect_info().is_some_and(Usage::was_used);
        Self { error: TransportError::new(error).into(), is_stale }
    }

    fn in_body(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Self {
        let error = if error.is::<LengthLimitError>() {
            Error::Unexpected(format!("the response has more than {MAX_RESPONSE_BYTES} bytes"))
        } else {
            Error::Unreachable(format!("the response is incomplete: {error}"))
        };
        Self { error, is_stale: false }
    }
}

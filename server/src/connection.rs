//! Serves HTTP/1.1 on accepted connections: hyper implements the protocol, and a poem endpoint
//! handles the requests.
//!
//! A WebSocket gets back the connection as it was accepted, without the layers that hyper needs.
//!
//! The modules in reading order: the listener ([`listener`]), the deadlines of a connection that is
//! not a WebSocket ([`deadline`]), the open ones of that kind ([`open_connections`]), and the bytes
//! of a connection, plain or over TLS ([`transport`]).

pub(crate) mod listener;

pub(crate) mod deadline;

pub(crate) mod open_connections;

pub(crate) mod transport;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request as HttpRequest;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use poem::{Endpoint, Request, Response};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use self::deadline::DeadlineStream;
use self::listener::{AcceptedConnection, ConnectionListener};
use self::transport::Transport;
use crate::request_id::RequestId;

/// The maximum number of bytes that one connection buffers in each direction. A request with a
/// larger head is refused.
const MAX_BUFFER: usize = 64 * 1024;

/// Serves an endpoint until `shutdown` resolves. Connections then end after the request that they
/// are serving; those that are left after `grace` are dropped.
pub(crate) async fn serve(
    listener: ConnectionListener,
    endpoint: impl Endpoint<Output = Response> + 'static,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) {
    let (endpoint, connections) = (Arc::new(endpoint), TaskTracker::new());
    let (stopping, dropping) = (CancellationToken::new(), CancellationToken::new());
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => {
                let serving = serve_connection(accepted, Arc::clone(&endpoint), stopping.clone());
                let dropping = dropping.clone();
                connections.spawn(async move { dropping.run_until_cancelled(serving).await });
            }
        }
    }
    // Refuses new connections from here on.
    drop(listener);
    stopping.cancel();
    connections.close();
    if tokio::time::timeout(grace, connections.wait()).await.is_err() {
        dropping.cancel();
        connections.wait().await;
    }
}

/// Serves one connection until it ends or becomes a WebSocket.
async fn serve_connection<E: Endpoint<Output = Response> + 'static>(
    accepted: AcceptedConnection,
    endpoint: Arc<E>,
    stopping: CancellationToken,
) {
    let AcceptedConnection { stream, local, remote, scheme, activity, proof } = accepted;
    let service = service_fn(move |mut request: HttpRequest<Incoming>| {
        let upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let endpoint = Arc::clone(&endpoint);
        let mut request = Request::from((request, local.clone(), remote.clone(), scheme.clone()));
        if let Some(upgrade) = upgrade {
            request.set_data(PendingUpgrade(upgrade));
        }
        if let Some(proof) = &proof {
            request.set_data(Arc::clone(proof));
        }
        let id = RequestId::random();
        request.set_data(id);
        let activity = Arc::clone(&activity);
        let response = async move {
            activity.set_busy(true);
            let mut response = endpoint.get_response(request).await;
            activity.set_busy(false);
            tracing::debug!(status = response.status().as_u16(), "request.answered");
            response.headers_mut().extend(id.header());
            Ok::<_, Infallible>(http::Response::from(response))
        };
        response.instrument(id.span())
    });
    let connection = http1::Builder::new()
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopping.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    // The peer has its response or is gone, so an error is of no use.
    let _ = connection.await;
}

/// The connection of a request for an upgrade. It is available after the response was sent.
#[derive(Clone)]
pub(crate) struct PendingUpgrade(OnUpgrade);

/// A connection that has become a WebSocket.
pub(crate) struct UpgradedConnection {
    pub(crate) transport: Transport,
    /// The bytes that were read together with the request; at most one read buffer of hyper.
    pub(crate) read_ahead: Bytes,
}

impl PendingUpgrade {
    /// Waits until the response was sent. Returns `None` if the connection was lost before.
    pub(crate) async fn complete(self) -> Option<UpgradedConnection> {
        let upgraded = self.0.await.ok()?;
        let parts = upgraded.downcast::<TokioIo<DeadlineStream>>().ok()?;
        let transport = parts.io.into_inner().into_transport();
        Some(UpgradedConnection { transport, read_ahead: parts.read_buf })
    }
}

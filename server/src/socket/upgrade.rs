//! The upgrade of a request to a socket.

use std::net::IpAddr;
use std::sync::Arc;

use poem::http::{HeaderMap, Method, StatusCode, header};
use poem::{Request, Response};
use presence_protocol::app::{AppServiceAuth, SUBPROTOCOL};
use presence_protocol::{ApiError, Errno};
use presence_service::SocketWaker;
use presence_service::app_services::RequestedApplication;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tracing::Instrument;

use super::app_service::{AppServiceProtocol, AppServiceUpgrade};
use super::counted_stream::CountedStream;
use super::device::DeviceProtocol;
use super::protocol_state::ProtocolState;
use super::registry::SocketRegistry;
use super::socket_loop::{SocketLoop, UNAUTHENTICATED_BYTES};
use crate::authorization;
use crate::client_address;
use crate::client_proof::{self, ClientProof};
use crate::connection::{PendingUpgrade, UpgradedConnection};

/// The version of the protocol.
const VERSION: &str = "13";
/// The size of the read buffer of a device's socket. It is small, since most of these sockets are
/// idle, and still holds several statuses.
const DEVICE_READ_BUFFER: usize = 256;
/// The size of the read buffer of an AppService's socket. It holds a frame with one notification.
/// The library fills it with zeros before each read, so a larger buffer would cost more.
const APP_READ_BUFFER: usize = 2 * 1024;
/// The number of bytes from which the library writes before the flush.
const WRITE_BUFFER: usize = 16 * 1024;
/// The maximum number of bytes that wait to be written. No frame is that large.
const MAX_WRITE_BUFFER: usize = 64 * 1024 * 1024;

/// Opens a Device Presence Channel.
///
/// # Errors
///
/// `method_not_allowed`, `invalid_field`, `too_many_connections`, `shutting_down`, and `forbidden`
/// for a page of another origin.
pub fn device(sockets: &Arc<SocketRegistry>, request: &Request) -> Result<Response, ApiError> {
    let handshake = Handshake::check(sockets, request)?;
    let config = config(DEVICE_READ_BUFFER, sockets.limits.device_frame);
    let (service, client) = (Arc::clone(&sockets.service), handshake.client);
    let protocol = move |waker, id| DeviceProtocol::new(service, waker, client, id);
    handshake.accept(sockets, request, config, protocol)
}

/// Opens an AppService Presence Channel. A request with a key is answered after the key is checked.
///
/// # Errors
///
/// As [`device`], and `invalid_api_key` or `application_not_active` if the request has a key.
pub async fn app(sockets: &Arc<SocketRegistry>, request: &Request) -> Result<Response, ApiError> {
    let handshake = Handshake::check(sockets, request)?;
    let app = app_in_path(request);
    let bearer = bearer(request);
    if let Some(AppServiceAuth { key: Some(key), .. }) = &bearer {
        sockets.service.app_services().authenticate(app, key, handshake.client).await?;
        client_proof::complete(request);
    }
    let is_paged = offers_subprotocol(request.headers());
    let config = config(APP_READ_BUFFER, sockets.limits.app_frame);
    let (service, client) = (Arc::clone(&sockets.service), handshake.client);
    let upgrade = AppServiceUpgrade { app, is_paged, client, bearer };
    let protocol = |waker, id| AppServiceProtocol::new(service, waker, upgrade, id);
    let mut response = handshake.accept(sockets, request, config, protocol)?;
    if is_paged {
        let value = header::HeaderValue::from_static(SUBPROTOCOL);
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, value);
    }
    Ok(response)
}

/// A request for an upgrade that was checked.
struct Handshake {
    accept_key: String,
    /// The address of the client.
    client: IpAddr,
}

impl Handshake {
    /// Checks the request before any work is done for it.
    fn check(sockets: &SocketRegistry, request: &Request) -> Result<Self, ApiError> {
        if sockets.is_draining() {
            return Err(ApiError::from(Errno::ShuttingDown).with_retry_after(1.0));
        }
        if request.method() != Method::GET {
            return Err(Errno::MethodNotAllowed.into());
        }
        let headers = request.headers();
        let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| is_websocket(headers));
        let key = key.ok_or_else(|| {
            ApiError::detailed(
                Errno::InvalidField,
                "this is a WebSocket: ask for an upgrade, version 13",
            )
        })?;
        let client = client_address::of(request);
        // Any site can make a browser send a request of its own origin, which costs the address
        // nothing.
        sockets.origins.check(headers)?;
        sockets.service.check_connect_rate(client)?;
        Ok(Self { accept_key: derive_accept_key(key.as_bytes()), client })
    }

    /// Answers the request, and runs the socket in a task of its own.
    fn accept<P: ProtocolState + 'static>(
        self,
        sockets: &Arc<SocketRegistry>,
        request: &Request,
        config: WebSocketConfig,
        protocol: impl FnOnce(Arc<SocketWaker>, u64) -> P + Send + 'static,
    ) -> Result<Response, ApiError> {
        let upgrade = request.data::<PendingUpgrade>().cloned().ok_or_else(|| {
            ApiError::detailed(Errno::InvalidField, "this connection cannot be upgraded")
        })?;
        let proof = client_proof::of(request);
        if proof.as_ref().is_some_and(|proof| proof.exceeds_limit()) {
            return Err(ClientProof::too_many_connections());
        }
        let shared = Arc::clone(sockets);
        let task = async move {
            let Some(upgraded) = upgrade.complete().await else { return };
            let UpgradedConnection { transport, read_ahead } = upgraded;
            // A copy, since `Vec::from` would keep the whole read buffer of hyper with the socket.
            let (read_ahead, config) = (read_ahead.to_vec(), Some(config));
            let allowance = UNAUTHENTICATED_BYTES.saturating_sub(read_ahead.len());
            let stream = CountedStream::new(transport, allowance);
            let socket =
                WebSocketStream::from_partially_read(stream, read_ahead, Role::Server, config)
                    .await;
            let waker = Arc::new(SocketWaker::default());
            let registration = shared.register(&waker);
            let id = registration.id();
            tracing::debug!(conn.id = id, address = %self.client, "socket.open");
            let protocol = protocol(Arc::clone(&waker), id);
            let socket = SocketLoop::new(socket, protocol, waker, Arc::clone(&shared), id);
            let socket = socket.with_proof(proof);
            // A second task, so that the open socket does not keep the memory of this one.
            shared.tasks.spawn(socket.run(registration));
        };
        sockets.tasks.spawn(task.in_current_span());
        Ok(Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(header::CONNECTION, "upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_ACCEPT, self.accept_key)
            .finish())
    }
}

/// Returns true if a request asks for a version of the protocol that the server does not know. Its
/// response then names the known one (RFC 6455, 4.2.2).
pub fn has_other_version(headers: &HeaderMap) -> bool {
    headers.contains_key(header::SEC_WEBSOCKET_VERSION)
        && !has_token(headers, &header::SEC_WEBSOCKET_VERSION, VERSION)
}

/// Adds the version of the protocol that the server knows to a response.
pub fn name_version(headers: &mut HeaderMap) {
    headers.insert(header::SEC_WEBSOCKET_VERSION, header::HeaderValue::from_static(VERSION));
}

fn is_websocket(headers: &HeaderMap) -> bool {
    has_token(headers, &header::CONNECTION, "upgrade")
        && has_token(headers, &header::UPGRADE, "websocket")
        && has_token(headers, &header::SEC_WEBSOCKET_VERSION, VERSION)
}

/// Returns true if a token is in the list that the headers of a name hold.
fn has_token(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut tokens = values.flat_map(|value| value.split(','));
    tokens.any(|value| value.trim().eq_ignore_ascii_case(token))
}

fn offers_subprotocol(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim() == SUBPROTOCOL)
}

/// Returns the Application that the path names.
fn app_in_path(request: &Request) -> RequestedApplication {
    let text = request.uri().path().strip_prefix("/myapps").unwrap_or_default();
    match text.trim_matches('/') {
        "" => RequestedApplication::OfKey,
        text => text.parse().map_or(RequestedApplication::Unknown, RequestedApplication::Id),
    }
}

/// Returns the key and the options of a request, if it has a key.
fn bearer(request: &Request) -> Option<AppServiceAuth> {
    let key = authorization::bearer(request.headers())?;
    let mut auth = AppServiceAuth { key: Some(key.to_owned()), ..AppServiceAuth::default() };
    let query = request.uri().query().unwrap_or_default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "cursor" => auth.cursor = Some(value.into_owned()),
            "receipts" => auth.receipts = value == "true",
            _ => {}
        }
    }
    Some(auth)
}

fn config(read_buffer: usize, frame: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(read_buffer)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(Some(frame))
        .max_frame_size(Some(frame))
}

//! How a request becomes a socket.

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

use super::app::{AppServiceProtocol, Upgraded};
use super::device::DeviceProtocol;
use super::registry::SocketRegistry;
use super::socket_loop::{ProtocolState, SocketLoop};
use crate::client_address;
use crate::connection::{PendingUpgrade, UpgradedConnection};

/// Read buffer of a device's socket: small, since most of them are idle most of the time, and a status fits many times.
const DEVICE_READ_BUFFER: usize = 512;
/// Read buffer of an AppService's socket: a batch is read in several pieces, and what holds one notification is read at once. The
/// library fills it with zeros before each read.
const APP_READ_BUFFER: usize = 2 * 1024;
/// From how many bytes on the library writes without waiting for the flush.
const WRITE_BUFFER: usize = 16 * 1024;
/// The most bytes that may wait to be written: one frame holds everything pending for a user.
const MAX_WRITE_BUFFER: usize = 64 * 1024 * 1024;

/// Opens a Device Presence Channel.
///
/// # Errors
///
/// `method_not_allowed`, `invalid_field`, `too_many_connections`, `forbidden` for a page of another origin, `shutting_down`.
pub fn device(sockets: &Arc<SocketRegistry>, request: &Request) -> Result<Response, ApiError> {
    let handshake = Handshake::of(sockets, request)?;
    let config = config(DEVICE_READ_BUFFER, sockets.limits.device_frame);
    let (presence, client) = (Arc::clone(&sockets.service), handshake.client);
    let conversation = move |bell| DeviceProtocol::new(presence, bell, client);
    handshake.accept(sockets, request, config, conversation)
}

/// Opens an AppService Presence Channel. A request that bears a key is answered only once the key was checked.
///
/// # Errors
///
/// As [`device`], and `invalid_api_key` or `application_not_active` where the request bears a key.
pub async fn app(sockets: &Arc<SocketRegistry>, request: &Request) -> Result<Response, ApiError> {
    let handshake = Handshake::of(sockets, request)?;
    let app = named_app(request);
    let bearer = bearer(request)?;
    if let Some(AppServiceAuth { key: Some(key), .. }) = &bearer {
        sockets.service.app_services().authenticate(app, key, handshake.client).await?;
    }
    let paged = offers_subprotocol(request.headers());
    let config = config(APP_READ_BUFFER, sockets.limits.app_frame);
    let presence = Arc::clone(&sockets.service);
    let upgraded = Upgraded { app, paged, bearer, client: handshake.client };
    let mut response = handshake.accept(sockets, request, config, |bell| {
        AppServiceProtocol::new(presence, bell, upgraded)
    })?;
    if paged {
        let value = header::HeaderValue::from_static(SUBPROTOCOL);
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, value);
    }
    Ok(response)
}

struct Handshake {
    accept: String,
    /// The address of the client.
    client: IpAddr,
}

impl Handshake {
    fn of(sockets: &SocketRegistry, request: &Request) -> Result<Self, ApiError> {
        if sockets.is_draining() {
            return Err(ApiError::from(Errno::ShuttingDown).after(1.0));
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
        sockets.service.check_connect_rate(client)?;
        sockets.origins.check(headers)?;
        Ok(Self { accept: derive_accept_key(key.as_bytes()), client })
    }

    fn accept<C: ProtocolState + 'static>(
        self,
        sockets: &Arc<SocketRegistry>,
        request: &Request,
        config: WebSocketConfig,
        conversation: impl FnOnce(Arc<SocketWaker>) -> C + Send + 'static,
    ) -> Result<Response, ApiError> {
        let upgrade = request.data::<PendingUpgrade>().cloned().ok_or_else(|| {
            ApiError::detailed(Errno::InvalidField, "this connection cannot be upgraded")
        })?;
        let shared = Arc::clone(sockets);
        let task = async move {
            let Some(upgraded) = upgrade.complete().await else { return };
            let UpgradedConnection { transport, read_ahead } = upgraded;
            let (read_ahead, config) = (read_ahead.into(), Some(config));
            let socket =
                WebSocketStream::from_partially_read(transport, read_ahead, Role::Server, config)
                    .await;
            let bell = Arc::new(SocketWaker::default());
            let entry = shared.register(&bell);
            tracing::debug!(conn.id = entry.id(), address = %self.client, "socket.open");
            let conversation = conversation(Arc::clone(&bell));
            let driver = SocketLoop::new(socket, conversation, bell, Arc::clone(&shared));
            // In a task of its own, so that an open socket does not keep the memory of its opening.
            shared.tasks.spawn(driver.run(entry));
        };
        sockets.tasks.spawn(task);
        Ok(Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(header::CONNECTION, "upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_ACCEPT, self.accept)
            .finish())
    }
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let has = |name: header::HeaderName, wanted: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|value| value.trim().eq_ignore_ascii_case(wanted))
    };
    has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket")
        && has(header::SEC_WEBSOCKET_VERSION, "13")
}

fn offers_subprotocol(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim() == SUBPROTOCOL)
}

/// The Application in the path; without one, the key names it.
fn named_app(request: &Request) -> RequestedApplication {
    let text = request.uri().path().strip_prefix("/myapps").unwrap_or_default();
    match text.trim_matches('/') {
        "" => RequestedApplication::OfKey,
        text => text.parse().map_or(RequestedApplication::Unknown, RequestedApplication::Id),
    }
}

fn bearer(request: &Request) -> Result<Option<AppServiceAuth>, ApiError> {
    let Some(value) = request.header(header::AUTHORIZATION) else { return Ok(None) };
    let key = value.strip_prefix("Bearer ").ok_or(Errno::InvalidApiKey)?;
    let mut auth = AppServiceAuth { key: Some(key.trim().to_owned()), ..AppServiceAuth::default() };
    let query = request.uri().query().unwrap_or_default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "cursor" => auth.cursor = Some(value.into_owned()),
            "receipts" => auth.receipts = value == "true",
            _ => {}
        }
    }
    Ok(Some(auth))
}

fn config(read_buffer: usize, frame: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(read_buffer)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(Some(frame))
        .max_frame_size(Some(frame))
}

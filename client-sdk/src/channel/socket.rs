//! The opening of a WebSocket.

use std::sync::Arc;
use std::time::Duration;

use http::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use presence_protocol::error::RawReply;
use presence_protocol::{ApiError, Errno};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::disconnect::Disconnect;
use crate::error::{Error, MAX_WAIT};
use crate::net::{Connector, NetStream, TransportError};
use crate::retry_header::requested_wait;
use crate::server_url::ServerUrl;

/// The time limit of the body of a refusal, and its maximum number of bytes.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_REFUSAL_BYTES: usize = 64 << 10;

/// An open WebSocket.
pub(crate) type Socket = WebSocketStream<NetStream>;

/// Returns a configuration with small buffers, since most sockets are idle. They grow for a large
/// frame.
fn config() -> WebSocketConfig {
    const MAX_FRAME_BYTES: usize = 16 << 20;
    WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .write_buffer_size(4 << 10)
        .max_write_buffer_size(MAX_FRAME_BYTES)
        .max_message_size(Some(MAX_FRAME_BYTES))
        .max_frame_size(Some(MAX_FRAME_BYTES))
}

/// Opens a socket.
pub(crate) async fn open(
    connector: Connector,
    server: &ServerUrl,
    path: &str,
    subprotocol: Option<&'static str>,
) -> Result<Socket, Disconnect> {
    let url = server.socket(path).map_err(Disconnect::Failed)?;
    let headers = Arc::clone(connector.headers());
    let connected = connector.connect(url.clone()).await;
    let stream = connected.map_err(|error| Disconnect::Failed(error.into()))?;
    let key = generate_key();
    let request = upgrade_request(&url, &key, subprotocol, &headers).map_err(Disconnect::Failed)?;
    let builder = http1::Builder::new().title_case_headers(true).clone();
    let (mut sender, connection) =
        builder.handshake::<_, String>(TokioIo::new(stream)).await.map_err(transport_failure)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(transport_failure)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(read_refusal(response).await);
        }
        check_upgrade(response.headers(), &key, subprotocol)?;
        hyper::upgrade::on(response).await.map_err(transport_failure)
    };
    let connection = connection.with_upgrades();
    tokio::pin!(exchange, connection);
    let upgraded = tokio::select! {
        upgraded = &mut exchange => upgraded?,
        // The connection has passed its stream on, or has failed, and the exchange with it.
        _ = &mut connection => exchange.await?,
    };
    into_socket(upgraded).await
}

fn upgrade_request(
    url: &Uri,
    key: &str,
    subprotocol: Option<&'static str>,
    headers: &HeaderMap,
) -> Result<Request<String>, Error> {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::get(path)
        .header(HOST, authority)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, key)
        .body(String::new())
        .map_err(|error| Error::InvalidArgument(format!("the URL is not valid: {error}")))?;
    // None of these is one of the names above.
    request.headers_mut().extend(headers.clone());
    if let Some(subprotocol) = subprotocol {
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    }
    Ok(request)
}

/// Checks the headers of a response that accepts the upgrade.
fn check_upgrade(
    headers: &HeaderMap,
    key: &str,
    subprotocol: Option<&'static str>,
) -> Result<(), Disconnect> {
    let value = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let is_websocket =
        value(UPGRADE).is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"));
    let is_accepted =
        value(SEC_WEBSOCKET_ACCEPT) == Some(derive_accept_key(key.as_bytes()).as_str());
    if !is_websocket || !is_accepted {
        return Err(unreachable("the response is not from a WebSocket server".to_owned()));
    }
    if value(SEC_WEBSOCKET_PROTOCOL) != subprotocol {
        return Err(unreachable("the server speaks another subprotocol".to_owned()));
    }
    Ok(())
}

async fn into_socket(upgraded: Upgraded) -> Result<Socket, Disconnect> {
    let Ok(parts) = upgraded.downcast::<TokioIo<NetStream>>() else {
        return Err(unreachable("the connection was replaced".to_owned()));
    };
    let (stream, part) = (parts.io.into_inner(), parts.read_buf.to_vec());
    Ok(WebSocketStream::from_partially_read(stream, part, Role::Client, Some(config())).await)
}

/// Reads a response that is no upgrade: an error of the Presence server, or the page of a proxy.
/// The body is read to its end, within limits of time and size.
async fn read_refusal(response: Response<Incoming>) -> Disconnect {
    let (head, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    let mut error = None;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(data) = frame.into_data() {
                bytes.extend_from_slice(&data);
            }
            error = error_in(&bytes);
            if error.is_some() || bytes.len() > MAX_REFUSAL_BYTES {
                return;
            }
        }
    };
    // A body that takes longer is not waited for: the head says enough.
    let _ = timeout(REFUSAL_TIMEOUT, reading).await;
    refusal(head.status, requested_wait(&head.headers), error)
}

fn error_in(body: &[u8]) -> Option<ApiError> {
    serde_json::from_slice::<RawReply>(body).ok().and_then(RawReply::into_error)
}

/// Returns what a response means that is no upgrade, with the wait of its header in seconds.
fn refusal(status: StatusCode, wait: Option<f64>, error: Option<ApiError>) -> Disconnect {
    if let Some(error) = error {
        let retry_after = error.retry_after.or(wait);
        return Disconnect::Refused(ApiError { retry_after, ..error });
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Disconnect::Refused(ApiError { retry_after: wait, ..Errno::SlowDown.into() });
    }
    let text =
        format!("the response is not from a Presence server: HTTP status {}", status.as_u16());
    match wait.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        Some(at_least) => {
            let at_least = at_least.min(MAX_WAIT);
            Disconnect::Postponed { reason: Error::Unreachable(text), at_least }
        }
        None => unreachable(text),
    }
}

fn unreachable(text: String) -> Disconnect {
    Disconnect::Failed(Error::Unreachable(text))
}

#[expect(clippy::needless_pass_by_value, reason = "the callers map errors with it")]
fn transport_failure(error: hyper::Error) -> Disconnect {
    Disconnect::Failed(TransportError::new(&error).into())
}

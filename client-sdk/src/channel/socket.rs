//! The opening of a WebSocket.

use http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use presence_protocol::error::RawReply;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, http::Response};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::disconnect::Disconnect;
use crate::error::Error;
use crate::net::{Connector, NetStream, TransportError};
use crate::server_url::ServerUrl;

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
    let connected = connector.connect(url.clone()).await;
    let stream = connected.map_err(|error| Disconnect::Failed(error.into()))?;
    let mut request = url.into_client_request().map_err(|error| transport_failure(&error))?;
    if let Some(subprotocol) = subprotocol {
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    }
    match client_async_with_config(request, stream, Some(config())).await {
        Ok((socket, _)) => Ok(socket),
        Err(WsError::Http(response)) => Err(upgrade_refusal(&response)),
        Err(error) => Err(transport_failure(&error)),
    }
}

fn transport_failure(error: &WsError) -> Disconnect {
    Disconnect::Failed(TransportError::new(error).into())
}

/// Reads a response that is no upgrade: an error of the Presence server, or the page of a proxy.
fn upgrade_refusal(response: &Response<Option<Vec<u8>>>) -> Disconnect {
    let error = response
        .body()
        .as_deref()
        .and_then(|body| serde_json::from_slice::<RawReply>(body).ok())
        .and_then(RawReply::into_error);
    match error {
        Some(error) => Disconnect::Refused(error),
        None => Disconnect::Failed(Error::Unreachable(format!(
            "the response is not from a Presence server: HTTP status {}",
            response.status().as_u16()
        ))),
    }
}

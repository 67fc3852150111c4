//! Opening a WebSocket.

use http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use presence_protocol::error::RawReply;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, http::Response};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::Loss;
use crate::error::Error;
use crate::net::{Connector, Unreachable, Wire};
use crate::server_url::ServerUrl;

pub(crate) type Socket = WebSocketStream<Wire>;

/// Small buffers, since most sockets are idle; they grow where a frame needs it.
fn config() -> WebSocketConfig {
    const LARGEST_FRAME: usize = 16 << 20;
    WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .write_buffer_size(4 << 10)
        .max_write_buffer_size(LARGEST_FRAME)
        .max_message_size(Some(LARGEST_FRAME))
        .max_frame_size(Some(LARGEST_FRAME))
}

/// Opens a socket.
pub(crate) async fn open(
    connector: Connector,
    server: &ServerUrl,
    path: &str,
    subprotocol: Option<&'static str>,
) -> Result<Socket, Loss> {
    let url = server.socket(path).map_err(Loss::Broken)?;
    let wire = connector.connect(url.clone()).await.map_err(|error| Loss::Broken(error.into()))?;
    let mut request = url.into_client_request().map_err(|error| failed(&error))?;
    if let Some(subprotocol) = subprotocol {
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    }
    match client_async_with_config(request, wire, Some(config())).await {
        Ok((socket, _)) => Ok(socket),
        Err(WsError::Http(response)) => Err(refused(&response)),
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &WsError) -> Loss {
    Loss::Broken(Unreachable::new(error).into())
}

/// An answer that is no upgrade: our error object, or a page of somebody in between.
fn refused(response: &Response<Option<Vec<u8>>>) -> Loss {
    let ko = response
        .body()
        .as_deref()
        .and_then(|body| serde_json::from_slice::<RawReply>(body).ok())
        .and_then(RawReply::into_error);
    match ko {
        Some(ko) => Loss::Refused(ko),
        None => Loss::Broken(Error::Unreachable(format!(
            "no Presence server answers there: HTTP status {}",
            response.status().as_u16()
        ))),
    }
}

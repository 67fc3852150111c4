//! The baseline: a WebSocket client that only sends and receives.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// An open socket.
pub(crate) struct BareClient(WebSocketStream<TcpStream>);

impl BareClient {
    pub(crate) async fn open(
        server: SocketAddr,
        path: &str,
        subprotocol: Option<&'static str>,
    ) -> Self {
        let tcp = TcpStream::connect(server).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let mut request = format!("ws://{server}{path}").into_client_request().unwrap();
        if let Some(subprotocol) = subprotocol {
            let value = HeaderValue::from_static(subprotocol);
            request.headers_mut().insert("sec-websocket-protocol", value);
        }
        // Buffers of the same size as the SDK's, so that the memory can be compared.
        let config =
            WebSocketConfig::default().read_buffer_size(4 << 10).write_buffer_size(4 << 10);
        Self(client_async_with_config(request, tcp, Some(config)).await.unwrap().0)
    }

    /// Sends a frame, and returns the next one.
    pub(crate) async fn ask(&mut self, frame: String) -> Utf8Bytes {
        self.0.send(Message::text(frame)).await.unwrap();
        self.receive().await
    }

    /// Returns the next text frame.
    pub(crate) async fn receive(&mut self) -> Utf8Bytes {
        loop {
            if let Message::Text(text) = self.0.next().await.unwrap().unwrap() {
                return text;
            }
        }
    }
}

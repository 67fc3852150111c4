//! A WebSocket client for tests that break connections: every operation returns whether the
//! connection still exists.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use presence_protocol::app::SUBPROTOCOL;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as Code;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::{SocketEnd, TIMEOUT};

/// An open socket. Dropping it cuts the connection without a close frame.
#[derive(Debug)]
pub struct FallibleSocket {
    stream: WebSocketStream<TcpStream>,
}

impl FallibleSocket {
    /// Opens a socket at a path, with the subprotocol `presence.v1` if `v1` is true.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection broke before the upgrade was answered. A refused upgrade
    /// counts as closed with the HTTP status.
    pub async fn open(address: SocketAddr, path: &str, v1: bool) -> Result<Self, SocketEnd> {
        let stream = TcpStream::connect(address).await.map_err(|_| SocketEnd::Lost)?;
        stream.set_nodelay(true).map_err(|_| SocketEnd::Lost)?;
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        if v1 {
            let value = HeaderValue::from_static(SUBPROTOCOL);
            request.headers_mut().append("sec-websocket-protocol", value);
        }
        let opened = timeout(TIMEOUT, client_async(request, stream)).await;
        let opened = opened.unwrap_or_else(|_| panic!("the upgrade was not answered"));
        opened.map(|(stream, _)| Self { stream }).map_err(|error| {
            if let Error::Http(response) = error {
                SocketEnd::Closed(Some(response.status().as_u16()))
            } else {
                SocketEnd::Lost
            }
        })
    }

    /// Sends a frame.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection is broken.
    pub async fn send(&mut self, frame: &Value) -> Result<(), SocketEnd> {
        self.stream.send(Message::text(frame.to_string())).await.map_err(|_| SocketEnd::Lost)
    }

    /// Queues all frames, and then flushes them together.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection is broken.
    pub async fn send_all(&mut self, frames: &[Value]) -> Result<(), SocketEnd> {
        for frame in frames {
            let message = Message::text(frame.to_string());
            self.stream.feed(message).await.map_err(|_| SocketEnd::Lost)?;
        }
        self.stream.flush().await.map_err(|_| SocketEnd::Lost)
    }

    /// Returns the next frame, without a time limit.
    ///
    /// # Errors
    ///
    /// Returns an error if the socket has ended.
    pub async fn receive(&mut self) -> Result<Value, SocketEnd> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    let frame = serde_json::from_str(&text);
                    return Ok(frame.unwrap_or_else(|_| panic!("not JSON: {text}")));
                }
                Some(Ok(Message::Close(frame))) => {
                    // The flush sends the reply to the server's close frame.
                    let _ = self.stream.flush().await;
                    return Err(SocketEnd::Closed(frame.map(|frame| frame.code.into())));
                }
                Some(Ok(Message::Binary(_))) => panic!("the server sent a binary frame"),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(_)) | None => return Err(SocketEnd::Lost),
            }
        }
    }

    /// Returns the next frame, within [`TIMEOUT`].
    ///
    /// # Errors
    ///
    /// Returns an error if the socket has ended.
    pub async fn receive_soon(&mut self) -> Result<Value, SocketEnd> {
        let received = timeout(TIMEOUT, self.receive()).await;
        received.unwrap_or_else(|_| panic!("no frame arrived in {TIMEOUT:?}"))
    }

    /// Closes the socket with a close frame, and waits until the server has ended the connection.
    pub async fn close(mut self) {
        let frame = CloseFrame { code: Code::Normal, reason: "".into() };
        let ended = async {
            if self.stream.close(Some(frame)).await.is_ok() {
                while let Some(Ok(_)) = self.stream.next().await {}
            }
        };
        timeout(TIMEOUT, ended)
            .await
            .unwrap_or_else(|_| panic!("the close frame was not answered"));
    }
}

//! The upgrade of a test's socket: the request, the connection below it, and a refusal.

use std::net::SocketAddr;

use presence_protocol::Errno;
use presence_protocol::app::SUBPROTOCOL;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::fixtures::Application;
use crate::{CertificateAuthority, FaultProxy, Server, TIMEOUT};

/// The upgrade request of a socket: its path, its headers and its route.
#[derive(Debug, Clone)]
pub struct SocketRequest {
    path: String,
    headers: Vec<(&'static str, String)>,
    through: Option<SocketAddr>,
    receive_buffer: Option<u32>,
}

impl SocketRequest {
    /// Returns a request for the Device Presence Channel.
    pub fn device() -> Self {
        Self::to("/presence")
    }

    /// Returns a request for the AppService Presence Channel of an Application, without a
    /// subprotocol.
    pub fn app(application: &Application) -> Self {
        Self::to(&format!("/myapps/{}", application.appid))
    }

    /// Returns a request for any path, with or without a query.
    pub fn to(path: &str) -> Self {
        Self { path: path.to_owned(), headers: Vec::new(), through: None, receive_buffer: None }
    }

    /// Offers the subprotocol `presence.v1`.
    #[must_use]
    pub fn v1(self) -> Self {
        self.header("sec-websocket-protocol", SUBPROTOCOL)
    }

    /// Adds a bearer credential to the upgrade request.
    #[must_use]
    pub fn bearer(self, credential: &str) -> Self {
        self.header("authorization", &format!("Bearer {credential}"))
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Adds a query.
    #[must_use]
    pub fn query(mut self, query: &str) -> Self {
        self.path = format!("{}?{query}", self.path);
        self
    }

    /// Connects through a proxy.
    #[must_use]
    pub fn through(self, fault_proxy: &FaultProxy) -> Self {
        Self { through: Some(fault_proxy.address()), ..self }
    }

    /// Uses a small receive buffer, so that the server soon notices a client that does not read.
    #[must_use]
    pub fn small_receive_buffer(self) -> Self {
        Self { receive_buffer: Some(4096), ..self }
    }

    /// Opens the socket, and returns a refused upgrade as an error.
    pub(crate) async fn open(
        self,
        server: &Server,
    ) -> Result<(WebSocketStream<Box<dyn ByteStream>>, Response), RejectedUpgrade> {
        let address = self.through.unwrap_or(server.address());
        let tcp = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = self.receive_buffer {
            tcp.set_recv_buffer_size(bytes).unwrap();
        }
        let stream = tcp.connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let stream: Box<dyn ByteStream> = match server.tls() {
            Some(authority) => Box::new(connect_tls(stream, authority).await),
            None => Box::new(stream),
        };
        let opening = timeout(TIMEOUT, client_async(self.request(address), stream)).await;
        match opening.unwrap_or_else(|_| panic!("the upgrade was not answered")) {
            Ok(opened) => Ok(opened),
            Err(Error::Http(response)) => Err(RejectedUpgrade {
                status: response.status().as_u16(),
                body: serde_json::from_slice(response.body().as_deref().unwrap_or_default())
                    .unwrap_or(Value::Null),
            }),
            Err(error) => panic!("the upgrade failed: {error}"),
        }
    }

    fn request(&self, address: SocketAddr) -> Request {
        let mut request = format!("ws://{address}{}", self.path).into_client_request().unwrap();
        for (name, value) in &self.headers {
            let value = HeaderValue::from_str(value).unwrap();
            if *name == "host" {
                request.headers_mut().insert(HeaderName::from_static(name), value);
            } else {
                request.headers_mut().append(HeaderName::from_static(name), value);
            }
        }
        request
    }
}

/// A refused upgrade: the HTTP status and the body.
#[derive(Debug, Clone, PartialEq)]
pub struct RejectedUpgrade {
    /// The HTTP status.
    pub status: u16,
    /// The body as JSON, or `null` if it is not JSON.
    pub body: Value,
}

impl RejectedUpgrade {
    /// Checks that the body is an error object with this errno, and that the HTTP status is that of
    /// the errno.
    #[track_caller]
    pub fn assert_error(&self, errno: Errno) {
        assert_eq!(self.status, errno.http_status(), "{}", self.body);
        assert_error_frame(&self.body, errno);
    }
}

/// A plain or TLS connection.
pub(crate) trait ByteStream:
    AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug
{
}

impl<W: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug> ByteStream for W {}

async fn connect_tls(stream: TcpStream, authority: &CertificateAuthority) -> TlsStream<TcpStream> {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let handshake = TlsConnector::from(authority.client()).connect(name, stream);
    let connected = timeout(TIMEOUT, handshake).await;
    connected.unwrap_or_else(|_| panic!("the TLS handshake does not end")).unwrap()
}

/// Checks that a frame or a body is an error object with this errno.
#[track_caller]
pub(crate) fn assert_error_frame(frame: &Value, errno: Errno) {
    let actual = (frame["result"].as_str(), frame["errno"].as_u64());
    assert_eq!(actual, (Some("KO"), Some(u64::from(errno.number()))), "{frame}");
    assert!(frame["error"].is_string(), "{frame}");
}

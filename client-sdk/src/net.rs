//! The connection to the server: name resolution, TCP without Nagle's delay, and TLS. Sockets and
//! REST calls both use it.

mod dial;
mod resolver;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use crate::error::Error;
use crate::tls::Tls;

/// A connector for sockets and REST calls.
#[derive(Clone)]
pub(crate) struct Connector {
    tls: Arc<ClientConfig>,
}

impl Connector {
    /// Returns a connector with the TLS configuration of the application.
    pub(crate) fn new(tls: &Tls) -> Result<Self, Error> {
        Ok(Self { tls: tls.client_config()? })
    }

    /// Connects to the host of a URL, with TLS for `wss` and `https`. All addresses of the host are
    /// tried.
    pub(crate) async fn connect(self, url: Uri) -> Result<NetStream, TransportError> {
        let uses_tls = matches!(url.scheme_str(), Some("wss" | "https"));
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_u16().unwrap_or(if uses_tls { 443 } else { 80 });
        let found = resolver::lookup(&host, port).await;
        let addresses = found.map_err(|error| TransportError::during("the name lookup", &error))?;
        let connected = dial::connect(addresses).await;
        let tcp = connected.map_err(|error| TransportError::during("the connection", &error))?;
        if !uses_tls {
            return Ok(NetStream::Plain(tcp));
        }
        let name = ServerName::try_from(host);
        let tls =
            TlsConnector::from(self.tls).connect(name.map_err(TransportError::new)?, tcp).await;
        Ok(NetStream::Tls(Box::new(tls.map_err(TransportError::new)?)))
    }
}

/// The reason for which there is no connection, in one line with all causes.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TransportError(String);

impl TransportError {
    /// Creates an error for one step of a connection.
    fn during(step: &str, error: &io::Error) -> Self {
        Self(format!("{step} failed: {error}"))
    }

    pub(crate) fn new(error: impl std::error::Error) -> Self {
        let mut line = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !line.contains(&text) {
                line = format!("{line}: {text}");
            }
            cause = error.source();
        }
        Self(line)
    }
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        Self::Unreachable(error.0)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<NetStream>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<TokioIo<NetStream>, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connecting = self.clone().connect(url);
        Box::pin(async { connecting.await.map(TokioIo::new) })
    }
}

/// An open connection.
pub(crate) enum NetStream {
    /// A connection without TLS, for development.
    Plain(TcpStream),
    /// A connection with TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for NetStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for NetStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for NetStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

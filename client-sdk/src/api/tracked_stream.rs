//! The connections that REST calls share. Each is opened within a time limit, and records whether
//! it has carried a call.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tower_service::Service;

use crate::net::{Connector, NetStream, TransportError};

/// A connector with a time limit.
#[derive(Clone)]
pub(super) struct StreamConnector {
    connector: Connector,
    timeout: Duration,
}

impl StreamConnector {
    pub(super) fn new(connector: Connector, timeout: Duration) -> Self {
        Self { connector, timeout }
    }
}

impl Service<Uri> for StreamConnector {
    type Response = TokioIo<TrackedStream>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<TokioIo<TrackedStream>, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connecting = timeout(self.timeout, self.connector.clone().connect(url));
        Box::pin(async {
            let timed_out = |_| TransportError::new(&io::Error::from(io::ErrorKind::TimedOut));
            let stream = connecting.await.map_err(timed_out)??;
            Ok(TokioIo::new(TrackedStream { stream, usage: Usage::default() }))
        })
    }
}

/// The flag that a connection has carried a call. If such a connection fails, it was probably
/// closed while it was idle.
#[derive(Debug, Clone, Default)]
pub(super) struct Usage(Arc<AtomicBool>);

impl Usage {
    /// Records that the connection has carried a call.
    pub(super) fn mark_used(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns true if the connection has carried a call.
    pub(super) fn was_used(connected: &Connected) -> bool {
        let mut extensions = http::Extensions::new();
        connected.get_extras(&mut extensions);
        extensions.get::<Self>().is_some_and(|usage| usage.0.load(Ordering::Relaxed))
    }
}

/// A connection with its usage flag.
pub(super) struct TrackedStream {
    stream: NetStream,
    usage: Usage,
}

impl Connection for TrackedStream {
    fn connected(&self) -> Connected {
        self.stream.connected().extra(self.usage.clone())
    }
}

impl AsyncRead for TrackedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for TrackedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

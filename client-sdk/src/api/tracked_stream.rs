//! The connections that REST calls share: opened within a time limit, and knowing whether they were good for a call before.

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

use crate::net::{Connector, Unreachable, Wire};

/// Opens connections.
#[derive(Clone)]
pub(super) struct Opener {
    connector: Connector,
    within: Duration,
}

impl Opener {
    pub(super) fn new(connector: Connector, within: Duration) -> Self {
        Self { connector, within }
    }
}

impl Service<Uri> for Opener {
    type Response = TokioIo<KnownWire>;
    type Error = Unreachable;
    type Future = BoxFuture<'static, Result<TokioIo<KnownWire>, Unreachable>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unreachable>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connecting = timeout(self.within, self.connector.clone().connect(url));
        Box::pin(async {
            let late = |_| Unreachable::new(io::Error::from(io::ErrorKind::TimedOut));
            let wire = connecting.await.map_err(late)??;
            Ok(TokioIo::new(KnownWire { wire, good: Good::default() }))
        })
    }
}

/// Whether a connection has carried a call before. One that has, and fails, was probably closed while it lay idle.
#[derive(Debug, Clone, Default)]
pub(super) struct Good(Arc<AtomicBool>);

impl Good {
    /// It has carried a call.
    pub(super) fn prove(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the connection of which this is told has carried a call before.
    pub(super) fn was(connected: &Connected) -> bool {
        let mut extensions = http::Extensions::new();
        connected.get_extras(&mut extensions);
        extensions.get::<Self>().is_some_and(|good| good.0.load(Ordering::Relaxed))
    }
}

/// A connection with its memory.
pub(super) struct KnownWire {
    wire: Wire,
    good: Good,
}

impl Connection for KnownWire {
    fn connected(&self) -> Connected {
        self.wire.connected().extra(self.good.clone())
    }
}

impl AsyncRead for KnownWire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_read(cx, buf)
    }
}

impl AsyncWrite for KnownWire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().wire).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_shutdown(cx)
    }
}

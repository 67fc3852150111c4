//! A connection as bytes: plain, or by TLS, whose handshake takes place where the connection is first read or written.

use std::io::{Error, ErrorKind, IoSlice, Result, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use crate::meter;

/// A connection.
pub(crate) enum Link {
    Plain(TcpStream),
    /// The handshake is under way.
    Greeting(Box<Accept<TcpStream>>),
    Secure(Box<TlsStream<TcpStream>>),
    /// The handshake failed.
    Broken,
}

impl Link {
    pub(super) fn new(stream: TcpStream, tls: Option<TlsAcceptor>) -> Self {
        match tls {
            Some(tls) => Self::Greeting(Box::new(tls.accept(stream))),
            None => Self::Plain(stream),
        }
    }

    /// Whether the handshake is still under way.
    pub(super) fn is_greeting(&self) -> bool {
        matches!(self, Self::Greeting(_))
    }

    /// The stream of bytes, once there is one.
    fn poll_stream(&mut self, context: &mut Context<'_>) -> Poll<Result<Pin<&mut dyn Stream>>> {
        if let Self::Greeting(greeting) = self {
            let greeted = ready!(Pin::new(greeting.as_mut()).poll(context));
            meter::handshake(greeted.is_ok());
            *self = match greeted {
                Ok(stream) => Self::Secure(Box::new(stream)),
                Err(error) => {
                    tracing::debug!(%error, "tls.handshake");
                    Self::Broken
                }
            };
        }
        Poll::Ready(match self {
            Self::Plain(stream) => Ok(Pin::new(stream)),
            Self::Secure(stream) => Ok(Pin::new(stream.as_mut())),
            Self::Greeting(_) | Self::Broken => Err(Error::from(ErrorKind::ConnectionAborted)),
        })
    }
}

/// What both kinds of streams can do.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        ready!(self.poll_stream(context))?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        ready!(self.poll_stream(context))?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        ready!(self.poll_stream(context))?.poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_stream(context))?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_stream(context))?.poll_shutdown(context)
    }
}

impl Drop for Link {
    /// Says by TLS too that nothing more will come, as far as that can be said at once: without it, a client could not tell our end
    /// from a cable that was cut.
    fn drop(&mut self) {
        if let Self::Secure(stream) = self {
            let (stream, session) = stream.get_mut();
            session.send_close_notify();
            let _ = session.write_tls(&mut AtOnce(stream));
        }
    }
}

/// Writes what can be written without waiting.
struct AtOnce<'a>(&'a TcpStream);

impl Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

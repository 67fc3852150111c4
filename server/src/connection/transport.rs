//! The bytes of a connection, plain or over TLS. The first read or write does the TLS handshake.

use std::io::{Error, ErrorKind, IoSlice, Result, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::meter;
use crate::tls::{Tls, TlsHandshake};

/// A plain or encrypted TCP connection.
pub(crate) enum Transport {
    Plain(TcpStream),
    /// The handshake is under way.
    Handshaking(TlsHandshake),
    Tls(Box<TlsStream<TcpStream>>),
    /// The handshake failed, or was all that the peer wanted.
    Failed,
}

impl Transport {
    pub(super) fn new(stream: TcpStream, tls: Option<&Arc<Tls>>) -> Self {
        match tls {
            Some(tls) => Self::Handshaking(tls.handshake(stream)),
            None => Self::Plain(stream),
        }
    }

    /// Returns true while the handshake is under way.
    pub(super) fn is_handshaking(&self) -> bool {
        matches!(self, Self::Handshaking(_))
    }

    /// Closes the connection without waiting for its peer.
    pub(super) fn abort(&mut self) {
        *self = Self::Failed;
    }

    /// Completes the handshake if needed, and returns the stream of bytes.
    fn poll_stream(&mut self, context: &mut Context<'_>) -> Poll<Result<Pin<&mut dyn ByteStream>>> {
        if let Self::Handshaking(handshake) = self {
            let result = ready!(handshake.as_mut().poll(context));
            meter::count_handshake(result.is_ok());
            *self = match result {
                Ok(Some(stream)) => Self::Tls(stream),
                Ok(None) => Self::Failed,
                Err(error) => {
                    tracing::debug!(%error, "tls.handshake");
                    Self::Failed
                }
            };
        }
        Poll::Ready(match self {
            Self::Plain(stream) => Ok(Pin::new(stream)),
            Self::Tls(stream) => Ok(Pin::new(stream.as_mut())),
            Self::Handshaking(_) | Self::Failed => Err(Error::from(ErrorKind::ConnectionAborted)),
        })
    }
}

/// A bidirectional stream, plain or encrypted.
trait ByteStream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> ByteStream for S {}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        ready!(self.poll_stream(context))?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Transport {
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

impl Drop for Transport {
    /// Sends the `close_notify` of TLS, if the socket accepts it without blocking. Without it, a
    /// client cannot tell the end of the stream from a truncation.
    fn drop(&mut self) {
        if let Self::Tls(stream) = self {
            let (stream, session) = stream.get_mut();
            session.send_close_notify();
            let _ = session.write_tls(&mut NonBlockingWriter(stream));
        }
    }
}

/// Writes as many bytes as the socket accepts without blocking.
struct NonBlockingWriter<'a>(&'a TcpStream);

impl Write for NonBlockingWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

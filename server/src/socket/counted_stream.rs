//! A stream that counts its bytes, so that deadlines can count from the last progress, and that can
//! limit what a peer may send before it has authenticated.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream of bytes with counters.
pub(crate) struct CountedStream<S> {
    inner: S,
    received: u64,
    sent: u64,
    /// The number of bytes that may still be read, `None` without a limit.
    allowance: Option<usize>,
}

impl<S> CountedStream<S> {
    /// Wraps a stream. Reading fails with `FileTooLarge` after `allowance` bytes.
    pub(crate) fn new(inner: S, allowance: usize) -> Self {
        Self { inner, received: 0, sent: 0, allowance: Some(allowance) }
    }

    /// Returns the number of bytes that were read.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Returns the number of bytes that were written.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Sets the number of bytes that may still be read, `None` for any number.
    pub(crate) fn set_allowance(&mut self, allowance: Option<usize>) {
        self.allowance = allowance;
    }

    fn count_sent(&mut self, sent: &Poll<Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = sent {
            self.sent += *bytes as u64;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CountedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        let read = match self.allowance {
            None => Pin::new(&mut self.inner).poll_read(context, buffer),
            Some(0) => return Poll::Ready(Err(Error::from(ErrorKind::FileTooLarge))),
            Some(allowance) => {
                let mut part =
                    ReadBuf::new(buffer.initialize_unfilled_to(allowance.min(buffer.remaining())));
                let read = Pin::new(&mut self.inner).poll_read(context, &mut part);
                let count = part.filled().len();
                buffer.advance(count);
                read
            }
        };
        let count = buffer.filled().len() - before;
        self.received += count as u64;
        self.allowance = self.allowance.map(|allowance| allowance - count);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CountedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let sent = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.count_sent(&sent);
        sent
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let sent = Pin::new(&mut self.inner).poll_write_vectored(context, parts);
        self.count_sent(&sent);
        sent
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

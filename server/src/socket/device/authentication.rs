//! The phases of a device's socket before it is authenticated.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use presence_core::Steady;
use presence_core::phase::FirstFrame;
use presence_protocol::device::DeviceRequest;
use presence_protocol::{ApiError, CloseCode, Errno, RetryAdvice};
use presence_service::devices::OpenedDevice;

use super::authenticated::DeviceAuthenticated;
use super::replies::{DeviceChannel, DeviceReplies};
use crate::socket::protocol_state::Outgoing;

/// The number of proofs that can fail before the socket is closed.
const MAX_FAILURES: u32 = 3;

/// The result of an authentication. Boxed, since the future that waits for it is boxed as well.
type DeviceOpenResult = Result<Box<OpenedDevice>, ApiError>;

/// A socket that has not sent a valid proof.
pub(super) struct DeviceUnauthenticated {
    failures: u32,
    close_code: CloseCode,
}

impl Default for DeviceUnauthenticated {
    fn default() -> Self {
        Self { failures: 0, close_code: CloseCode::Silent }
    }
}

/// A socket whose proof is being verified.
pub(super) struct DeviceAuthenticating {
    failures: u32,
    opening: Pin<Box<dyn Future<Output = DeviceOpenResult> + Send>>,
}

impl DeviceUnauthenticated {
    /// Records that the peer has sent a frame, so that it is not closed as silent.
    pub(super) fn record_frame(&mut self) {
        if self.close_code == CloseCode::Silent {
            self.close_code = CloseCode::NotAuthorised;
        }
    }

    /// Starts to verify the proof of a first frame.
    ///
    /// # Errors
    ///
    /// `not_authenticated` if the frame has no proof.
    pub(super) fn authenticate(
        self,
        request: DeviceRequest,
        channel: &DeviceChannel,
    ) -> Result<DeviceAuthenticating, (Self, ApiError)> {
        let first_frame = match FirstFrame::from_request(request) {
            Ok(first_frame) => first_frame,
            Err(error) => return Err((self, error)),
        };
        let (service, waker) = (Arc::clone(&channel.service), Arc::clone(&channel.waker));
        let client = channel.client;
        let opening = channel.log.instrument_opening(async move {
            service.devices().open(first_frame, waker, client).await.map(Box::new)
        });
        Ok(DeviceAuthenticating { failures: self.failures, opening: Box::pin(opening) })
    }

    /// Returns the code that closes the socket if the time for authentication is over.
    pub(super) fn close_code(&self) -> CloseCode {
        self.close_code
    }
}

impl DeviceAuthenticating {
    /// Polls the verification.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<DeviceOpenResult> {
        self.opening.as_mut().poll(context)
    }

    /// Replies to the first frame, and returns the next phase.
    pub(super) fn finish(
        self,
        result: DeviceOpenResult,
        replies: &mut DeviceReplies,
        now: Steady,
    ) -> Result<DeviceAuthenticated, DeviceUnauthenticated> {
        match result {
            Ok(opened) => {
                replies.ok();
                Ok(DeviceAuthenticated::new(*opened))
            }
            Err(error) => Err(self.fail(&error, replies, now)),
        }
    }

    fn fail(
        self,
        error: &ApiError,
        replies: &mut DeviceReplies,
        now: Steady,
    ) -> DeviceUnauthenticated {
        replies.error(error, now);
        let failures = self.failures + 1;
        // An error that asks to wait is not the fault of the peer.
        let close_code = if error.errno.retry_advice() == RetryAdvice::AfterWaiting {
            CloseCode::TryAgainLater
        } else {
            CloseCode::NotAuthorised
        };
        if error.errno == Errno::TooManyConnections {
            replies.push(Outgoing::Close(CloseCode::TryAgainLater));
        } else if failures >= MAX_FAILURES && error.errno != Errno::SlowDown {
            replies.push(Outgoing::Close(close_code));
        }
        DeviceUnauthenticated { failures, close_code }
    }

    /// Drops the verification.
    pub(super) fn cancel(self) -> DeviceUnauthenticated {
        DeviceUnauthenticated { failures: self.failures, close_code: CloseCode::TryAgainLater }
    }
}

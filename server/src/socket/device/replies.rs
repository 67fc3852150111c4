//! The state of a device's socket that all its phases share, and its replies.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use presence_core::Steady;
use presence_core::violation_window::ViolationWindow;
use presence_protocol::device;
use presence_protocol::{ApiError, CloseCode, Errno, RequestId};
use presence_service::{PresenceService, SocketWaker};

use crate::meter;
use crate::socket::log::SocketLog;
use crate::socket::outgoing::OutgoingQueue;
use crate::socket::protocol_state::Outgoing;

/// The parts of a device's socket that never change.
pub(super) struct DeviceChannel {
    pub(super) service: Arc<PresenceService>,
    pub(super) waker: Arc<SocketWaker>,
    /// The address of the client.
    pub(super) client: IpAddr,
    pub(super) log: SocketLog,
}

/// The replies to a device's frames, in the order of the frames.
#[derive(Default)]
pub(super) struct DeviceReplies {
    /// The `id` of the frame that is handled now.
    id: Option<RequestId>,
    queue: OutgoingQueue,
    violations: ViolationWindow,
}

impl DeviceReplies {
    /// Begins the work on a frame with this `id`.
    pub(super) fn begin(&mut self, id: Option<RequestId>) {
        self.id = id;
    }

    /// Replies that the frame was applied.
    pub(super) fn ok(&mut self) {
        let bytes = match self.id.take() {
            None => Bytes::from_static(device::OK.as_bytes()),
            Some(id) => device::ok(Some(&id)).into_owned().into(),
        };
        self.queue.push(Outgoing::Text(bytes));
    }

    /// Replies with an error. Closes the socket if it has ignored `slow_down` too often.
    pub(super) fn error(&mut self, error: &ApiError, now: Steady) {
        meter::count_error(error.errno);
        let id = self.id.take();
        self.push(Outgoing::Text(error.to_json(id.as_ref()).into()));
        if error.errno == Errno::SlowDown {
            self.record_violation(now);
        }
    }

    /// Counts a reply that the device ignores if it goes on. Closes the socket after too many.
    pub(super) fn record_violation(&mut self, now: Steady) {
        if self.violations.record(now) {
            self.push(Outgoing::Close(CloseCode::TooSlowOrTooFast));
        }
    }

    pub(super) fn push(&mut self, frame: Outgoing) {
        self.queue.push(frame);
    }

    pub(super) fn pop(&mut self) -> Option<Outgoing> {
        self.queue.pop()
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

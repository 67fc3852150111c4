//! The state of an AppService's socket that all its phases share, and its outgoing frames.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use presence_core::Steady;
use presence_core::violation_window::ViolationWindow;
use presence_protocol::{ApiError, CloseCode, Errno, RequestId};
use presence_service::app_services::RequestedApplication;
use presence_service::{PresenceService, SocketWaker};

use crate::meter;
use crate::socket::log::SocketLog;
use crate::socket::protocol_state::Outgoing;

/// The maximum number of frames that wait to be written before no more frames are read.
pub(super) const MAX_REPLIES: usize = 64;

/// The parts of an AppService's socket that never change.
pub(super) struct AppServiceChannel {
    pub(super) service: Arc<PresenceService>,
    pub(super) waker: Arc<SocketWaker>,
    /// The Application that the path names.
    pub(super) app: RequestedApplication,
    pub(super) is_paged: bool,
    pub(super) client: IpAddr,
    pub(super) log: SocketLog,
}

/// The outgoing frames of an AppService's socket, in order.
#[derive(Default)]
pub(super) struct AppServiceReplies {
    queue: VecDeque<Outgoing>,
    violations: ViolationWindow,
}

impl AppServiceReplies {
    pub(super) fn text(&mut self, text: String) {
        self.queue.push_back(Outgoing::Text(text.into()));
    }

    pub(super) fn extend(&mut self, frames: impl IntoIterator<Item = Outgoing>) {
        self.queue.extend(frames);
    }

    pub(super) fn close(&mut self, code: CloseCode) {
        self.queue.push_back(Outgoing::Close(code));
    }

    /// Replies with an error.
    pub(super) fn error(&mut self, id: Option<&RequestId>, error: &ApiError, now: Steady) {
        meter::count_error(error.errno);
        self.text(error.to_json(id));
        if error.errno == Errno::SlowDown {
            self.record_violation(now);
        }
    }

    /// Replies with an error of an authentication. Closes the socket if another key cannot help.
    pub(super) fn auth_error(&mut self, id: Option<&RequestId>, error: &ApiError, now: Steady) {
        self.error(id, error, now);
        let codes = [
            (Errno::InvalidApiKey, CloseCode::NotAuthorised),
            (Errno::ApplicationNotActive, CloseCode::ApplicationClosed),
            (Errno::TooManyConnections, CloseCode::TryAgainLater),
        ];
        if let Some((_, code)) = codes.into_iter().find(|(errno, _)| *errno == error.errno) {
            self.close(code);
        }
    }

    /// Counts a reply of `slow_down`. Closes the socket if it has ignored too many.
    pub(super) fn record_violation(&mut self, now: Steady) {
        if self.violations.record(now) {
            self.close(CloseCode::TooSlowOrTooFast);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Outgoing> {
        self.queue.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

//! How a sleeping socket is woken: one waker for news, for the time, and for the order to close.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::task::Context;

use futures_util::task::AtomicWaker;
use presence_protocol::CloseCode;

/// Wakes one socket. Ringing costs nothing where the socket is awake already.
#[derive(Debug, Default)]
pub struct SocketWaker {
    waker: AtomicWaker,
    rung: AtomicBool,
    close: AtomicU16,
}

impl SocketWaker {
    /// There is something to look at.
    pub fn wake(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// The socket is to be closed; the first reason given counts.
    pub fn close(&self, code: CloseCode) {
        let _ = self.close.compare_exchange(0, code.number(), Ordering::AcqRel, Ordering::Acquire);
        self.wake();
    }

    /// The order to close, where there is one.
    pub fn closing(&self) -> Option<CloseCode> {
        CloseCode::from_number(self.close.load(Ordering::Acquire))
    }

    /// Has the task woken at the next ring. True where it has rung since the last call.
    pub fn register(&self, context: &Context<'_>) -> bool {
        self.waker.register(context.waker());
        self.rung.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn the_first_reason_to_close_counts() {
        let bell = SocketWaker::default();
        bell.close(CloseCode::Replaced);
        bell.close(CloseCode::GoingAway);
        assert_eq!(bell.closing(), Some(CloseCode::Replaced));
    }

    #[test]
    fn a_ring_is_heard_once_and_not_lost_before_listening() {
        let bell = SocketWaker::default();
        bell.wake();
        let context = Context::from_waker(Waker::noop());
        assert!(bell.register(&context));
        assert!(!bell.register(&context));
    }
}

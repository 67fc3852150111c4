//! The waker of a socket: it wakes the socket's task for news, for deadlines, and to close.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::task::Context;

use futures_util::task::AtomicWaker;
use presence_protocol::CloseCode;

/// The waker of one socket. To wake a socket that is awake already costs nothing.
#[derive(Debug, Default)]
pub struct SocketWaker {
    waker: AtomicWaker,
    woken: AtomicBool,
    close: AtomicU16,
}

impl SocketWaker {
    /// Wakes the socket.
    pub fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Closes the socket. The first code counts.
    pub fn close(&self, code: CloseCode) {
        let _ = self.close.compare_exchange(0, code.number(), Ordering::AcqRel, Ordering::Acquire);
        self.wake();
    }

    /// Returns the code to close with, if the socket is to be closed.
    pub fn closing(&self) -> Option<CloseCode> {
        CloseCode::from_number(self.close.load(Ordering::Acquire))
    }

    /// Registers the task to be woken. Returns true if the socket was woken since the last call.
    pub fn register(&self, context: &Context<'_>) -> bool {
        self.waker.register(context.waker());
        self.woken.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn the_first_close_code_counts() {
        let waker = SocketWaker::default();
        waker.close(CloseCode::Replaced);
        waker.close(CloseCode::GoingAway);
        assert_eq!(waker.closing(), Some(CloseCode::Replaced));
    }

    #[test]
    fn a_wake_is_reported_once_and_not_lost_before_the_task_is_registered() {
        let waker = SocketWaker::default();
        waker.wake();
        let context = Context::from_waker(Waker::noop());
        assert!(waker.register(&context));
        assert!(!waker.register(&context));
    }
}

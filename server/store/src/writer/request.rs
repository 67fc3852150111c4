//! A request to the writer, and the reply to wait for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep_until};

use crate::deadline::Wait;
use crate::error::StoreError;

/// The reply to a request that was submitted. Dropping it does not cancel the request.
///
/// It is `TooLate` at the deadline of the call. A request whose commit has not begun by then is not
/// done, so it is not known whether such a request was done.
#[must_use = "the reply says whether the request was committed"]
pub struct WriteReply<A>(ReplyState<A>);

enum ReplyState<A> {
    Rejected(StoreError),
    Pending {
        reply: oneshot::Receiver<Result<A, StoreError>>,
        wait: Wait,
        /// The timer of the deadline, once the reply was waited for.
        timer: Option<Pin<Box<Sleep>>>,
    },
}

impl<A> WriteReply<A> {
    pub(super) fn rejected(error: StoreError) -> Self {
        Self(ReplyState::Rejected(error))
    }
}

impl<A> Future for WriteReply<A> {
    type Output = Result<A, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            ReplyState::Rejected(error) => Poll::Ready(Err(error.clone())),
            ReplyState::Pending { reply, wait, timer } => {
                if let Poll::Ready(reply) = Pin::new(reply).poll(context) {
                    wait.end();
                    return Poll::Ready(reply.unwrap_or(Err(StoreError::Stopped)));
                }
                let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(wait.until())));
                std::task::ready!(timer.as_mut().poll(context));
                wait.end();
                Poll::Ready(Err(StoreError::TooLate))
            }
        }
    }
}

/// A request with its input, and the output that the current transaction has produced.
pub(super) struct WriteRequest<I, O> {
    pub(super) input: I,
    pub(super) output: Option<O>,
    reply: oneshot::Sender<Result<O, StoreError>>,
    wait: Wait,
}

impl<I, O> WriteRequest<I, O> {
    pub(super) fn new(input: I, deadline: Duration) -> (Self, WriteReply<O>) {
        let (reply, receiver) = oneshot::channel();
        let wait = Wait::begin(deadline);
        let pending = ReplyState::Pending { reply: receiver, wait, timer: None };
        (Self { input, output: None, reply, wait }, WriteReply(pending))
    }

    /// Returns true if the deadline of its call is over.
    pub(super) fn is_late(&self) -> bool {
        self.wait.is_over()
    }

    /// Sends the output, or the reason why nothing was done. The receiver may be gone.
    pub(super) fn complete(self, result: Result<(), StoreError>) {
        let output = result.and_then(|()| self.output.ok_or(StoreError::Stopped));
        self.reply.send(output).ok();
    }
}

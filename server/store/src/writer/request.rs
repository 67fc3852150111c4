//! A request to the writer, and the reply to wait for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::error::StoreError;

/// The reply to a request that was submitted. Dropping it does not cancel the request.
#[must_use = "the reply says whether the request was committed"]
pub struct WriteReply<A>(ReplyState<A>);

enum ReplyState<A> {
    Rejected(StoreError),
    Pending(oneshot::Receiver<Result<A, StoreError>>),
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
            ReplyState::Pending(reply) => {
                Pin::new(reply).poll(context).map(|reply| reply.unwrap_or(Err(StoreError::Stopped)))
            }
        }
    }
}

/// A request with its input, and the output that the current transaction has produced.
pub(super) struct WriteRequest<I, O> {
    pub(super) input: I,
    pub(super) output: Option<O>,
    reply: oneshot::Sender<Result<O, StoreError>>,
}

impl<I, O> WriteRequest<I, O> {
    pub(super) fn new(input: I) -> (Self, WriteReply<O>) {
        let (reply, receiver) = oneshot::channel();
        (Self { input, output: None, reply }, WriteReply(ReplyState::Pending(receiver)))
    }

    /// Sends the output, or the reason why nothing was done. The receiver may be gone.
    pub(super) fn complete(self, result: Result<(), StoreError>) {
        let output = result.and_then(|()| self.output.ok_or(StoreError::Stopped));
        self.reply.send(output).ok();
    }
}

//! A question to the writer and the answer to wait for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::error::StoreError;

/// The answer to come of something that was submitted already.
#[must_use = "the answer tells whether it was done"]
pub struct WriteReply<A>(Inner<A>);

enum Inner<A> {
    Refused(StoreError),
    Awaited(oneshot::Receiver<Result<A, StoreError>>),
}

impl<A> WriteReply<A> {
    pub(super) fn refused(error: StoreError) -> Self {
        Self(Inner::Refused(error))
    }
}

impl<A> Future for WriteReply<A> {
    type Output = Result<A, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Inner::Refused(error) => Poll::Ready(Err(error.clone())),
            Inner::Awaited(answer) => Pin::new(answer)
                .poll(context)
                .map(|answer| answer.unwrap_or(Err(StoreError::Stopped))),
        }
    }
}

/// A question, the answer found for it by the transaction under way, and whom to tell after the commit.
pub(super) struct WriteRequest<Q, A> {
    pub(super) question: Q,
    pub(super) answer: Option<A>,
    reply: oneshot::Sender<Result<A, StoreError>>,
}

impl<Q, A> WriteRequest<Q, A> {
    pub(super) fn new(question: Q) -> (Self, WriteReply<A>) {
        let (reply, answer) = oneshot::channel();
        (Self { question, answer: None, reply }, WriteReply(Inner::Awaited(answer)))
    }

    /// Tells what was found, or why nothing was done. It does not matter whether anybody still listens.
    pub(super) fn close(self, outcome: Result<(), StoreError>) {
        let answer = outcome.and_then(|()| self.answer.ok_or(StoreError::Stopped));
        self.reply.send(answer).ok();
    }
}

//! The task of a channel, with the guarantee that its end is seen.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;

use super::protocol_state::ProtocolState;
use super::shared_state::SharedState;
use crate::end_reason::EndReason;

/// The task of a channel. If it is dropped before the channel has ended, because its runtime is
/// shut down or a bug makes it panic, it ends the channel, so that nobody waits for it.
pub(crate) struct ChannelTask<P: ProtocolState> {
    shared: Arc<SharedState<P>>,
    work: BoxFuture<'static, ()>,
}

impl<P: ProtocolState> ChannelTask<P> {
    pub(crate) fn new(
        shared: Arc<SharedState<P>>,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self { shared, work: Box::pin(work) }
    }
}

impl<P: ProtocolState> Future for ChannelTask<P> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.count_wake();
        self.work.as_mut().poll(cx)
    }
}

impl<P: ProtocolState> Drop for ChannelTask<P> {
    fn drop(&mut self) {
        self.shared.end(EndReason::Aborted);
    }
}

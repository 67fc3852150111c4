//! A receiver of the states of a channel, independent of its events.

use std::fmt;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::future::BoxFuture;

use super::protocol_state::ProtocolState;
use super::shared_state::SharedState;
use crate::state::ConnectionState;

/// A receiver of the states of a channel, beside its events. Any number of receivers can exist. A
/// slow one skips states and gets the newest. It does not keep the channel open.
#[derive(Clone)]
pub struct StateWatch {
    channel: Arc<dyn WatchedChannel>,
    seen: Option<ConnectionState>,
}

/// A channel of either kind, as a watch sees it.
trait WatchedChannel: Send + Sync {
    fn current(&self) -> ConnectionState;

    fn change<'a>(&'a self, known: &'a ConnectionState) -> BoxFuture<'a, Option<ConnectionState>>;
}

impl<P: ProtocolState> WatchedChannel for SharedState<P> {
    fn current(&self) -> ConnectionState {
        self.with(|protocol| protocol.state().clone())
    }

    fn change<'a>(&'a self, known: &'a ConnectionState) -> BoxFuture<'a, Option<ConnectionState>> {
        Box::pin(self.wait_for_state_change(known))
    }
}

impl StateWatch {
    pub(crate) fn new<P: ProtocolState>(channel: Arc<SharedState<P>>) -> Self {
        Self { channel, seen: None }
    }

    /// Returns the state of the channel, whether or not [`next`](Self::next) has returned it.
    pub fn current(&self) -> ConnectionState {
        self.channel.current()
    }

    /// Waits for a state that differs from the last one returned. The first call returns the
    /// current state at once. Returns `None` after the end. Cancel-safe.
    pub async fn next(&mut self) -> Option<ConnectionState> {
        let next = match &self.seen {
            None => self.channel.current(),
            Some(seen) => self.channel.change(seen).await?,
        };
        Some(self.seen.insert(next).clone())
    }

    /// Waits for a state that matches, beginning with the current one. Returns `None` if the
    /// channel ends before. A state that lasts for a moment only can be skipped.
    pub async fn wait_for(
        &mut self,
        mut matches: impl FnMut(&ConnectionState) -> bool + Send,
    ) -> Option<ConnectionState> {
        let current = self.current();
        let mut state = self.seen.insert(current).clone();
        while !matches(&state) {
            state = self.next().await?;
        }
        Some(state)
    }

    /// Returns the states as a stream.
    pub fn into_stream(self) -> impl Stream<Item = ConnectionState> + Send {
        futures_util::stream::unfold(self, |mut states| async {
            states.next().await.map(|state| (state, states))
        })
    }
}

impl fmt::Debug for StateWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateWatch").finish_non_exhaustive()
    }
}

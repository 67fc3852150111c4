//! The application's handle of the channel of an AppService, and its events.

use std::fmt;
use std::sync::Arc;

use futures_util::Stream;
use presence_protocol::app::{NotifyItem, QueuedNotification};
use presence_protocol::limits::MAX_BATCH_ITEMS;
use presence_protocol::open::OpenQueryResult;
use presence_protocol::{ApiError, Puid};
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::Instrument;

use super::chunks::chunks;
use super::event::AppServiceEvent;
use super::options::AppServiceOptions;
use super::protocol::AppServiceProtocol;
use super::requests::{PendingRequest, Reply};
use crate::channel::{
    ChannelHandle, ChannelTask, Endpoint, ProtocolState, SharedState, StateWatch, run, runtime,
};
use crate::counters::ChannelCounters;
use crate::error::Error;
use crate::net::Connector;
use crate::notification::NewNotification;
use crate::state::{ConnectionState, StateChange};
use crate::timing::Timing;

/// The maximum number of requests without a reply. Further calls wait.
const MAX_IN_FLIGHT: usize = 64;

/// The presence of an Application's users, and the means to notify them.
///
/// Clones are handles of the same channel. The channel is closed when the last one is dropped.
#[derive(Clone)]
pub struct AppServiceChannel {
    handle: Arc<ChannelHandle<AppServiceProtocol>>,
    permits: Arc<Semaphore>,
    timing: Timing,
}

impl AppServiceChannel {
    /// Opens a channel. It connects in the background.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] outside a tokio runtime, if an option of the network is not
    /// valid, or if a time of [`Timing`] is shorter than a millisecond or longer than a year.
    pub fn open(options: AppServiceOptions) -> Result<(Self, AppServiceEvents), Error> {
        options.timing.check()?;
        let connector = Connector::new(&options.network)?;
        let runtime = runtime()?;
        let shared = SharedState::new(AppServiceProtocol::new(&options));
        let handle = ChannelHandle::new(Arc::clone(&shared));
        let events = AppServiceEvents { shared: Arc::clone(&shared) };
        let span = tracing::info_span!("presence.app_service", application = %options.application);
        let AppServiceOptions { server, timing, .. } = options;
        let endpoint = Endpoint { server, connector, timing: timing.clone() };
        let task = run(Arc::clone(&shared), endpoint, rand::random).instrument(span);
        drop(runtime.spawn(ChannelTask::new(shared, task)));
        let permits = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
        Ok((Self { handle, permits, timing }, events))
    }

    /// Sends notifications, and returns one result for each, in order: the id of the queued
    /// notification, or the error. A notification with an id is stored durably by the server.
    ///
    /// The call continues over reconnects. No notification is queued twice, also if the call is
    /// repeated, since each has an idempotency key from its construction. A long list is sent in
    /// several frames. If one of them fails after others were answered, the result of each
    /// notification of it, and of all after it, is that error.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], [`Error::TimedOut`] if a reply does not come within
    /// [`Timing::request_timeout`], [`Error::Ended`].
    pub async fn notify(
        &self,
        items: Vec<NewNotification>,
    ) -> Result<Vec<Result<QueuedNotification, Error>>, Error> {
        let count = items.len();
        let items = items.into_iter().map(NewNotification::into_item).collect();
        let mut results = Vec::with_capacity(count);
        for chunk in chunks(items) {
            match self.notify_chunk(chunk).await {
                Ok(part) => results.extend(part.into_iter().map(|one| one.map_err(Error::from))),
                Err(error) if results.is_empty() => return Err(error),
                Err(error) => {
                    results.resize(count, Err(error));
                    break;
                }
            }
        }
        Ok(results)
    }

    async fn notify_chunk(
        &self,
        chunk: Vec<NotifyItem>,
    ) -> Result<Vec<Result<QueuedNotification, ApiError>>, Error> {
        let count = chunk.len();
        match self.request(PendingRequest::Notify(chunk)).await? {
            Reply::Notify(part) if part.len() == count => Ok(part),
            Reply::Notify(_) | Reply::Query(_) => Err(mismatched_reply()),
        }
    }

    /// Sends one notification, like [`notify`](Self::notify).
    ///
    /// # Errors
    ///
    /// The errors of [`notify`](Self::notify), and [`Error::Refused`] if this notification was not
    /// queued.
    pub async fn notify_one(&self, item: NewNotification) -> Result<QueuedNotification, Error> {
        let results = self.notify(vec![item]).await?;
        results.into_iter().next().ok_or_else(mismatched_reply)?
    }

    /// Returns the current presence of users, one entry for each, in order.
    ///
    /// # Errors
    ///
    /// The errors of [`notify`](Self::notify).
    pub async fn query(&self, uids: Vec<Puid>) -> Result<Vec<OpenQueryResult>, Error> {
        let mut presence = Vec::new();
        for chunk in uids.chunks(MAX_BATCH_ITEMS) {
            match self.request(PendingRequest::Query(chunk.to_vec())).await? {
                Reply::Query(part) => presence.extend(part),
                Reply::Notify(_) => return Err(mismatched_reply()),
            }
        }
        Ok(presence)
    }

    /// Sets the API key for the next connection. If the server refused the current key, the
    /// channel reconnects at once.
    pub fn set_api_key(&self, api_key: SecretString) {
        self.handle.update_as_app(|protocol| protocol.set_api_key(api_key));
    }

    /// Returns what the channel has counted since it was opened.
    pub fn counters(&self) -> ChannelCounters {
        self.handle.counters()
    }

    /// Returns a receiver of the states of the channel, independent of the events.
    pub fn watch_state(&self) -> StateWatch {
        StateWatch::new(self.handle.shared())
    }

    /// Returns the last 20 changes of the state, the oldest one first. The last one is the current
    /// state.
    pub fn recent_states(&self) -> Vec<StateChange> {
        self.handle.recent_states()
    }

    /// Returns the number of frames, and of entries in them, that this version could not read and
    /// has skipped since the channel was opened.
    pub fn skipped(&self) -> u64 {
        self.handle.with(|protocol| protocol.skipped())
    }

    /// Returns the state of the channel.
    pub fn state(&self) -> ConnectionState {
        self.handle.with(|protocol| protocol.state().clone())
    }

    /// Waits until the state differs from `known`, and returns the new state. States in between
    /// are skipped. Returns `None` if the channel has ended and `known` is that end. Cancel-safe.
    pub async fn wait_for_state_change(&self, known: &ConnectionState) -> Option<ConnectionState> {
        self.handle.wait_for_state_change(known).await
    }

    /// Reports that the network has changed. The channel checks the connection at once, and
    /// shortens a wait for the next attempt.
    pub fn network_changed(&self) {
        self.handle.hint();
    }

    /// Returns the number of times that the task of the channel was woken.
    #[cfg(test)]
    pub(crate) fn wakes(&self) -> u64 {
        self.handle.wakes()
    }

    /// Closes the channel, and waits until it is closed, for about a second if the server does not
    /// react.
    pub async fn close(&self) {
        self.handle.close();
        self.handle.wait_until_ended().await;
    }

    async fn request(&self, request: PendingRequest) -> Result<Reply, Error> {
        let replied = async {
            // The semaphore is never closed.
            let _permit = self.permits.acquire().await.map_err(|_| Error::TimedOut)?;
            let (id, reply) = self.handle.update_as_app(|protocol| {
                protocol.requests().map(|requests| requests.add(request))
            })?;
            let _guard = RequestGuard { handle: &self.handle, id };
            reply.await.unwrap_or(Err(Error::TimedOut))
        };
        timeout(self.timing.request_timeout, replied).await.unwrap_or_else(|_| {
            self.handle.with(AppServiceProtocol::count_timeout);
            Err(Error::TimedOut)
        })
    }
}

fn mismatched_reply() -> Error {
    Error::Unexpected("the reply does not match the request".to_owned())
}

/// A guard that removes a request when its caller does not wait any more.
struct RequestGuard<'a> {
    handle: &'a ChannelHandle<AppServiceProtocol>,
    id: u64,
}

impl Drop for RequestGuard<'_> {
    fn drop(&mut self) {
        self.handle.with(|protocol| protocol.remove_request(self.id));
    }
}

impl fmt::Debug for AppServiceChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppServiceChannel").finish_non_exhaustive()
    }
}

/// The events of the channel of an AppService, to be pulled by the application.
pub struct AppServiceEvents {
    shared: Arc<SharedState<AppServiceProtocol>>,
}

impl AppServiceEvents {
    /// Waits for the next event. Returns `None` after the end. Cancel-safe: dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Option<AppServiceEvent> {
        self.shared.wait_as_app(AppServiceProtocol::pull).await.event()
    }

    /// Returns the events as a stream.
    pub fn into_stream(self) -> impl Stream<Item = AppServiceEvent> + Send {
        futures_util::stream::unfold(self, |mut events| async {
            events.next().await.map(|event| (event, events))
        })
    }
}

impl fmt::Debug for AppServiceEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppServiceEvents").finish_non_exhaustive()
    }
}

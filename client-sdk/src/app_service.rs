//! The channel of an application's back end.

mod map;
mod news;
mod portions;
mod requests;
mod talk;

use std::fmt;
use std::sync::Arc;

use futures_util::Stream;
use presence_protocol::app::{QueryResult, QueuedNotification, Receipt};
use presence_protocol::limits::BATCH_ITEMS;
use presence_protocol::{ApiError, AppId, PresenceUpdate, Puid};
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::Instrument;

use crate::error::Error;
use crate::link::{self, Handle, Link, Shared};
use crate::net::Connector;
use crate::notification::NewNotification;
use crate::server_url::ServerUrl;
use crate::state::ConnectionState;
use crate::timing::Timing;
use crate::tls::Tls;
pub use map::{PresenceChange, PresenceMap};
use requests::{Answer, Question};
use talk::AppServiceTalk;

/// How many frames may wait for their answers; further calls wait for their turn.
const IN_FLIGHT: usize = 64;

/// How the channel of an application's back end is opened. Begin with [`AppServiceOptions::new`] and set what shall differ.
#[derive(Clone)]
pub struct AppServiceOptions {
    /// The server.
    pub server: ServerUrl,
    /// The Application.
    pub application: AppId,
    /// One of its API keys.
    pub api_key: SecretString,
    /// Where an earlier channel of this Application stopped, to hear what was missed since, for up to an hour.
    pub cursor: Option<String>,
    /// Whether receipts are wanted.
    pub receipts: bool,
    /// How long everything may take.
    pub timing: Timing,
    /// Whom to trust.
    pub tls: Tls,
}

impl AppServiceOptions {
    /// A channel that begins with a snapshot, without receipts.
    pub fn new(server: ServerUrl, application: AppId, api_key: SecretString) -> Self {
        let (timing, tls) = (Timing::default(), Tls::default());
        Self { server, application, api_key, cursor: None, receipts: false, timing, tls }
    }
}

impl fmt::Debug for AppServiceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppServiceOptions")
            .field("server", &self.server)
            .field("application", &self.application)
            .finish_non_exhaustive()
    }
}

/// What happens on the channel of an application's back end.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AppServiceEvent {
    /// The channel does something else now. Where the application is slow, it hears only of the newest state.
    State(ConnectionState),
    /// Everybody who is visible and not offline: after connecting, and where updates may have been missed.
    Snapshot(Snapshot),
    /// Changes.
    Updates(Updates),
    /// What became of notifications.
    Receipts(Receipts),
}

/// Everybody who is visible and not offline, at one moment: who is absent is offline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Everybody.
    pub presence: Vec<PresenceUpdate>,
    /// Updates may have been missed before it.
    pub gap: bool,
    /// Where to resume after it.
    pub cursor: Option<String>,
}

/// Changes; where the application reads slowly, the newest of each user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updates {
    /// The changes, in the order in which each user was first heard of.
    pub presence: Vec<PresenceUpdate>,
    /// Where to resume after them.
    pub cursor: Option<String>,
}

/// What became of notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipts {
    /// In the order in which they came.
    pub receipts: Vec<Receipt>,
    /// How many older ones were lost, since the application read too slowly.
    pub lost: u64,
}

/// The stream of an Application's users, and the way to notify them.
///
/// Clones are handles of the same channel. When the last one is dropped, the channel is closed.
#[derive(Clone)]
pub struct AppServiceChannel {
    handle: Arc<Handle<AppServiceTalk>>,
    turns: Arc<Semaphore>,
    timing: Timing,
}

impl AppServiceChannel {
    /// Opens a channel. It connects by itself, in the background.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] outside a tokio runtime, where TLS cannot be used as asked, or where a time of [`Timing`] is
    /// shorter than a millisecond or longer than a year.
    pub fn open(options: AppServiceOptions) -> Result<(Self, AppServiceEvents), Error> {
        options.timing.check()?;
        let connector = Connector::new(&options.tls)?;
        let runtime = link::runtime()?;
        let shared = Shared::new(AppServiceTalk::new(&options));
        let handle = Handle::new(Arc::clone(&shared));
        let events = AppServiceEvents { shared: Arc::clone(&shared) };
        let span = tracing::info_span!("presence.app_service", application = %options.application);
        let AppServiceOptions { server, timing, .. } = options;
        let link = Link { server, connector, timing: timing.clone() };
        drop(runtime.spawn(link::run(shared, link).instrument(span)));
        let turns = Arc::new(Semaphore::new(IN_FLIGHT));
        Ok((Self { handle, turns, timing }, events))
    }

    /// Sends live notifications, and says of each, in order, under which id it was queued or why it was not. An id means that
    /// the notification survives whatever happens to the server.
    ///
    /// The call outlives reconnects: nothing is queued twice, since each notification has an idempotency key. More than fit
    /// into one frame go in several.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], [`Error::TimedOut`] where some were not answered in [`Timing::request_timeout`],
    /// [`Error::Ended`].
    pub async fn notify(
        &self,
        items: Vec<NewNotification>,
    ) -> Result<Vec<Result<QueuedNotification, ApiError>>, Error> {
        let items = items.into_iter().map(NewNotification::into_item).collect();
        let mut results = Vec::new();
        for portion in portions::portions(items) {
            match self.ask(Question::Notify(portion)).await? {
                Answer::Notified(part) => results.extend(part),
                Answer::Queried(_) => return Err(unasked()),
            }
        }
        Ok(results)
    }

    /// Sends one live notification, as [`notify`](Self::notify).
    ///
    /// # Errors
    ///
    /// As [`notify`](Self::notify), and [`Error::Refused`] where this one was not queued.
    pub async fn notify_one(&self, item: NewNotification) -> Result<QueuedNotification, Error> {
        let results = self.notify(vec![item]).await?;
        let only = results.into_iter().next().ok_or_else(unasked)?;
        only.map_err(Error::Refused)
    }

    /// Asks for the present statuses of users: one entry each, in order.
    ///
    /// # Errors
    ///
    /// As [`notify`](Self::notify).
    pub async fn query(&self, uids: Vec<Puid>) -> Result<Vec<QueryResult>, Error> {
        let mut presence = Vec::new();
        for portion in uids.chunks(BATCH_ITEMS) {
            match self.ask(Question::Query(portion.to_vec())).await? {
                Answer::Queried(part) => presence.extend(part),
                Answer::Notified(_) => return Err(unasked()),
            }
        }
        Ok(presence)
    }

    /// Uses another API key from the next connection on, and at once where the present one was refused.
    pub fn set_api_key(&self, api_key: SecretString) {
        self.handle.change(|talk| talk.set_api_key(api_key));
    }

    /// What the channel is doing.
    pub fn state(&self) -> ConnectionState {
        self.handle.with(|talk| link::Talk::state(talk).clone())
    }

    /// Waits until the state differs from `known`, and returns the new state. States in between are skipped. Returns `None`
    /// if the channel has ended and `known` is that end. Cancel-safe.
    pub async fn wait_for_state_change(&self, known: &ConnectionState) -> Option<ConnectionState> {
        self.handle.wait_for_state_change(known).await
    }

    /// The machine's network has changed: looks at once whether the connection is alive, and cuts a wait short.
    pub fn network_changed(&self) {
        self.handle.hint();
    }

    /// Closes the channel, and waits until it is closed.
    pub async fn close(&self) {
        self.handle.close();
        self.handle.ended().await;
    }

    async fn ask(&self, question: Question) -> Result<Answer, Error> {
        let answered = async {
            // The semaphore is never closed.
            let _turn = self.turns.acquire().await.map_err(|_| Error::TimedOut)?;
            let (id, answer) =
                self.handle.change(|talk| talk.requests().map(|all| all.ask(question)))?;
            let _asked = Asked { handle: &self.handle, id };
            answer.await.unwrap_or(Err(Error::TimedOut))
        };
        timeout(self.timing.request_timeout, answered).await.unwrap_or(Err(Error::TimedOut))
    }
}

fn unasked() -> Error {
    Error::Unexpected("an answer to another question".to_owned())
}

/// A request that somebody waits for; dropped when they do not any more.
struct Asked<'a> {
    handle: &'a Handle<AppServiceTalk>,
    id: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.handle.with(|talk| talk.forget(self.id));
    }
}

impl fmt::Debug for AppServiceChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppServiceChannel").finish_non_exhaustive()
    }
}

/// The events of the channel of an application's back end, to be pulled.
pub struct AppServiceEvents {
    shared: Arc<Shared<AppServiceTalk>>,
}

impl AppServiceEvents {
    /// The next event; `None` after the end. Cancel-safe: dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<AppServiceEvent> {
        self.shared.until(AppServiceTalk::pull).await.event()
    }

    /// The events as a stream.
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

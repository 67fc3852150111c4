//! The channel of the back end of an Application.

use std::sync::Arc;

use presence_client::{AppServiceEvents, Receipt, ServerUrl};

use crate::cancel::CancelToken;
use crate::confirmed_source::{ConfirmedSource, Source};
use crate::counters::ChannelCounters;
use crate::error::PresenceError;
use crate::network::NetworkOptions;
use crate::notify::{NewNotification, NotifyBatch, NotifyResult, QueryResult, QueuedNotification};
use crate::object_count::CountedObject;
use crate::presence::{PresenceUpdate, parse_id, parse_ids};
use crate::runtime;
use crate::secret::Secret;
use crate::state::{ChannelTiming, ConnectionState, StateChange, to_timing};

/// The options of the channel of a back end.
#[derive(Debug, Clone, uniffi::Record)]
pub struct AppServiceOptions {
    /// The URL of the server, such as `https://presence.example`.
    pub server: String,
    /// The id of the Application.
    pub application: String,
    /// One of its API keys.
    pub api_key: Arc<Secret>,
    /// The cursor at which an earlier channel of this Application stopped. The channel then starts
    /// with the updates since, which the server keeps for up to an hour.
    #[uniffi(default = None)]
    pub cursor: Option<String>,
    /// Requests receipts if true.
    #[uniffi(default = false)]
    pub receipts: bool,
    /// The time limits.
    #[uniffi(default = None)]
    pub timing: Option<ChannelTiming>,
    /// The proxy, the trusted certificates, and the headers of the app.
    #[uniffi(default)]
    pub network: NetworkOptions,
}

impl TryFrom<AppServiceOptions> for presence_client::AppServiceOptions {
    type Error = PresenceError;

    fn try_from(options: AppServiceOptions) -> Result<Self, PresenceError> {
        let server: ServerUrl = options.server.parse()?;
        let application = parse_id(&options.application, "application")?;
        let mut converted = Self::new(server, application, options.api_key.text());
        converted.cursor = options.cursor;
        converted.receipts = options.receipts;
        converted.timing = to_timing(options.timing)?;
        converted.network = options.network.into();
        Ok(converted)
    }
}

/// The final state of a notification.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum ReceiptState {
    /// Written to a device that does not acknowledge notifications.
    Delivered,
    /// Acknowledged by a device.
    Acknowledged,
    /// No device took it in time.
    Expired,
    /// The queue was full, or it had a `ttl_seconds` of 0 and no device was connected.
    Dropped,
    /// The user revoked the grant.
    Revoked,
    /// A state of a newer server.
    Unknown {
        /// The name of the state.
        text: String,
    },
}

impl From<presence_client::ReceiptState> for ReceiptState {
    fn from(state: presence_client::ReceiptState) -> Self {
        use presence_client::ReceiptState as Sdk;
        match state {
            Sdk::Delivered => Self::Delivered,
            Sdk::Acked => Self::Acknowledged,
            Sdk::Expired => Self::Expired,
            Sdk::Dropped => Self::Dropped,
            Sdk::Revoked => Self::Revoked,
            Sdk::Unknown(text) => Self::Unknown { text },
        }
    }
}

/// The final state of one notification. There is exactly one receipt for each.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct NotificationReceipt {
    /// The id of the notification.
    pub id: String,
    /// The PUID of the user.
    pub uid: String,
    /// The final state.
    pub state: ReceiptState,
}

impl From<Receipt> for NotificationReceipt {
    fn from(receipt: Receipt) -> Self {
        Self {
            id: receipt.id.to_string(),
            uid: receipt.uid.to_string(),
            state: receipt.state.into(),
        }
    }
}

/// An event of the channel of a back end.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum AppServiceEvent {
    /// The connection state has changed. If several changes wait, only the newest is delivered.
    State {
        /// The new state.
        state: ConnectionState,
    },
    /// All users who are visible and not offline, at one moment. All other users are offline. It is
    /// delivered after connecting, and after updates may have been missed.
    Snapshot {
        /// The users.
        presence: Vec<PresenceUpdate>,
        /// Is true if updates may have been missed before the snapshot.
        gap: bool,
        /// The cursor for resuming after the snapshot.
        cursor: Option<String>,
    },
    /// Changes of users. If several changes of a user wait, only the newest is delivered.
    Updates {
        /// The changes.
        presence: Vec<PresenceUpdate>,
        /// The cursor for resuming after the changes.
        cursor: Option<String>,
    },
    /// Receipts of notifications.
    Receipts {
        /// The receipts, in the order of arrival.
        receipts: Vec<NotificationReceipt>,
        /// The number of older receipts that were dropped because the app pulled too slowly.
        lost: u64,
    },
    /// The server cannot see changes of users from now on, or can again.
    Stale {
        /// Is true while what is known may be out of date. It is false after the updates that were
        /// missed, or once the connection is lost.
        is_stale: bool,
    },
}

impl AppServiceEvent {
    /// Converts an event of the SDK. Returns `None` for an event that this crate does not know.
    fn from_sdk(event: presence_client::AppServiceEvent) -> Option<Self> {
        use presence_client::AppServiceEvent as Sdk;
        match event {
            Sdk::State(state) => Some(Self::State { state: state.into() }),
            Sdk::Snapshot(snapshot) => Some(Self::Snapshot {
                presence: snapshot.presence.into_iter().map(Into::into).collect(),
                gap: snapshot.gap,
                cursor: snapshot.cursor,
            }),
            Sdk::Updates(updates) => Some(Self::Updates {
                presence: updates.presence.into_iter().map(Into::into).collect(),
                cursor: updates.cursor,
            }),
            Sdk::Receipts(receipts) => Some(Self::Receipts {
                receipts: receipts.receipts.into_iter().map(Into::into).collect(),
                lost: receipts.lost,
            }),
            Sdk::Stale(is_stale) => Some(Self::Stale { is_stale }),
            _ => None,
        }
    }
}

/// An event with the number with which the app confirms that it has received it.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct NumberedAppServiceEvent {
    /// The number. The first event of a channel has the number 1.
    pub number: u64,
    /// The event.
    pub event: AppServiceEvent,
}

impl Source for AppServiceEvents {
    type Item = AppServiceEvent;

    async fn next(&mut self) -> Option<AppServiceEvent> {
        loop {
            if let Some(event) = AppServiceEvent::from_sdk(AppServiceEvents::next(self).await?) {
                return Some(event);
            }
        }
    }
}

/// The presence of the users of an Application, and the sending of notifications. For back
/// ends only, because it needs an API key.
///
/// It is closed by `shutdown`, and when its last reference is gone. The app pulls events in a loop,
/// and states independently of them.
#[derive(uniffi::Object)]
pub struct AppServiceChannel {
    channel: presence_client::AppServiceChannel,
    events: ConfirmedSource<AppServiceEvents>,
    _counted: CountedObject,
}

#[uniffi::export]
impl AppServiceChannel {
    /// Opens a channel. It connects in the background.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if an option is invalid.
    #[uniffi::constructor]
    pub fn open(options: AppServiceOptions) -> Result<Arc<Self>, PresenceError> {
        let options = options.try_into()?;
        let opened = runtime::call(|| presence_client::AppServiceChannel::open(options));
        let (channel, events) = opened?;
        Ok(Arc::new(Self {
            channel,
            events: ConfirmedSource::new(events),
            _counted: CountedObject::new(),
        }))
    }

    /// Waits for the next event; none after the end of the channel. The same event is returned
    /// again until `confirm_event` is called with its number, so a cancelled call loses nothing.
    /// Only one caller may wait at a time.
    ///
    /// # Errors
    ///
    /// `Cancelled` if the token was cancelled.
    #[uniffi::method(default(cancel = None))]
    pub async fn next_event(
        &self,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Option<NumberedAppServiceEvent>, PresenceError> {
        let next = runtime::wait(cancel, runtime::infallible(self.events.next())).await?;
        Ok(next.map(|(number, event)| NumberedAppServiceEvent { number, event }))
    }

    /// Confirms that the app has received the event of this number. It is not returned again.
    pub fn confirm_event(&self, number: u64) {
        self.events.confirm(number);
    }

    /// Waits until the connection state differs from `known`, and returns it. Returns the current
    /// state at once if `known` is none, and none if `known` is `Ended`. States in between are
    /// skipped. Any number of callers can wait, also while events wait to be pulled.
    ///
    /// # Errors
    ///
    /// `Cancelled` if the token was cancelled.
    #[uniffi::method(default(cancel = None))]
    pub async fn next_state(
        &self,
        known: Option<ConnectionState>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Option<ConnectionState>, PresenceError> {
        let next = ConnectionState::next(known, &self.channel);
        runtime::wait(cancel, runtime::infallible(next)).await
    }

    /// Sends notifications, and returns the result for each, in order. The call continues
    /// after a reconnect, and queues nothing twice, also if it is repeated. If a long list is
    /// answered only in part, the others have the error as their result.
    ///
    /// # Errors
    ///
    /// `Refused` if the server refuses the call, `TimedOut` if the server does not reply in time,
    /// `Ended` if the channel has ended, `Cancelled` if the token was cancelled.
    #[uniffi::method(default(cancel = None))]
    pub async fn notify(
        &self,
        items: Vec<Arc<NewNotification>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<NotifyResult>, PresenceError> {
        let (batch, items) = NotifyBatch::new(items);
        Ok(batch.results(runtime::wait(cancel, self.channel.notify(items)).await?))
    }

    /// Sends one notification.
    ///
    /// # Errors
    ///
    /// The errors of `notify`, and `Refused` if the notification was not queued.
    #[uniffi::method(default(cancel = None))]
    pub async fn notify_one(
        &self,
        item: Arc<NewNotification>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<QueuedNotification, PresenceError> {
        let item = item.as_ref().try_into()?;
        Ok(runtime::wait(cancel, self.channel.notify_one(item)).await?.into())
    }

    /// Queries the current presence of users, and returns the result for each, in order.
    ///
    /// # Errors
    ///
    /// The errors of `notify`, and `InvalidArgument` if one of them is not a PUID.
    #[uniffi::method(default(cancel = None))]
    pub async fn query(
        &self,
        uids: Vec<String>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<QueryResult>, PresenceError> {
        let uids = parse_ids(&uids, "uid")?;
        let results = runtime::wait(cancel, self.channel.query(uids)).await?;
        Ok(results.into_iter().map(Into::into).collect())
    }

    /// Sets another API key. It is used from the next connection on, or at once if the server has
    /// refused the current key.
    pub fn set_api_key(&self, api_key: Arc<Secret>) {
        self.channel.set_api_key(api_key.text());
    }

    /// Returns what the channel has counted since it was opened.
    pub fn counters(&self) -> ChannelCounters {
        self.channel.counters().into()
    }

    /// Returns the last 20 changes of the connection state, the oldest one first. The last one is
    /// the current state.
    pub fn recent_states(&self) -> Vec<StateChange> {
        self.channel.recent_states().into_iter().map(Into::into).collect()
    }

    /// Returns the number of frames, and of entries in them, that this version could not read and
    /// has skipped since the channel was opened.
    pub fn skipped(&self) -> u64 {
        self.channel.skipped()
    }

    /// Returns the connection state.
    pub fn state(&self) -> ConnectionState {
        self.channel.state().into()
    }

    /// Reports that the network of the machine has changed. The connection is checked at once, or
    /// the next attempt starts at once.
    pub fn network_changed(&self) {
        self.channel.network_changed();
    }

    /// Starts to close the channel, and does not wait until it is closed.
    pub fn start_shutdown(&self) {
        runtime::poll_once(self.channel.close());
    }

    /// Closes the channel, and waits until it is closed.
    ///
    /// # Errors
    ///
    /// `Cancelled` if the token was cancelled. The channel is closed all the same.
    #[uniffi::method(default(cancel = None))]
    pub async fn shutdown(&self, cancel: Option<Arc<CancelToken>>) -> Result<(), PresenceError> {
        runtime::wait(cancel, runtime::infallible(self.channel.close())).await
    }
}

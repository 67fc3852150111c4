//! The channel of an application's back end.

use std::sync::Arc;

use presence_client::{AppServiceEvents, Receipt, ReceiptState, ServerUrl};

use crate::cancel::CancelToken;
use crate::error::PresenceError;
use crate::inbox::{Inbox, Source};
use crate::live::Live;
use crate::notify::{Batch, NewNotification, NotifyOutcome, QueryOutcome, QueuedNotification};
use crate::presence::{UserPresence, id, ids};
use crate::runtime;
use crate::secret::Secret;
use crate::state::{ChannelTiming, ConnectionState, timing, tls};

/// How the channel of an application's back end is opened.
#[derive(Debug, Clone, uniffi::Record)]
pub struct AppServiceOptions {
    /// The URL of the server, such as `https://presence.example`.
    pub server: String,
    /// The Application.
    pub application: String,
    /// One of its API keys.
    pub api_key: Arc<Secret>,
    /// Where an earlier channel of this Application stopped, to hear what was missed since, for up to an hour.
    #[uniffi(default = None)]
    pub cursor: Option<String>,
    /// Whether receipts are wanted.
    #[uniffi(default = false)]
    pub receipts: bool,
    /// How long everything may take.
    #[uniffi(default = None)]
    pub timing: Option<ChannelTiming>,
    /// Certificates of further authorities to trust, each in DER.
    #[uniffi(default = [])]
    pub root_certificates: Vec<Vec<u8>>,
}

impl TryFrom<AppServiceOptions> for presence_client::AppServiceOptions {
    type Error = PresenceError;

    fn try_from(options: AppServiceOptions) -> Result<Self, PresenceError> {
        let server: ServerUrl = options.server.parse()?;
        let application = id(&options.application, "the Application")?;
        let mut given = Self::new(server, application, options.api_key.text());
        given.cursor = options.cursor;
        given.receipts = options.receipts;
        given.timing = timing(options.timing)?;
        given.tls = tls(options.root_certificates);
        Ok(given)
    }
}

/// What finally became of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum NotificationFate {
    /// Written to a device that does not acknowledge.
    Delivered,
    /// Acknowledged by a device.
    Acknowledged,
    /// Its time ran out.
    Expired,
    /// The queue was full, or it was for now only and no device was there.
    Dropped,
    /// The grant was revoked.
    Revoked,
}

impl From<ReceiptState> for NotificationFate {
    fn from(state: ReceiptState) -> Self {
        match state {
            ReceiptState::Delivered => Self::Delivered,
            ReceiptState::Acked => Self::Acknowledged,
            ReceiptState::Expired => Self::Expired,
            ReceiptState::Dropped => Self::Dropped,
            ReceiptState::Revoked => Self::Revoked,
        }
    }
}

/// The one final word on a notification.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct NotificationReceipt {
    /// Which notification.
    pub id: String,
    /// To whom it was sent.
    pub uid: String,
    /// What became of it.
    pub fate: NotificationFate,
}

impl From<Receipt> for NotificationReceipt {
    fn from(receipt: Receipt) -> Self {
        Self {
            id: receipt.id.to_string(),
            uid: receipt.uid.to_string(),
            fate: receipt.state.into(),
        }
    }
}

/// What happens on the channel of an application's back end.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum AppServiceEvent {
    /// The channel does something else now. Where the app is slow, it hears only of the newest state.
    State {
        /// What it does now.
        state: ConnectionState,
    },
    /// Everybody who is visible and not offline, at one moment: who is absent is offline. Comes after connecting, and where
    /// updates may have been missed.
    Snapshot {
        /// Everybody.
        presence: Vec<UserPresence>,
        /// Updates may have been missed before it.
        gap: bool,
        /// Where to resume after it.
        cursor: Option<String>,
    },
    /// Changes; where the app reads slowly, the newest of each user.
    Updates {
        /// The changes.
        presence: Vec<UserPresence>,
        /// Where to resume after them.
        cursor: Option<String>,
    },
    /// What became of notifications.
    Receipts {
        /// In the order in which they came.
        receipts: Vec<NotificationReceipt>,
        /// How many older ones were lost, since the app read too slowly.
        lost: u64,
    },
}

impl AppServiceEvent {
    /// `None` for what a newer SDK tells and this crate does not know.
    fn of(event: presence_client::AppServiceEvent) -> Option<Self> {
        use presence_client::AppServiceEvent as Given;
        match event {
            Given::State(state) => Some(Self::State { state: state.into() }),
            Given::Snapshot(snapshot) => Some(Self::Snapshot {
                presence: snapshot.presence.into_iter().map(Into::into).collect(),
                gap: snapshot.gap,
                cursor: snapshot.cursor,
            }),
            Given::Updates(updates) => Some(Self::Updates {
                presence: updates.presence.into_iter().map(Into::into).collect(),
                cursor: updates.cursor,
            }),
            Given::Receipts(receipts) => Some(Self::Receipts {
                receipts: receipts.receipts.into_iter().map(Into::into).collect(),
                lost: receipts.lost,
            }),
            _ => None,
        }
    }
}

/// An event with its number, by which the app says that it has it.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct NumberedAppServiceEvent {
    /// From 1, growing.
    pub number: u64,
    /// The event.
    pub event: AppServiceEvent,
}

impl Source for AppServiceEvents {
    type Event = AppServiceEvent;

    async fn next(&mut self) -> Option<AppServiceEvent> {
        loop {
            if let Some(event) = AppServiceEvent::of(AppServiceEvents::next(self).await?) {
                return Some(event);
            }
        }
    }
}

/// The stream of an Application's users, and the way to notify them: for back ends, since it holds an API key.
///
/// It is closed by `shutdown`, and when the last reference to it is gone. Pull its events in a loop.
#[derive(uniffi::Object)]
pub struct AppServiceChannel {
    channel: presence_client::AppServiceChannel,
    inbox: Inbox<AppServiceEvents>,
    _live: Live,
}

#[uniffi::export]
impl AppServiceChannel {
    /// Opens a channel. It connects by itself, in the background.
    ///
    /// # Errors
    ///
    /// `InvalidArgument`.
    #[uniffi::constructor]
    pub fn open(options: AppServiceOptions) -> Result<Arc<Self>, PresenceError> {
        let options = options.try_into()?;
        let opened = runtime::entered(|| presence_client::AppServiceChannel::open(options));
        let (channel, events) = opened?;
        Ok(Arc::new(Self { channel, inbox: Inbox::new(events), _live: Live::new() }))
    }

    /// Waits for the next event; none after the end. The event comes again from the next call unless its number is given
    /// there as `after`, or to `event_taken`: so a cancelled call loses nothing. For one caller at a time.
    ///
    /// # Errors
    ///
    /// `Cancelled`.
    #[uniffi::method(default(cancel = None))]
    pub async fn next_event(
        &self,
        after: u64,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Option<NumberedAppServiceEvent>, PresenceError> {
        self.inbox.confirm(after);
        let next = runtime::wait(cancel, runtime::sure(self.inbox.next())).await?;
        Ok(next.map(|(number, event)| NumberedAppServiceEvent { number, event }))
    }

    /// The app has the event of this number: it does not come again.
    pub fn event_taken(&self, number: u64) {
        self.inbox.confirm(number);
    }

    /// Sends live notifications, and says of each, in order, under which id it was queued or why it was not. The call outlives
    /// reconnects, and queues nothing twice.
    ///
    /// # Errors
    ///
    /// `Refused`, `TimedOut` where some were not answered in time, `Ended`, `Cancelled`.
    #[uniffi::method(default(cancel = None))]
    pub async fn notify(
        &self,
        items: Vec<NewNotification>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<NotifyOutcome>, PresenceError> {
        let (batch, items) = Batch::new(items);
        Ok(batch.outcomes(runtime::wait(cancel, self.channel.notify(items)).await?))
    }

    /// Sends one live notification.
    ///
    /// # Errors
    ///
    /// As `notify`, and `Refused` where it was not queued.
    #[uniffi::method(default(cancel = None))]
    pub async fn notify_one(
        &self,
        item: NewNotification,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<QueuedNotification, PresenceError> {
        let item = item.try_into()?;
        Ok(runtime::wait(cancel, self.channel.notify_one(item)).await?.into())
    }

    /// Asks for the present statuses of users: one entry each, in order.
    ///
    /// # Errors
    ///
    /// As `notify`, and `InvalidArgument` where one of them is no PUID.
    #[uniffi::method(default(cancel = None))]
    pub async fn query(
        &self,
        uids: Vec<String>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<QueryOutcome>, PresenceError> {
        let uids = ids(&uids, "uid")?;
        let queried = runtime::wait(cancel, self.channel.query(uids)).await?;
        Ok(queried.into_iter().map(Into::into).collect())
    }

    /// Uses another API key from the next connection on, and at once where the present one was refused.
    pub fn give_api_key(&self, api_key: Arc<Secret>) {
        self.channel.set_api_key(api_key.text());
    }

    /// What the channel is doing.
    pub fn state(&self) -> ConnectionState {
        self.channel.state().into()
    }

    /// The machine's network has changed: looks at once whether the connection is alive, and cuts a wait short.
    pub fn network_changed(&self) {
        self.channel.network_changed();
    }

    /// Begins to close the channel, without waiting until it is.
    pub fn end(&self) {
        runtime::begin(self.channel.close());
    }

    /// Closes the channel, and waits until it is closed.
    ///
    /// # Errors
    ///
    /// `Cancelled`, which stops the waiting and not the closing.
    #[uniffi::method(default(cancel = None))]
    pub async fn shutdown(&self, cancel: Option<Arc<CancelToken>>) -> Result<(), PresenceError> {
        runtime::wait(cancel, runtime::sure(self.channel.close())).await
    }
}

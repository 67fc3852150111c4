//! The device channel.

use std::sync::Arc;

use presence_client::{DeviceEvents, LiveNotification as Notification, ServerUrl};

use crate::cancel::CancelToken;
use crate::error::PresenceError;
use crate::inbox::{Inbox, Source};
use crate::live::Live;
use crate::presence::{PresenceStatus, id, ids, milliseconds, status_text};
use crate::runtime;
use crate::secret::Credential;
use crate::state::{AppState, ChannelTiming, ConnectionState, CredentialReason, timing, tls};

/// How a device channel is opened.
#[derive(Debug, Clone, uniffi::Record)]
pub struct DeviceOptions {
    /// The URL of the server, such as `https://presence.example`.
    pub server: String,
    /// The name of this device: 1 to 64 of `A-Za-z0-9._-`. Two devices of one user with the same name replace each other.
    pub device: String,
    /// What the user proves themselves with, where it is at hand already.
    #[uniffi(default = None)]
    pub credential: Option<Credential>,
    /// The first status; left out, online.
    #[uniffi(default = None)]
    pub status: Option<PresenceStatus>,
    /// The first status text: at most 128 characters.
    #[uniffi(default = None)]
    pub message: Option<String>,
    /// Only these Applications see this device; left out, all that the user has granted it.
    #[uniffi(default = None)]
    pub visibility: Option<Vec<String>>,
    /// How long everything may take.
    #[uniffi(default = None)]
    pub timing: Option<ChannelTiming>,
    /// Certificates of further authorities to trust, each in DER.
    #[uniffi(default = [])]
    pub root_certificates: Vec<Vec<u8>>,
}

impl TryFrom<DeviceOptions> for presence_client::DeviceOptions {
    type Error = PresenceError;

    fn try_from(options: DeviceOptions) -> Result<Self, PresenceError> {
        let server: ServerUrl = options.server.parse()?;
        let device = id(&options.device, "the name of the device")?;
        let visibility = options.visibility.as_deref();
        let mut given = Self::new(server, device);
        given.credential = options.credential.map(Into::into);
        given.status = options.status.map_or(given.status, Into::into);
        given.message = status_text(options.message)?;
        given.visibility = visibility.map(|list| ids(list, "an Application")).transpose()?;
        given.timing = timing(options.timing)?;
        given.tls = tls(options.root_certificates);
        Ok(given)
    }
}

/// A live notification, as a device gets it.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct LiveNotification {
    /// The Application's name, set by the server.
    pub source: String,
    /// The text.
    pub message: String,
    /// Empty, or the URL to open.
    pub action: String,
    /// The Application.
    pub appid: String,
    /// The name of this notification, for acknowledging it.
    pub id: String,
    /// When it was accepted: milliseconds since 1970 UTC.
    pub sent_at_ms: i64,
}

impl From<Notification> for LiveNotification {
    fn from(notification: Notification) -> Self {
        Self {
            source: notification.source,
            message: notification.message,
            action: notification.action,
            appid: notification.appid.to_string(),
            id: notification.id.to_string(),
            sent_at_ms: milliseconds(notification.sent_at.get()),
        }
    }
}

/// What happens on a device channel.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum DeviceEvent {
    /// The channel does something else now. Where the app is slow, it hears only of the newest state.
    State {
        /// What it does now.
        state: ConnectionState,
    },
    /// A live notification. It comes again after a restart of the app unless it is acknowledged.
    Notification {
        /// The notification.
        notification: LiveNotification,
    },
    /// A credential is to be given.
    CredentialWanted {
        /// Why.
        reason: CredentialReason,
    },
}

impl DeviceEvent {
    /// `None` for what a newer SDK tells and this crate does not know.
    fn of(event: presence_client::DeviceEvent) -> Option<Self> {
        use presence_client::DeviceEvent as Given;
        match event {
            Given::State(state) => Some(Self::State { state: state.into() }),
            Given::Notification(notification) => {
                Some(Self::Notification { notification: notification.into() })
            }
            Given::CredentialWanted(wanted) => {
                Some(Self::CredentialWanted { reason: wanted.into() })
            }
            _ => None,
        }
    }
}

/// An event with its number, by which the app says that it has it.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct NumberedDeviceEvent {
    /// From 1, growing.
    pub number: u64,
    /// The event.
    pub event: DeviceEvent,
}

impl Source for DeviceEvents {
    type Event = DeviceEvent;

    async fn next(&mut self) -> Option<DeviceEvent> {
        loop {
            if let Some(event) = DeviceEvent::of(DeviceEvents::next(self).await?) {
                return Some(event);
            }
        }
    }
}

/// The presence of one device: says its status, keeps it said over reconnects, and takes notifications.
///
/// It is closed by `shutdown`, and when the last reference to it is gone. Pull its events in a loop.
#[derive(uniffi::Object)]
pub struct DeviceChannel {
    channel: presence_client::DeviceChannel,
    inbox: Inbox<DeviceEvents>,
    _live: Live,
}

#[uniffi::export]
impl DeviceChannel {
    /// Opens a channel. It connects by itself, in the background, as soon as it has a credential.
    ///
    /// # Errors
    ///
    /// `InvalidArgument`.
    #[uniffi::constructor]
    pub fn open(options: DeviceOptions) -> Result<Arc<Self>, PresenceError> {
        let options = options.try_into()?;
        let opened = runtime::entered(|| presence_client::DeviceChannel::open(options));
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
    ) -> Result<Option<NumberedDeviceEvent>, PresenceError> {
        self.inbox.confirm(after);
        let next = runtime::wait(cancel, runtime::sure(self.inbox.next())).await?;
        Ok(next.map(|(number, event)| NumberedDeviceEvent { number, event }))
    }

    /// The app has the event of this number: it does not come again.
    pub fn event_taken(&self, number: u64) {
        self.inbox.confirm(number);
    }

    /// Wishes a status. It is said as soon as there is a connection, and again after each reconnect; of several wishes the last
    /// one counts.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where the text is longer than 128 characters or holds control characters.
    #[uniffi::method(default(message = None))]
    pub fn set_status(
        &self,
        status: PresenceStatus,
        message: Option<String>,
    ) -> Result<(), PresenceError> {
        self.channel.set_status(status.into(), status_text(message)?);
        Ok(())
    }

    /// From now on only these Applications see this device; an empty list hides it from all. It can only narrow what the
    /// user's grants allow, and is kept over reconnects.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where one of them is no id.
    pub fn set_visibility(&self, applications: Vec<String>) -> Result<(), PresenceError> {
        self.channel.set_visibility(ids(&applications, "an Application")?);
        Ok(())
    }

    /// Waits until the server has confirmed the last wishes and all acknowledgements, for as long as it takes.
    ///
    /// # Errors
    ///
    /// `Refused` where the server will not take one of them, `Ended`, `Cancelled`.
    #[uniffi::method(default(cancel = None))]
    pub async fn settled(&self, cancel: Option<Arc<CancelToken>>) -> Result<(), PresenceError> {
        runtime::wait(cancel, self.channel.confirmed()).await
    }

    /// This notification was taken: the server forgets it.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where it is no id.
    pub fn acknowledge(&self, id: String) -> Result<(), PresenceError> {
        self.channel.acknowledge(crate::presence::id(&id, "the name of the notification")?);
        Ok(())
    }

    /// Gives a fresh credential: because one was wanted, to sign in again, or to renew the session early.
    pub fn give_credential(&self, credential: Credential) {
        self.channel.set_credential(credential.into());
    }

    /// What the channel is doing.
    pub fn state(&self) -> ConnectionState {
        self.channel.state().into()
    }

    /// The device is on another network, or has one again: looks at once whether the connection is alive, and cuts a wait short.
    pub fn network_changed(&self) {
        self.channel.network_changed();
    }

    /// The app came to the foreground or left it.
    pub fn app_state(&self, state: AppState) {
        self.channel.set_app_visibility(state.into());
    }

    /// Begins to close the channel, without waiting until it is.
    pub fn end(&self) {
        runtime::begin(self.channel.close());
    }

    /// Closes the channel, and waits until it is closed. The presence of this device ends at once.
    ///
    /// # Errors
    ///
    /// `Cancelled`, which stops the waiting and not the closing.
    #[uniffi::method(default(cancel = None))]
    pub async fn shutdown(&self, cancel: Option<Arc<CancelToken>>) -> Result<(), PresenceError> {
        runtime::wait(cancel, runtime::sure(self.channel.close())).await
    }
}

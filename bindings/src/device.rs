//! The channel of a device.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use presence_client::{CredentialError, FileStorage, Notifications, ServerUrl};

use crate::cancel::CancelToken;
use crate::confirmed_source::{ConfirmedSource, Source};
use crate::counters::{ChannelCounters, StorageCounters};
use crate::error::PresenceError;
use crate::network::NetworkOptions;
use crate::object_count::CountedObject;
use crate::presence::{PresenceStatus, parse_id, parse_ids, parse_status_text, signed_millis};
use crate::runtime;
use crate::secret::Credential;
use crate::state::{
    AppVisibility, ChannelTiming, ConnectionState, CredentialReason, StateChange, to_timing,
};

/// The options of a device channel.
#[derive(Debug, Clone, uniffi::Record)]
pub struct DeviceOptions {
    /// The URL of the server, such as `https://presence.example`.
    pub server: String,
    /// The name of this device: 1 to 64 of `A-Za-z0-9._-`. If two devices of one user have the same
    /// name, the newer connection replaces the older one.
    pub device: String,
    /// The credential of the user, if the app has one already.
    #[uniffi(default = None)]
    pub credential: Option<Credential>,
    /// The first status, online by default.
    #[uniffi(default = None)]
    pub status: Option<PresenceStatus>,
    /// The first status text, at most 128 characters.
    #[uniffi(default = None)]
    pub message: Option<String>,
    /// The Applications that see this device. By default all that have a grant of the user.
    #[uniffi(default = None)]
    pub visibility: Option<Vec<String>>,
    /// The path of a file in which the channel keeps the acknowledgements that the server has not
    /// confirmed and the notifications that were marked as shown, over restarts of the app. Only
    /// the owner can read it, and it holds no secrets. By default they are not kept.
    #[uniffi(default = None)]
    pub storage_file: Option<String>,
    /// The time limits.
    #[uniffi(default = None)]
    pub timing: Option<ChannelTiming>,
    /// The proxy, the trusted certificates, and the headers of the app.
    #[uniffi(default)]
    pub network: NetworkOptions,
}

impl TryFrom<DeviceOptions> for presence_client::DeviceOptions {
    type Error = PresenceError;

    fn try_from(options: DeviceOptions) -> Result<Self, PresenceError> {
        let server: ServerUrl = options.server.parse()?;
        let device = parse_id(&options.device, "device")?;
        let visibility = options.visibility.as_deref();
        let mut converted = Self::new(server, device);
        converted.credential = options.credential.map(Into::into);
        converted.status = options.status.map_or(converted.status, Into::into);
        converted.message = parse_status_text(options.message)?;
        converted.visibility = visibility.map(|list| parse_ids(list, "visibility")).transpose()?;
        converted.storage = options.storage_file.map(|path| Arc::new(FileStorage::new(path)) as _);
        converted.timing = to_timing(options.timing)?;
        converted.network = options.network.into();
        Ok(converted)
    }
}

/// A notification that a device has received.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct LiveNotification {
    /// The sender as the AppService names it, or the name of the Application.
    pub source: String,
    /// The name of the Application, set by the server. For 30 days after a change it has the old
    /// name too.
    pub application: String,
    /// The verified domain of the Application, set by the server.
    pub domain: String,
    /// The text.
    pub message: String,
    /// The URL to open, or empty.
    pub action: String,
    /// The id of the Application.
    pub appid: String,
    /// The id of this notification, with which the app acknowledges it.
    pub id: String,
    /// The time when the server accepted it: milliseconds since 1970 UTC.
    pub sent_at_ms: i64,
}

impl From<presence_client::LiveNotification> for LiveNotification {
    fn from(notification: presence_client::LiveNotification) -> Self {
        Self {
            source: notification.source,
            application: notification.application,
            domain: notification.domain,
            message: notification.message,
            action: notification.action,
            appid: notification.appid.to_string(),
            id: notification.id.to_string(),
            sent_at_ms: signed_millis(notification.sent_at),
        }
    }
}

/// A notification with the number with which the app confirms that it has received it.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct NumberedNotification {
    /// The number. The first notification of a channel has the number 1.
    pub number: u64,
    /// The notification.
    pub notification: LiveNotification,
}

/// A request for a credential, with the number with which the app confirms that it has received it,
/// and reports that it has no credential.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct NumberedCredentialRequest {
    /// The number. It grows with each request of a channel, from 1.
    pub number: u64,
    /// The reason why the channel needs a credential.
    pub reason: CredentialReason,
}

impl Source for Notifications {
    type Item = LiveNotification;

    async fn next(&mut self) -> Option<LiveNotification> {
        Notifications::next(self).await.map(Into::into)
    }
}

/// The presence of one device. It reports the status, reports it again after each reconnect, and
/// receives notifications.
///
/// It is closed by `shutdown`, and when its last reference is gone. The app pulls notifications,
/// states and credential requests, each independently of the others.
#[derive(uniffi::Object)]
pub struct DeviceChannel {
    channel: presence_client::DeviceChannel,
    notifications: ConfirmedSource<Notifications>,
    /// The number of the last request for a credential that the app has confirmed.
    confirmed_request: AtomicU64,
    _counted: CountedObject,
}

#[uniffi::export]
impl DeviceChannel {
    /// Opens a channel. It connects in the background as soon as it has a credential.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if an option is invalid.
    #[uniffi::constructor]
    pub fn open(options: DeviceOptions) -> Result<Arc<Self>, PresenceError> {
        let options = options.try_into()?;
        let (channel, events) = runtime::call(|| presence_client::DeviceChannel::open(options))?;
        let (notifications, _) = events.split();
        Ok(Arc::new(Self {
            channel,
            notifications: ConfirmedSource::new(notifications),
            confirmed_request: AtomicU64::new(0),
            _counted: CountedObject::new(),
        }))
    }

    /// Waits for the next notification; none after the end of the channel. The same
    /// notification is returned again until `confirm_notification` is called with its number, so a
    /// cancelled call loses nothing. Only one caller may wait at a time.
    ///
    /// Notifications that the app has not pulled wait: a bounded number in memory, and the others
    /// on the server.
    ///
    /// # Errors
    ///
    /// `Cancelled` if the token was cancelled.
    #[uniffi::method(default(cancel = None))]
    pub async fn next_notification(
        &self,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Option<NumberedNotification>, PresenceError> {
        let next = self.notifications.next();
        let next = runtime::wait(cancel, runtime::infallible(next)).await?;
        Ok(next.map(|(number, notification)| NumberedNotification { number, notification }))
    }

    /// Confirms that the app has received the notification of this number. It is not returned
    /// again. This does not acknowledge it to the server: see `acknowledge`.
    pub fn confirm_notification(&self, number: u64) {
        self.notifications.confirm(number);
    }

    /// Waits until the channel needs a credential, and returns the request; none after the end of
    /// the channel. The same request is returned again until `confirm_credential_request` is called
    /// with its number, so a cancelled call loses nothing. A request that was answered or replaced
    /// is not returned any more.
    ///
    /// # Errors
    ///
    /// `Cancelled` if the token was cancelled.
    #[uniffi::method(default(cancel = None))]
    pub async fn next_credential_request(
        &self,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Option<NumberedCredentialRequest>, PresenceError> {
        let confirmed = self.confirmed_request.load(Ordering::Acquire);
        let next = self.channel.wait_for_credential_request(confirmed);
        let next = runtime::wait(cancel, runtime::infallible(next)).await?;
        Ok(next.map(|request| NumberedCredentialRequest {
            number: request.number,
            reason: request.reason.into(),
        }))
    }

    /// Confirms that the app has received the credential request of this number. It is not returned
    /// again.
    pub fn confirm_credential_request(&self, number: u64) {
        self.confirmed_request.fetch_max(number, Ordering::AcqRel);
    }

    /// Waits until a credential request is over: a credential was set, a newer request has replaced
    /// it, or the channel has ended. The work for the request can then be cancelled.
    ///
    /// # Errors
    ///
    /// `Cancelled` if the token was cancelled.
    #[uniffi::method(default(cancel = None))]
    pub async fn next_credential_request_end(
        &self,
        number: u64,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<(), PresenceError> {
        let end = self.channel.wait_for_credential_request_end(number);
        runtime::wait(cancel, runtime::infallible(end)).await
    }

    /// Reports that the app has no credential for the request of this number at the moment. The
    /// channel repeats the request with a new number after a wait that grows with each failure, as
    /// the wait before a reconnect does. `network_changed` and an app that becomes visible shorten
    /// the wait, and `set_credential` ends it. A report of an older request has no effect.
    pub fn report_credential_failure(&self, number: u64) {
        let error = CredentialError::Unavailable("the provider of the app has failed".to_owned());
        self.channel.report_credential_failure(number, &error);
    }

    /// Reports that the user has to sign in before there is a credential for the request of this
    /// number. The state becomes `SignedOut`. A report of an older request has no effect.
    pub fn report_signed_out(&self, number: u64) {
        self.channel.report_credential_failure(number, &CredentialError::SignedOut);
    }

    /// Waits until the connection state differs from `known`, and returns it. Returns the current
    /// state at once if `known` is none, and none if `known` is `Ended`. States in between are
    /// skipped. Any number of callers can wait.
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

    /// Returns what the channel has counted since it was opened.
    pub fn counters(&self) -> ChannelCounters {
        self.channel.counters().into()
    }

    /// Returns what was counted about the file of the option `storage_file`.
    pub fn storage_counters(&self) -> StorageCounters {
        self.channel.storage_counters().into()
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

    /// Sets the status. It is sent as soon as the channel is connected, and again after each
    /// reconnect. If it is set several times before that, only the last one is sent.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the text is longer than 128 characters or contains control characters.
    #[uniffi::method(default(message = None))]
    pub fn set_status(
        &self,
        status: PresenceStatus,
        message: Option<String>,
    ) -> Result<(), PresenceError> {
        self.channel.set_status(status.into(), parse_status_text(message)?);
        Ok(())
    }

    /// Sets the Applications that see this device. An empty list hides the device from all. The
    /// list can only narrow what the grants of the user allow. It is sent again after each
    /// reconnect.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if one of them is not a valid id.
    pub fn set_visibility(&self, applications: Vec<String>) -> Result<(), PresenceError> {
        self.channel.set_visibility(parse_ids(&applications, "applications")?);
        Ok(())
    }

    /// Waits until the server has confirmed the last status, the last visibility and all
    /// acknowledgements. There is no time limit.
    ///
    /// # Errors
    ///
    /// `Refused` if the server refuses one of them, `Ended` if the channel has ended, `Cancelled`
    /// if the token was cancelled.
    #[uniffi::method(default(cancel = None))]
    pub async fn confirmed(&self, cancel: Option<Arc<CancelToken>>) -> Result<(), PresenceError> {
        runtime::wait(cancel, self.channel.confirmed()).await
    }

    /// Acknowledges a notification to the server, which then deletes it. A notification that is not
    /// acknowledged is delivered again after a restart of the app.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if it is not a valid id.
    pub fn acknowledge(&self, id: String) -> Result<(), PresenceError> {
        self.channel.acknowledge(parse_id(&id, "id")?);
        Ok(())
    }

    /// Records that the user has seen a notification that the app does not acknowledge yet. With
    /// the option `storage_file` it is not delivered again after a restart of the app. The last
    /// 1,000 are kept.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if it is not a valid id.
    pub fn mark_shown(&self, id: String) -> Result<(), PresenceError> {
        self.channel.mark_shown(parse_id(&id, "id")?);
        Ok(())
    }

    /// Sets a fresh credential: after a credential request, to sign in again, or to renew the
    /// session early.
    pub fn set_credential(&self, credential: Credential) {
        self.channel.set_credential(credential.into());
    }

    /// Reports that the device is on another network, or online again. The connection is checked at
    /// once, or the next attempt starts at once.
    pub fn network_changed(&self) {
        self.channel.network_changed();
    }

    /// Reports whether the app is visible to its user.
    pub fn set_app_visibility(&self, visibility: AppVisibility) {
        self.channel.set_app_visibility(visibility.into());
    }

    /// Starts to close the channel, and does not wait until it is closed.
    pub fn start_shutdown(&self) {
        runtime::poll_once(self.channel.close());
    }

    /// Closes the channel, and waits until it is closed. The presence of this device ends at once.
    ///
    /// # Errors
    ///
    /// `Cancelled` if the token was cancelled. The channel is closed all the same.
    #[uniffi::method(default(cancel = None))]
    pub async fn shutdown(&self, cancel: Option<Arc<CancelToken>>) -> Result<(), PresenceError> {
        runtime::wait(cancel, runtime::infallible(self.channel.close())).await
    }
}

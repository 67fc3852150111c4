//! The device channel.

mod inbox;
mod source;
mod talk;
mod wish;

use std::fmt;
use std::sync::Arc;

use futures_util::Stream;
use presence_protocol::device::LiveNotification;
use presence_protocol::{AppId, DeviceName, NotificationId, Status, StatusText};
use tracing::Instrument;

use crate::credential::{Credential, CredentialProvider, CredentialReason};
use crate::error::Error;
use crate::link::{self, Handle, Link, Shared};
use crate::net::Connector;
use crate::server_url::ServerUrl;
use crate::state::{AppVisibility, ConnectionState};
use crate::timing::Timing;
use crate::tls::Tls;
use talk::DeviceTalk;

/// How a device channel is opened. Begin with [`DeviceOptions::new`] and set what shall differ.
#[derive(Clone)]
pub struct DeviceOptions {
    /// The server.
    pub server: ServerUrl,
    /// The name of this device. Two devices of one user with the same name replace each other.
    pub device: DeviceName,
    /// What the user proves themselves with, where it is at hand already.
    pub credential: Option<Credential>,
    /// Who is asked for a fresh credential. Without one, [`DeviceEvent::CredentialWanted`] asks the application.
    pub credential_provider: Option<Arc<dyn CredentialProvider>>,
    /// The first status: online.
    pub status: Status,
    /// The first status text.
    pub message: Option<StatusText>,
    /// Only these Applications see this device; `None`: all that the user has granted it.
    pub visibility: Option<Vec<AppId>>,
    /// How long everything may take.
    pub timing: Timing,
    /// Whom to trust.
    pub tls: Tls,
}

impl DeviceOptions {
    /// A device that is online and seen by all granted Applications.
    pub fn new(server: ServerUrl, device: DeviceName) -> Self {
        Self {
            server,
            device,
            credential: None,
            credential_provider: None,
            status: Status::Online,
            message: None,
            visibility: None,
            timing: Timing::default(),
            tls: Tls::default(),
        }
    }
}

impl fmt::Debug for DeviceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceOptions")
            .field("server", &self.server)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// What happens on a device channel.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DeviceEvent {
    /// The channel does something else now. Where the application is slow, it hears only of the newest state.
    State(ConnectionState),
    /// A live notification. It comes again after a restart of the application unless it is
    /// [acknowledged](DeviceChannel::acknowledge), but never twice within one channel.
    Notification(LiveNotification),
    /// A credential is to be [given](DeviceChannel::set_credential). Only where the channel has no token source.
    CredentialWanted(CredentialReason),
}

/// The presence of one device: says its status, keeps it said over reconnects, and takes notifications.
///
/// Clones are handles of the same channel. When the last one is dropped, the channel is closed.
#[derive(Clone)]
pub struct DeviceChannel {
    handle: Arc<Handle<DeviceTalk>>,
}

impl DeviceChannel {
    /// Opens a channel. It connects by itself, in the background, as soon as it has a credential.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] outside a tokio runtime, where TLS cannot be used as asked, or where a time of [`Timing`] is
    /// shorter than a millisecond or longer than a year.
    pub fn open(mut options: DeviceOptions) -> Result<(Self, DeviceEvents), Error> {
        options.timing.check()?;
        let connector = Connector::new(&options.tls)?;
        let runtime = link::runtime()?;
        let shared = Shared::new(DeviceTalk::new(&mut options));
        let handle = Handle::new(Arc::clone(&shared));
        let events = DeviceEvents {
            shared: Arc::clone(&shared),
            asks: options.credential_provider.is_none(),
        };
        let span = tracing::info_span!("presence.device", device = options.device.as_str());
        let DeviceOptions { server, timing, credential_provider, .. } = options;
        let task = async move {
            let link = Link { server, connector, timing: timing.clone() };
            let channel = link::run(Arc::clone(&shared), link);
            match credential_provider {
                None => channel.await,
                Some(credential_provider) => tokio::select! {
                    () = channel => {}
                    () = source::serve(&shared, &credential_provider, &timing) => {}
                },
            }
        };
        drop(runtime.spawn(task.instrument(span)));
        Ok((Self { handle }, events))
    }

    /// Wishes a status. It is said as soon as there is a connection, and again after each reconnect; of several wishes the
    /// last one counts.
    pub fn set_status(&self, status: Status, message: Option<StatusText>) {
        self.handle.change(|talk| talk.wishes().status(status, message));
    }

    /// From now on only these Applications see this device; an empty list hides it from all. It can only narrow what the
    /// user's grants allow, and is kept over reconnects.
    pub fn set_visibility(&self, applications: Vec<AppId>) {
        self.handle.change(|talk| talk.wishes().visibility(applications));
    }

    /// Waits until the server has confirmed the last wishes and all acknowledgements, for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where the server will not take one of them, [`Error::Ended`].
    pub async fn confirmed(&self) -> Result<(), Error> {
        self.handle.until(DeviceTalk::confirmed).await
    }

    /// This notification was taken: the server forgets it.
    pub fn acknowledge(&self, id: NotificationId) {
        self.handle.change(|talk| talk.acknowledge(id));
    }

    /// Gives a fresh credential: because one was wanted, to sign in again, or to renew the session early.
    pub fn set_credential(&self, credential: Credential) {
        self.handle.change(|talk| talk.set_credential(credential));
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

    /// The device is on another network, or has one again: looks at once whether the connection is alive, and cuts a wait
    /// short.
    pub fn network_changed(&self) {
        self.handle.hint();
    }

    /// The app came to the foreground or left it.
    pub fn set_app_visibility(&self, state: AppVisibility) {
        self.handle.set_app_visibility(state);
    }

    /// Closes the channel, and waits until it is closed. The presence of this device ends at once.
    pub async fn close(&self) {
        self.handle.close();
        self.handle.ended().await;
    }
}

impl fmt::Debug for DeviceChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceChannel").finish_non_exhaustive()
    }
}

/// The events of a device channel, to be pulled.
pub struct DeviceEvents {
    shared: Arc<Shared<DeviceTalk>>,
    /// The application is asked for credentials.
    asks: bool,
}

impl DeviceEvents {
    /// The next event; `None` after the end. Cancel-safe: dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<DeviceEvent> {
        loop {
            let event = self.shared.until(DeviceTalk::pull).await.event();
            fetch_rest(&self.shared);
            match event {
                Some(DeviceEvent::CredentialWanted(_)) if !self.asks => {}
                event => return event,
            }
        }
    }

    /// Splits the events by kind, for applications that handle them in separate tasks. The states are left out: see
    /// [`DeviceChannel::wait_for_state_change`].
    pub fn split(self) -> (Notifications, CredentialRequests) {
        let shared = Arc::clone(&self.shared);
        (Notifications { shared }, CredentialRequests { shared: self.shared })
    }

    /// The events as a stream.
    pub fn into_stream(self) -> impl Stream<Item = DeviceEvent> + Send {
        futures_util::stream::unfold(self, |mut events| async {
            events.next().await.map(|event| (event, events))
        })
    }
}

impl fmt::Debug for DeviceEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceEvents").finish_non_exhaustive()
    }
}

/// Wakes the channel's task if notifications were left with the server, so that it fetches them once there is room.
fn fetch_rest(shared: &Shared<DeviceTalk>) {
    if shared.with(|talk| talk.has_left_some()) {
        shared.change(|_| ());
    }
}

/// The live notifications of a device channel, to be pulled. Made by [`DeviceEvents::split`].
pub struct Notifications {
    shared: Arc<Shared<DeviceTalk>>,
}

impl Notifications {
    /// Waits for the next notification; `None` after the end of the channel. Cancel-safe: dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<LiveNotification> {
        let notification = self.shared.until(DeviceTalk::pull_notification).await.event();
        fetch_rest(&self.shared);
        notification
    }
}

impl fmt::Debug for Notifications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifications").finish_non_exhaustive()
    }
}

/// The requests of a device channel for a credential, to be pulled. Made by [`DeviceEvents::split`]. There are none if the
/// channel has a token source.
pub struct CredentialRequests {
    shared: Arc<Shared<DeviceTalk>>,
}

impl CredentialRequests {
    /// Waits until a credential is wanted, and returns why; `None` after the end of the channel. A request that was not
    /// pulled is replaced by a newer one, and removed when a credential is given. Cancel-safe.
    pub async fn next(&mut self) -> Option<CredentialReason> {
        self.shared.until(DeviceTalk::pull_credential_request).await.event()
    }
}

impl fmt::Debug for CredentialRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialRequests").finish_non_exhaustive()
    }
}

//! The application's handle of a device channel.

use std::fmt;
use std::sync::Arc;

use presence_protocol::open::OpenStatus;
use presence_protocol::{AppId, NotificationId, StatusText};
use tracing::Instrument;

use super::credential_task;
use super::events::DeviceEvents;
use super::options::DeviceOptions;
use super::protocol::DeviceProtocol;
use crate::channel::{
    ChannelHandle, ChannelTask, Endpoint, ProtocolState, SharedState, run, runtime,
};
use crate::credential::Credential;
use crate::error::Error;
use crate::net::Connector;
use crate::state::{AppVisibility, ConnectionState};

/// The presence of one device: reports its status, reports it again after each reconnect, and
/// receives notifications.
///
/// Clones are handles of the same channel. The channel is closed when the last one is dropped.
#[derive(Clone)]
pub struct DeviceChannel {
    handle: Arc<ChannelHandle<DeviceProtocol>>,
}

impl DeviceChannel {
    /// Opens a channel. It connects in the background as soon as it has a credential.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] outside a tokio runtime, if an option of the network is not
    /// valid, or if a time of [`Timing`](crate::Timing) is shorter than a millisecond or longer
    /// than a year.
    pub fn open(mut options: DeviceOptions) -> Result<(Self, DeviceEvents), Error> {
        options.timing.check()?;
        let connector = Connector::new(&options.network)?;
        let runtime = runtime()?;
        let shared = SharedState::new(DeviceProtocol::new(&mut options));
        let handle = ChannelHandle::new(Arc::clone(&shared));
        let reports_credential_requests = options.credential_provider.is_none();
        let events = DeviceEvents::new(Arc::clone(&shared), reports_credential_requests);
        let span = tracing::info_span!("presence.device", device = options.device.as_str());
        let DeviceOptions { server, timing, credential_provider, .. } = options;
        let shared_with_task = Arc::clone(&shared);
        let task = async move {
            let endpoint = Endpoint { server, connector, timing: timing.clone() };
            let channel = run(Arc::clone(&shared), endpoint, rand::random);
            match credential_provider {
                None => channel.await,
                Some(provider) => tokio::select! {
                    () = channel => {}
                    () = credential_task::run(&shared, &provider, &timing, rand::random) => {}
                },
            }
        };
        drop(runtime.spawn(ChannelTask::new(shared_with_task, task.instrument(span))));
        Ok((Self { handle }, events))
    }

    /// Sets the status. It is sent as soon as there is a connection, and again after each
    /// reconnect. If it is set several times before that, only the last one is sent.
    pub fn set_status(&self, status: OpenStatus, message: Option<StatusText>) {
        self.handle.update_as_app(|protocol| protocol.desired().set_status(status, message));
    }

    /// Sets the only Applications that see this device from now on. An empty list hides it from
    /// all. The list can only narrow the user's grants, and is kept over reconnects.
    pub fn set_visibility(&self, applications: Vec<AppId>) {
        self.handle.update_as_app(|protocol| protocol.desired().set_visibility(applications));
    }

    /// Waits until the server has confirmed the status, the visibility and all acknowledgements.
    /// There is no time limit.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the server refuses one of them, [`Error::Ended`].
    pub async fn confirmed(&self) -> Result<(), Error> {
        self.handle.wait_as_app(DeviceProtocol::take_confirmation).await
    }

    /// Acknowledges a notification, so that the server deletes it.
    pub fn acknowledge(&self, id: NotificationId) {
        self.handle.update_as_app(|protocol| protocol.acknowledge(id));
    }

    /// Gives the channel a fresh credential: after a request for one, to sign in again, or to
    /// renew the session early.
    pub fn set_credential(&self, credential: Credential) {
        self.handle.update_as_app(|protocol| protocol.set_credential(credential));
        self.handle.notify_app();
        if matches!(self.state(), ConnectionState::Waiting { .. }) {
            self.handle.hint();
        }
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

    /// Reports that the network of the device has changed. The channel checks the connection at
    /// once, and shortens a wait for the next attempt.
    pub fn network_changed(&self) {
        self.handle.hint();
    }

    /// Reports that the app came to the foreground, or left it.
    pub fn set_app_visibility(&self, visibility: AppVisibility) {
        self.handle.set_app_visibility(visibility);
    }

    /// Returns the number of times that the task of the channel was woken.
    #[cfg(test)]
    pub(crate) fn wakes(&self) -> u64 {
        self.handle.wakes()
    }

    /// Closes the channel, and waits until it is closed, for about a second if the server does not
    /// react. The presence of this device ends at once.
    pub async fn close(&self) {
        self.handle.close();
        self.handle.wait_until_ended().await;
    }
}

impl fmt::Debug for DeviceChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceChannel").finish_non_exhaustive()
    }
}

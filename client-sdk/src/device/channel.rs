//! The application's handle of a device channel.

use std::fmt;
use std::sync::Arc;

use presence_protocol::open::OpenStatus;
use presence_protocol::{AppId, NotificationId, StatusText};
use tokio::runtime::Handle;
use tracing::Instrument;

use super::credential_task::{self, repeat_requests};
use super::events::DeviceEvents;
use super::kept;
use super::options::DeviceOptions;
use super::protocol::DeviceProtocol;
use crate::channel::{
    ChannelHandle, ChannelTask, Endpoint, ProtocolState, SharedState, StateWatch, run, runtime,
};
use crate::counters::ChannelCounters;
use crate::credential::{Credential, CredentialError, CredentialProvider, CredentialRequest};
use crate::error::Error;
use crate::net::Connector;
use crate::state::{AppVisibility, ConnectionState, StateChange};
use crate::storage::{Saver, StorageCounters};

/// The presence of one device: reports its status, reports it again after each reconnect, and
/// receives notifications.
///
/// Clones are handles of the same channel. The channel is closed when the last one is dropped.
#[derive(Clone)]
pub struct DeviceChannel {
    handle: Arc<ChannelHandle<DeviceProtocol>>,
    saver: Option<Saver>,
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
        let saver = options.storage.take().map(|storage| Saver::new(storage, runtime.clone()));
        let DeviceOptions { server, timing, credential_provider, .. } = options;
        let endpoint = Endpoint { server, connector, timing };
        let parts = TaskParts {
            shared: Arc::clone(&shared),
            runtime: runtime.clone(),
            provider: credential_provider,
            saver: saver.clone(),
        };
        let task = parts.run(endpoint).instrument(span);
        drop(runtime.spawn(ChannelTask::new(shared, task)));
        Ok((Self { handle, saver }, events))
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

    /// Records that the user has seen a notification that the application does not acknowledge yet,
    /// for example because it stays in the notification area of the phone. With a
    /// [`storage`](DeviceOptions::storage) it is not delivered again after a restart of the
    /// application. The last 1,000 are kept.
    pub fn mark_shown(&self, id: NotificationId) {
        self.handle.update_as_app(|protocol| protocol.mark_shown(id));
    }

    /// Returns what was counted about the storage of [`DeviceOptions::storage`].
    pub fn storage_counters(&self) -> StorageCounters {
        self.saver.as_ref().map(Saver::counters).unwrap_or_default()
    }

    /// Gives the channel a fresh credential: after a request for one, to sign in again, or to
    /// renew the session early.
    pub fn set_credential(&self, credential: Credential) {
        credential_task::set_credential(&self.handle, credential);
        let waits = match self.state() {
            ConnectionState::Waiting { .. }
            | ConnectionState::CredentialWanted(_)
            | ConnectionState::SignedOut(_) => true,
            ConnectionState::Connecting { .. }
            | ConnectionState::Connected
            | ConnectionState::Ended(_) => false,
        };
        if waits {
            self.handle.hint();
        }
    }

    /// Waits for a request for a credential that is newer than the request `after`, 0 for any.
    /// Returns `None` after the end of the channel. A newer request replaces an older one, and a
    /// credential removes it. Cancel-safe. [`CredentialRequests`](crate::CredentialRequests) is a
    /// loop over this call.
    pub async fn wait_for_credential_request(&self, after: u64) -> Option<CredentialRequest> {
        credential_task::next_request(&self.handle, after).await
    }

    /// Waits until a request for a credential is closed: a credential was set, a newer request has
    /// replaced it, or the channel has ended. The work for the request can then be cancelled.
    pub async fn wait_for_credential_request_end(&self, number: u64) {
        credential_task::request_end(&self.handle, number).await;
    }

    /// Reports that there is no credential for the request of this number. After
    /// [`CredentialError::Unavailable`] the channel repeats the request with a new number after a
    /// wait, which grows with each failure as the wait before a reconnect does. A hint such as
    /// [`network_changed`](Self::network_changed) shortens the wait, and a credential ends it.
    /// After [`CredentialError::SignedOut`] the state is [`SignedOut`](ConnectionState::SignedOut).
    /// A report of an older request has no effect.
    pub fn report_credential_failure(&self, number: u64, error: &CredentialError) {
        credential_task::report_failure(&self.handle, number, error);
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

/// The parts of the task of a channel.
struct TaskParts {
    shared: Arc<SharedState<DeviceProtocol>>,
    runtime: Handle,
    provider: Option<Arc<dyn CredentialProvider>>,
    saver: Option<Saver>,
}

impl TaskParts {
    /// Runs the channel until it has ended and what it keeps is saved.
    async fn run(self, endpoint: Endpoint) {
        let Some(saver) = &self.saver else { return self.run_channel(endpoint).await };
        // In a box, since most channels have no storage and need no memory for it.
        let stored = async {
            kept::restore(&self.shared, saver).await;
            tokio::join!(self.run_channel(endpoint), kept::save_changes(&self.shared, saver));
        };
        Box::pin(stored).await;
    }

    async fn run_channel(&self, endpoint: Endpoint) {
        let provided = async {
            if let Some(provider) = &self.provider {
                credential_task::run(&self.shared, provider, &self.runtime).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = run(Arc::clone(&self.shared), endpoint, rand::random) => {}
            () = repeat_requests(&self.shared) => {}
            () = provided => {}
        }
    }
}

impl fmt::Debug for DeviceChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceChannel").finish_non_exhaustive()
    }
}

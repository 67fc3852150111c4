//! The events of a device channel, as the application pulls them.

use std::fmt;
use std::sync::Arc;

use futures_util::Stream;
use presence_protocol::device::LiveNotification;

use super::credential_task::next_request;
use super::event::DeviceEvent;
use super::protocol::DeviceProtocol;
use crate::channel::SharedState;
use crate::credential::CredentialRequest;

/// The events of a device channel, to be pulled by the application.
pub struct DeviceEvents {
    shared: Arc<SharedState<DeviceProtocol>>,
    /// Set if the application, and not a credential provider, answers requests for credentials.
    reports_credential_requests: bool,
    /// The number of the last request for a credential that was pulled.
    last_request: u64,
}

impl DeviceEvents {
    pub(super) fn new(
        shared: Arc<SharedState<DeviceProtocol>>,
        reports_credential_requests: bool,
    ) -> Self {
        Self { shared, reports_credential_requests, last_request: 0 }
    }

    /// Waits for the next event. Returns `None` after the end. Cancel-safe: dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Option<DeviceEvent> {
        loop {
            let (shared, last_request) = (&self.shared, self.last_request);
            let pull = |protocol: &mut DeviceProtocol| protocol.pull(last_request, shared.hints());
            let event = shared.wait_as_app(pull).await.event();
            wake_if_deferred(&self.shared);
            if let Some(DeviceEvent::CredentialWanted(request)) = &event {
                self.last_request = request.number;
                if !self.reports_credential_requests {
                    continue;
                }
            }
            return event;
        }
    }

    /// Splits the events by kind, for applications that handle them in separate tasks. The states
    /// are left out: see
    /// [`wait_for_state_change`](crate::DeviceChannel::wait_for_state_change).
    pub fn split(self) -> (Notifications, CredentialRequests) {
        let shared = Arc::clone(&self.shared);
        let last = self.last_request;
        (Notifications { shared }, CredentialRequests { shared: self.shared, last })
    }

    /// Returns the events as a stream.
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

/// Wakes the task of the channel if notifications were left on the server. It fetches them once
/// the queue is empty.
fn wake_if_deferred(shared: &SharedState<DeviceProtocol>) {
    if shared.with(|protocol| protocol.has_deferred()) {
        shared.wake_task();
    }
}

/// The notifications of a device channel, to be pulled. Made by [`DeviceEvents::split`].
pub struct Notifications {
    shared: Arc<SharedState<DeviceProtocol>>,
}

impl Notifications {
    /// Waits for the next notification. Returns `None` after the end of the channel. Cancel-safe:
    /// dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<LiveNotification> {
        let pulled = self.shared.wait_as_app(DeviceProtocol::pull_notification).await;
        wake_if_deferred(&self.shared);
        pulled.event()
    }
}

impl fmt::Debug for Notifications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifications").finish_non_exhaustive()
    }
}

/// The requests of a device channel for a credential, to be pulled. Made by
/// [`DeviceEvents::split`]. A channel with a credential provider answers them by itself.
pub struct CredentialRequests {
    shared: Arc<SharedState<DeviceProtocol>>,
    last: u64,
}

impl CredentialRequests {
    /// Waits until the channel needs a credential, and returns the request. Returns `None` after
    /// the end of the channel. A newer request replaces one that was not pulled, and a credential
    /// removes it. Cancel-safe.
    pub async fn next(&mut self) -> Option<CredentialRequest> {
        let request = next_request(&self.shared, self.last).await?;
        self.last = request.number;
        Some(request)
    }
}

impl fmt::Debug for CredentialRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialRequests").finish_non_exhaustive()
    }
}

//! The protocol of the device channel, without a socket.

use std::time::Duration;

use presence_protocol::device::client::{ClientRequest, ServerToDevice, parse_frame};
use presence_protocol::device::{DeviceAuth, LiveNotification};
use presence_protocol::{ApiError, DeviceName, Errno, RetryAdvice};
use tokio::time::Instant;

use super::credential_requests::RequestState;
use super::credentials::{DeviceCredentials, RefusedCredential};
use super::desired::{DesiredState, SentContent};
use super::event_queue::{AddResult, DeviceEventQueue};
use super::kept_ids::KeptIds;
use super::options::DeviceOptions;
use super::renewal::Renewal;
use crate::channel::{Disconnect, NextStep, ProtocolState, RecentStates, UnreadableFrames};
use crate::counters::ChannelCounters;
use crate::credential::CredentialReason;
use crate::error::retry_after;
use crate::state::ConnectionState;

/// The wait before a frame is sent again, if the server gives none.
const DEFAULT_RETRY_WAIT: Duration = Duration::from_secs(1);

/// The protocol state of a device channel.
pub(super) struct DeviceProtocol {
    device: DeviceName,
    desired: DesiredState,
    events: DeviceEventQueue,
    state: ConnectionState,
    recent_states: RecentStates,
    credentials: DeviceCredentials,
    credential_requests: RequestState,
    phase: DevicePhase,
    in_flight: Option<SentFrame>,
    delayed_until: Option<Instant>,
    /// The error of a frame that the server refuses for good, until it is reported.
    refused: Option<ApiError>,
    next_id: u64,
    unreadable: UnreadableFrames,
    renewal: Renewal,
    kept: KeptIds,
    /// Set if somebody is known to answer requests for credentials.
    has_source: bool,
}

/// The phase of the current socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DevicePhase {
    /// The next frame carries the credential, until one such frame is accepted.
    Authenticating,
    /// The server has accepted the credential.
    Authenticated,
}

/// A frame without a reply. There is at most one at a time, so that of many changes only the last
/// one is sent.
#[derive(Debug)]
struct SentFrame {
    id: u64,
    content: SentContent,
    auth: FrameAuth,
}

/// The credential that a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FrameAuth {
    None,
    /// The current credential, on a socket that is not authenticated.
    Current,
    /// The fresh credential.
    Fresh,
}

impl DeviceProtocol {
    pub(super) fn new(options: &mut DeviceOptions) -> Self {
        let credential = options.credential.take();
        let mut credential_requests = RequestState::new(&options.timing, rand::random);
        let state = if credential.is_some() {
            ConnectionState::Connecting { attempt: 1 }
        } else {
            credential_requests.open(CredentialReason::First);
            ConnectionState::CredentialWanted(CredentialReason::First)
        };
        let visibility = options.visibility.take();
        Self {
            device: options.device.clone(),
            desired: DesiredState::new(options.status.clone(), options.message.take(), visibility),
            events: DeviceEventQueue::new(state.clone()),
            recent_states: RecentStates::new(&state),
            state,
            credentials: DeviceCredentials::new(credential),
            credential_requests,
            phase: DevicePhase::Authenticating,
            in_flight: None,
            delayed_until: None,
            refused: None,
            next_id: 1,
            unreadable: UnreadableFrames::default(),
            renewal: Renewal::new(rand::random),
            kept: KeptIds::default(),
            has_source: options.credential_provider.is_some(),
        }
    }

    fn set_credential_request(&mut self, reason: Option<CredentialReason>) {
        self.renewal.cancel();
        match reason {
            Some(reason) => self.credential_requests.open(reason),
            None => self.credential_requests.close(),
        }
    }

    fn handle_ok(&mut self, id: Option<u64>, now: Instant) {
        let Some(frame) = self.in_flight.take_if(|frame| Some(frame.id) == id) else { return };
        self.resolve(&frame.content);
        self.phase = DevicePhase::Authenticated;
        match frame.auth {
            FrameAuth::None => {}
            FrameAuth::Current => {
                self.renewal.begin_session(now);
                self.credentials.accept();
            }
            FrameAuth::Fresh => {
                self.renewal.begin_session(now);
                self.credentials.use_fresh();
                self.credentials.accept();
            }
        }
    }

    /// Records that the server has confirmed a frame, or refused it for good.
    fn resolve(&mut self, sent: &SentContent) {
        self.desired.resolve(sent);
        if let SentContent::Acks(_) = sent {
            self.kept.note_change();
        }
    }

    fn handle_error(
        &mut self,
        error: ApiError,
        id: Option<u64>,
        now: Instant,
    ) -> Result<(), Disconnect> {
        // An error without an id can only be about the frame in flight.
        let is_reply = |frame: &mut SentFrame| id.is_none() || Some(frame.id) == id;
        let Some(frame) = self.in_flight.take_if(is_reply) else { return Ok(()) };
        if !self.is_authenticated() {
            return Err(Disconnect::Refused(error));
        }
        if error.retry_advice() == RetryAdvice::AfterWaiting {
            self.delayed_until = Some(now + retry_after(&error).unwrap_or(DEFAULT_RETRY_WAIT));
            self.desired.requeue(frame.content);
        } else if frame.auth == FrameAuth::Fresh {
            self.credentials.drop_fresh(error);
        } else if error.errno == Errno::SessionExpired {
            self.set_credential_request(Some(CredentialReason::Expired));
            self.delayed_until = Some(now + DEFAULT_RETRY_WAIT);
            self.desired.requeue(frame.content);
        } else {
            self.resolve(&frame.content);
            self.refused = Some(error);
        }
        Ok(())
    }

    fn handle_notifications(&mut self, notifications: Vec<LiveNotification>) {
        for notification in notifications {
            let id = notification.id;
            match self.events.add(notification) {
                AddResult::Acknowledged => {
                    self.desired.acknowledge(id);
                    self.kept.note_change();
                }
                AddResult::Queued | AddResult::Duplicate | AddResult::Deferred => {}
            }
        }
    }

    /// Returns the credential that the next frame carries.
    fn next_auth(&self) -> FrameAuth {
        if self.credentials.has_fresh() {
            FrameAuth::Fresh
        } else if self.is_authenticated() {
            FrameAuth::None
        } else {
            FrameAuth::Current
        }
    }
}

impl ProtocolState for DeviceProtocol {
    const SUBPROTOCOL: Option<&'static str> = None;

    fn path(&self) -> String {
        "/presence".to_owned()
    }

    fn has_credential(&self) -> bool {
        self.credentials.is_available()
    }

    fn handle_open(&mut self) {
        self.phase = DevicePhase::Authenticating;
        self.credentials.use_fresh();
        self.delayed_until = None;
        self.unreadable.forget_awaited();
        self.desired.reset();
        if let Some(frame) = self.in_flight.take() {
            self.desired.requeue(frame.content);
        }
    }

    fn is_authenticated(&self) -> bool {
        self.phase == DevicePhase::Authenticated
    }

    fn poll_outgoing(&mut self, now: Instant) -> Option<String> {
        if self.in_flight.is_some() || self.delayed_until.is_some_and(|until| now < until) {
            return None;
        }
        self.delayed_until = None;
        let frame_auth = self.next_auth();
        let (command, content) = match frame_auth {
            FrameAuth::Fresh => self.desired.status_command(),
            FrameAuth::None | FrameAuth::Current => self.desired.next()?,
        };
        let auth = match frame_auth {
            FrameAuth::None => DeviceAuth::default(),
            FrameAuth::Current | FrameAuth::Fresh => self.credentials.auth(&self.device),
        };
        let id = self.next_id;
        self.next_id += 1;
        self.in_flight = Some(SentFrame { id, content, auth: frame_auth });
        Some(ClientRequest { id, auth, command }.to_json())
    }

    fn next_deadline(&self) -> Option<Instant> {
        [self.delayed_until, self.unreadable.deadline(), self.renewal.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn handle_time(&mut self, now: Instant) -> bool {
        let Some(within) = self.renewal.take_due(now) else { return false };
        self.set_credential_request(Some(CredentialReason::Expiring { within }));
        true
    }

    fn take_reconnect_request(&mut self, now: Instant) -> bool {
        let overdue = self.unreadable.take_overdue(now);
        let is_reply_lost = self.in_flight.as_ref().is_some_and(|frame| Some(frame.id) == overdue);
        self.is_authenticated() && (is_reply_lost || self.events.take_refetch_request())
    }

    fn handle_frame(&mut self, text: &str, now: Instant) -> Result<(), Disconnect> {
        let frame = match parse_frame(text) {
            Ok(frame) => frame,
            Err(error) => {
                let awaited = self.in_flight.as_ref().map(|frame| frame.id);
                self.unreadable.skip_frame(&error, awaited, now);
                return Ok(());
            }
        };
        match frame {
            ServerToDevice::Ok(id) => self.handle_ok(id, now),
            ServerToDevice::Error(error, id) => self.handle_error(error, id, now)?,
            ServerToDevice::Notifications(notifications) => {
                self.unreadable.skip_entries(notifications.skipped);
                self.handle_notifications(notifications.items);
            }
            ServerToDevice::ExpiresIn(seconds) => {
                self.renewal.schedule(Duration::from_secs(seconds), now);
                self.handle_time(now);
            }
            ServerToDevice::Unknown => {}
        }
        Ok(())
    }

    fn handle_disconnect(&mut self, disconnect: Disconnect) -> NextStep {
        self.phase = DevicePhase::Authenticating;
        self.renewal.cancel();
        if !disconnect.is_caused_by_credential() {
            self.credentials.age();
            return disconnect.next_step();
        }
        match self.credentials.drop_refused(disconnect) {
            RefusedCredential::FreshAvailable => NextStep::Reconnect,
            RefusedCredential::Expired => {
                let reason = CredentialReason::Expired;
                self.set_credential_request(Some(reason));
                NextStep::AwaitCredential(ConnectionState::CredentialWanted(reason))
            }
            RefusedCredential::Aged(error) => {
                let reason = CredentialReason::Expired;
                self.set_credential_request(Some(reason));
                NextStep::AwaitCredential(if self.has_source {
                    ConnectionState::CredentialWanted(reason)
                } else {
                    ConnectionState::SignedOut(error)
                })
            }
            RefusedCredential::Invalid(error) => {
                self.set_credential_request(None);
                NextStep::AwaitCredential(ConnectionState::SignedOut(error))
            }
        }
    }

    fn state(&self) -> &ConnectionState {
        &self.state
    }

    fn recent_states(&self) -> &RecentStates {
        &self.recent_states
    }

    fn fill_counters(&self, counters: &mut ChannelCounters) {
        counters.skipped = self.unreadable.skipped();
    }

    fn set_state(&mut self, state: ConnectionState) -> bool {
        if self.state == state {
            return false;
        }
        self.recent_states.record(&state);
        self.state = state.clone();
        self.events.set_state(state);
        true
    }
}

mod application;

#[cfg(test)]
mod tests;

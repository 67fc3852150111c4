//! The protocol of the channel of an AppService, without a socket.

use std::time::Duration;

use presence_protocol::app::AppServiceAuth;
use presence_protocol::app::client::{self, ServerToAppService};
use presence_protocol::{ApiError, AppId, Errno, RetryAdvice};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::event::AppServiceEvent;
use super::event_queue::AppServiceEventQueue;
use super::options::AppServiceOptions;
use super::requests::{Reply, Requests};
use crate::channel::{Disconnect, NextStep, ProtocolState, Pulled, RecentStates, UnreadableFrames};
use crate::counters::ChannelCounters;
use crate::error::{Error, retry_after};
use crate::state::ConnectionState;

/// The wait before a request is sent again, if the server gives none.
const DEFAULT_RETRY_WAIT: Duration = Duration::from_secs(1);

/// The protocol state of the channel of an AppService.
pub(super) struct AppServiceProtocol {
    application: AppId,
    api_key: ApiKey,
    receipts: bool,
    state: ConnectionState,
    recent_states: RecentStates,
    events: AppServiceEventQueue,
    requests: Requests,
    phase: AppServicePhase,
    unreadable: UnreadableFrames,
    requests_timed_out: u64,
}

/// The API key, and whether the server has refused it.
enum ApiKey {
    Usable(SecretString),
    Refused(ApiError),
}

/// The phase of the current socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AppServicePhase {
    /// The key has to be sent.
    Open,
    /// The key was sent, and the server has not replied.
    Authenticating,
    /// The server has accepted the key.
    Authenticated,
}

impl AppServiceProtocol {
    pub(super) fn new(options: &AppServiceOptions) -> Self {
        let state = ConnectionState::Connecting { attempt: 1 };
        Self {
            application: options.application,
            api_key: ApiKey::Usable(options.api_key.clone()),
            receipts: options.receipts,
            events: AppServiceEventQueue::new(state.clone(), options.cursor.clone()),
            recent_states: RecentStates::new(&state),
            state,
            requests: Requests::default(),
            phase: AppServicePhase::Open,
            unreadable: UnreadableFrames::default(),
            requests_timed_out: 0,
        }
    }

    pub(super) fn pull(&mut self) -> Option<Pulled<AppServiceEvent>> {
        self.events.pull()
    }

    pub(super) fn set_api_key(&mut self, api_key: SecretString) {
        self.api_key = ApiKey::Usable(api_key);
    }

    pub(super) fn skipped(&self) -> u64 {
        self.unreadable.skipped()
    }

    /// Returns the requests, to add one.
    ///
    /// # Errors
    ///
    /// Returns the reason if no request can get a reply at the moment.
    pub(super) fn requests(&mut self) -> Result<&mut Requests, Error> {
        match (&self.state, &self.api_key) {
            (ConnectionState::Ended(end), _) => Err(Error::Ended(end.clone())),
            (_, ApiKey::Refused(error)) => Err(Error::Refused(error.clone())),
            (_, ApiKey::Usable(_)) => Ok(&mut self.requests),
        }
    }

    /// Counts a request without a reply within the time limit.
    pub(super) fn count_timeout(&mut self) {
        self.requests_timed_out += 1;
    }

    /// Removes a request that no caller waits for.
    pub(super) fn remove_request(&mut self, id: u64) {
        self.requests.remove(id);
    }

    fn handle_error(
        &mut self,
        error: ApiError,
        id: Option<u64>,
        now: Instant,
    ) -> Result<(), Disconnect> {
        if !self.is_authenticated() {
            return Err(Disconnect::Refused(error));
        }
        if error.retry_advice() == RetryAdvice::AfterWaiting {
            let wait = retry_after(&error).unwrap_or(DEFAULT_RETRY_WAIT);
            self.requests.delay(id, now + wait);
        } else {
            self.requests.complete(id, Err(Error::Refused(error)));
        }
        Ok(())
    }
}

impl ProtocolState for AppServiceProtocol {
    const SUBPROTOCOL: Option<&'static str> = Some(presence_protocol::app::SUBPROTOCOL);

    fn path(&self) -> String {
        format!("/myapps/{}", self.application)
    }

    fn has_credential(&self) -> bool {
        matches!(self.api_key, ApiKey::Usable(_))
    }

    fn handle_open(&mut self) {
        self.phase = AppServicePhase::Open;
        self.unreadable.forget_awaited();
        self.requests.requeue_all();
    }

    fn is_authenticated(&self) -> bool {
        self.phase == AppServicePhase::Authenticated
    }

    fn poll_outgoing(&mut self, now: Instant) -> Option<String> {
        match (self.phase, &self.api_key) {
            (AppServicePhase::Authenticated, _) => self.requests.poll_outgoing(now),
            (AppServicePhase::Open, ApiKey::Usable(key)) => {
                self.phase = AppServicePhase::Authenticating;
                Some(client::auth(&AppServiceAuth {
                    key: Some(key.expose_secret().to_owned()),
                    cursor: self.events.cursor().map(str::to_owned),
                    receipts: self.receipts,
                }))
            }
            (AppServicePhase::Open | AppServicePhase::Authenticating, _) => None,
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        // Before that no request can be sent, so that a delay that is over must not wake the task.
        let delayed = if self.is_authenticated() { self.requests.next_deadline() } else { None };
        delayed.into_iter().chain(self.unreadable.deadline()).min()
    }

    fn take_reconnect_request(&mut self, now: Instant) -> bool {
        let overdue = self.unreadable.take_overdue(now);
        self.is_authenticated() && overdue.is_some_and(|id| self.requests.has_sent(id))
    }

    fn handle_frame(&mut self, text: &str, now: Instant) -> Result<(), Disconnect> {
        let frame = match client::parse_frame(text) {
            Ok(frame) => frame,
            Err(error) => {
                self.unreadable.skip_frame(&error, self.requests.newest_sent(), now);
                return Ok(());
            }
        };
        match frame {
            ServerToAppService::AuthOk => self.phase = AppServicePhase::Authenticated,
            ServerToAppService::Notified(results, id) => {
                self.requests.complete(id, Ok(Reply::Notify(results)));
            }
            ServerToAppService::Queried(results, id) => {
                self.requests.complete(id, Ok(Reply::Query(results)));
            }
            ServerToAppService::Error(error, id) => self.handle_error(error, id, now)?,
            ServerToAppService::Stream(frame) => {
                self.unreadable.skip_entries(frame.presence.skipped + frame.receipts.skipped);
                self.events.add(frame);
            }
            ServerToAppService::Stale(is_stale) => self.events.set_stale(is_stale),
            ServerToAppService::Unknown => {}
        }
        Ok(())
    }

    fn handle_disconnect(&mut self, disconnect: Disconnect) -> NextStep {
        self.phase = AppServicePhase::Open;
        self.events.forget_socket();
        if !disconnect.is_caused_by_credential() {
            return disconnect.next_step();
        }
        let error = match disconnect {
            Disconnect::Refused(error) => error,
            Disconnect::Closed(_)
            | Disconnect::Failed(_)
            | Disconnect::Postponed { .. }
            | Disconnect::ReconnectRequested => Errno::InvalidApiKey.into(),
        };
        self.requests.fail_all(&Error::Refused(error.clone()));
        self.api_key = ApiKey::Refused(error.clone());
        NextStep::AwaitCredential(ConnectionState::SignedOut(error))
    }

    fn state(&self) -> &ConnectionState {
        &self.state
    }

    fn recent_states(&self) -> &RecentStates {
        &self.recent_states
    }

    fn fill_counters(&self, counters: &mut ChannelCounters) {
        self.events.fill_counters(counters);
        counters.skipped = self.unreadable.skipped();
        counters.requests_timed_out = self.requests_timed_out;
    }

    fn set_state(&mut self, state: ConnectionState) -> bool {
        if self.state == state {
            return false;
        }
        if let ConnectionState::Ended(end) = &state {
            self.requests.fail_all(&Error::Ended(end.clone()));
        }
        self.recent_states.record(&state);
        self.state = state.clone();
        self.events.set_state(state);
        true
    }
}

#[cfg(test)]
mod tests;

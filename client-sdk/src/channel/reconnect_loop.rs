//! The task of a channel: connects, runs a socket and reconnects, until the channel ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::backoff::{Backoff, Jitter};
use super::disconnect::{Disconnect, NextStep};
use super::protocol_state::ProtocolState;
use super::restart_limit::RestartLimit;
use super::shared_state::{SharedState, change_state};
use super::socket::{self, Socket};
use super::socket_loop::{SocketEnd, SocketLoop};
use crate::end_reason::EndReason;
use crate::error::Error;
use crate::net::Connector;
use crate::server_url::ServerUrl;
use crate::state::ConnectionState;
use crate::timing::Timing;

/// The server to connect to, and the time limits.
pub(crate) struct Endpoint {
    pub(crate) server: ServerUrl,
    pub(crate) connector: Connector,
    pub(crate) timing: Timing,
}

/// Returns the runtime in which the task of a channel runs.
pub(crate) fn runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|_| {
        Error::InvalidArgument("a channel can only be opened in a tokio runtime".to_owned())
    })
}

/// Runs a channel until it ends.
pub(crate) async fn run<P: ProtocolState>(
    shared: Arc<SharedState<P>>,
    endpoint: Endpoint,
    jitter: Jitter,
) {
    let mut reconnect_loop = ReconnectLoop {
        shared: &shared,
        endpoint: &endpoint,
        backoff: Backoff::new(&endpoint.timing, jitter),
        refusals: Backoff::new(&endpoint.timing, jitter),
        restarts: RestartLimit::new(endpoint.timing.backoff_floor),
        not_before: None,
    };
    let end = reconnect_loop.run().await;
    tracing::info!(%end, "the channel has ended");
    shared.set_connection_state(ConnectionState::Ended(end));
}

/// The loop that opens one socket after another.
struct ReconnectLoop<'a, P> {
    shared: &'a SharedState<P>,
    endpoint: &'a Endpoint,
    backoff: Backoff,
    /// The wait after the server has refused a credential. Failures to reach the server do not
    /// count: a fresh credential after an outage is used soon.
    refusals: Backoff,
    restarts: RestartLimit,
    /// The earliest time of the next attempt. It keeps a reconnect without a wait from being
    /// repeated in a busy loop.
    not_before: Option<Instant>,
}

/// The end of one attempt to connect and to stay connected.
enum AttemptEnd {
    CloseRequested,
    /// A hint came while the attempt did not proceed, so that another one begins at once.
    Restarted,
    Disconnected {
        reason: Disconnect,
        was_stable: bool,
    },
}

/// The result of a wait that the application can interrupt.
#[derive(PartialEq, Eq)]
enum WaitResult {
    Elapsed,
    CloseRequested,
}

impl<P: ProtocolState> ReconnectLoop<'_, P> {
    async fn run(&mut self) -> EndReason {
        loop {
            let end = match self.attempt().await {
                AttemptEnd::CloseRequested => Some(EndReason::Closed),
                AttemptEnd::Restarted => {
                    self.restarts.record(Instant::now());
                    // The next attempt follows at once, so that the step does not matter.
                    let reason = Disconnect::ReconnectRequested;
                    self.shared.update_as_task(|protocol| protocol.handle_disconnect(reason));
                    None
                }
                AttemptEnd::Disconnected { reason, was_stable } => {
                    self.handle_disconnect(reason, was_stable).await
                }
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Connects, and runs the socket until it ends.
    async fn attempt(&mut self) -> AttemptEnd {
        if self.wait_for_credential().await == WaitResult::CloseRequested {
            return AttemptEnd::CloseRequested;
        }
        let start = Instant::now();
        let timing = &self.endpoint.timing;
        let deadline = start + timing.connect_timeout;
        let restart_at = self.restarts.earliest(start);
        let socket = match self.connect(deadline, restart_at).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(reason)) => return AttemptEnd::Disconnected { reason, was_stable: false },
            Err(end) => return end,
        };
        match SocketLoop::new(socket, self.shared, timing, deadline, restart_at).run().await {
            SocketEnd::CloseRequested => AttemptEnd::CloseRequested,
            SocketEnd::Restarted => AttemptEnd::Restarted,
            SocketEnd::Disconnected { reason, authenticated_for } => {
                if authenticated_for.is_some() {
                    self.restarts.reset();
                }
                let was_stable = authenticated_for.is_some_and(|time| time >= timing.stable_after);
                AttemptEnd::Disconnected { reason, was_stable }
            }
        }
    }

    /// Takes the step that follows a disconnect. Returns the reason if the channel ends.
    async fn handle_disconnect(
        &mut self,
        reason: Disconnect,
        was_stable: bool,
    ) -> Option<EndReason> {
        tracing::info!(?reason, was_stable, "the connection is lost");
        if was_stable {
            self.backoff.reset();
            self.refusals.reset();
        }
        // The state changes under the same lock, so that no report of the application about the
        // request for a credential comes between.
        let step = self.shared.update_as_task(|protocol| {
            let step = protocol.handle_disconnect(reason);
            if let NextStep::AwaitCredential(state) = &step {
                change_state(protocol, state.clone());
            }
            step
        });
        match step {
            NextStep::Reconnect => self.delay_unless_stable(was_stable),
            NextStep::AwaitCredential(state) => {
                if matches!(state, ConnectionState::CredentialWanted(_)) {
                    self.delay_unless_stable(was_stable);
                }
            }
            NextStep::End(end) => return Some(end),
            NextStep::Retry { reason, at_least } => {
                let wait = self.backoff.after_failure(at_least);
                let result = self.wait_before_retry(reason, wait, at_least).await;
                return (result == WaitResult::CloseRequested).then_some(EndReason::Closed);
            }
        }
        None
    }

    /// Delays the next attempt, unless the connection that was lost had been stable.
    fn delay_unless_stable(&mut self, was_stable: bool) {
        if !was_stable {
            self.not_before = Some(Instant::now() + self.refusals.after_failure(None));
        }
    }

    async fn wait_for_credential(&self) -> WaitResult {
        let ready = async {
            if let Some(not_before) = self.not_before {
                self.wait_until(not_before).await;
            }
            let has_credential = |protocol: &mut P| protocol.has_credential().then_some(());
            self.shared.wait_as_task(has_credential).await;
        };
        tokio::select! {
            () = ready => WaitResult::Elapsed,
            () = self.shared.close_requested() => WaitResult::CloseRequested,
        }
    }

    /// Waits until a time. A hint shortens the wait.
    async fn wait_until(&self, time: Instant) {
        tokio::select! {
            () = sleep_until(time) => return,
            () = self.hinted() => {}
        }
        sleep_until(time.min(Instant::now() + self.backoff.after_hint())).await;
    }

    /// Opens a socket.
    async fn connect(
        &self,
        deadline: Instant,
        restart_at: Instant,
    ) -> Result<Result<Socket, Disconnect>, AttemptEnd> {
        let attempt = self.backoff.failures() + 1;
        self.shared.set_connection_state(ConnectionState::Connecting { attempt });
        self.shared.meters().count_attempt();
        // A hint from before this attempt has no further effect.
        self.shared.take_hint();
        let path = self.shared.with(|protocol| protocol.path());
        let Endpoint { server, connector, .. } = self.endpoint;
        // Boxed, so that a channel that is connected does not keep the room for it.
        let opening = Box::pin(socket::open(connector.clone(), server, &path, P::SUBPROTOCOL));
        let restarted = async {
            self.hinted().await;
            sleep_until(restart_at).await;
        };
        tokio::select! {
            opened = timeout_at(deadline, opening) => {
                Ok(opened.unwrap_or(Err(Disconnect::Failed(Error::TimedOut))))
            }
            () = restarted => Err(AttemptEnd::Restarted),
            () = self.shared.close_requested() => Err(AttemptEnd::CloseRequested),
        }
    }

    /// Waits before the next attempt. A hint shortens the wait, but not below the wait that the
    /// server or the proxy requested.
    async fn wait_before_retry(
        &self,
        reason: Error,
        wait: Duration,
        at_least: Option<Duration>,
    ) -> WaitResult {
        let start = Instant::now();
        let mut until = start + wait;
        let waiting = |retry_in| ConnectionState::Waiting { reason: reason.clone(), retry_in };
        self.shared.set_connection_state(waiting(wait));
        tokio::select! {
            () = sleep_until(until) => return WaitResult::Elapsed,
            () = self.shared.close_requested() => return WaitResult::CloseRequested,
            () = self.hinted() => {
                let now = Instant::now();
                let earliest = start + at_least.unwrap_or_default();
                let soon = (now + self.backoff.after_hint()).max(earliest);
                if soon < until {
                    until = soon;
                    self.shared.set_connection_state(waiting(until.saturating_duration_since(now)));
                }
            }
        }
        // Only the first hint counts: many hints would make a busy loop.
        tokio::select! {
            () = sleep_until(until) => WaitResult::Elapsed,
            () = self.shared.close_requested() => WaitResult::CloseRequested,
        }
    }

    /// Waits for a hint that has had no effect yet.
    async fn hinted(&self) {
        self.shared.wait_as_task(|_| self.shared.is_hinted().then_some(())).await;
    }
}

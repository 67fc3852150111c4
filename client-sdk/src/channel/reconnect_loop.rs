//! The task of a channel: connects, runs a socket and reconnects, until the channel ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until, timeout};

use super::backoff::{Backoff, Jitter};
use super::disconnect::{Disconnect, NextStep};
use super::protocol_state::ProtocolState;
use super::shared_state::SharedState;
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
    let backoff = Backoff::new(&endpoint.timing, jitter);
    let mut reconnect_loop =
        ReconnectLoop { shared: &shared, endpoint: &endpoint, backoff, not_before: None };
    let end = reconnect_loop.run().await;
    tracing::info!(%end, "the channel has ended");
    shared.set_connection_state(ConnectionState::Ended(end));
}

/// The loop that opens one socket after another.
struct ReconnectLoop<'a, P> {
    shared: &'a SharedState<P>,
    endpoint: &'a Endpoint,
    backoff: Backoff,
    /// The earliest time of the next attempt. It keeps a reconnect without a wait from being
    /// repeated in a busy loop.
    not_before: Option<Instant>,
}

/// The end of one attempt to connect and to stay connected.
enum AttemptEnd {
    CloseRequested,
    Disconnected { reason: Disconnect, was_stable: bool },
}

/// The result of a wait that the application can interrupt.
#[derive(PartialEq, Eq)]
enum WaitResult {
    Elapsed,
    CloseRequested,
}

/// The request of the application that interrupts a wait.
enum Interruption {
    Hint,
    CloseRequested,
}

impl<P: ProtocolState> ReconnectLoop<'_, P> {
    async fn run(&mut self) -> EndReason {
        loop {
            let end = match self.attempt().await {
                AttemptEnd::CloseRequested => Some(EndReason::Closed),
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
        let socket = match self.connect().await {
            None => return AttemptEnd::CloseRequested,
            Some(Ok(socket)) => socket,
            Some(Err(reason)) => return AttemptEnd::Disconnected { reason, was_stable: false },
        };
        let timing = &self.endpoint.timing;
        match SocketLoop::new(socket, self.shared, timing).run().await {
            SocketEnd::CloseRequested => AttemptEnd::CloseRequested,
            SocketEnd::Disconnected { reason, authenticated_for } => {
                let was_stable = authenticated_for >= timing.stable_after;
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
        }
        match self.shared.with(|protocol| protocol.handle_disconnect(reason)) {
            NextStep::Reconnect => self.delay_unless_stable(was_stable),
            NextStep::AwaitCredential(state) => {
                if matches!(state, ConnectionState::CredentialWanted(_)) {
                    self.delay_unless_stable(was_stable);
                }
                self.shared.set_connection_state(state);
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
            self.not_before = Some(Instant::now() + self.backoff.after_failure(None));
        }
    }

    async fn wait_for_credential(&self) -> WaitResult {
        let ready = async {
            if let Some(not_before) = self.not_before {
                sleep_until(not_before).await;
            }
            let has_credential = |protocol: &mut P| protocol.has_credential().then_some(());
            self.shared.wait_as_task(has_credential).await;
        };
        tokio::select! {
            () = ready => WaitResult::Elapsed,
            () = self.close_requested() => WaitResult::CloseRequested,
        }
    }

    /// Opens a socket. Returns `None` if the application asks to close the channel meanwhile.
    async fn connect(&self) -> Option<Result<Socket, Disconnect>> {
        let attempt = self.backoff.failures() + 1;
        self.shared.set_connection_state(ConnectionState::Connecting { attempt });
        // A hint from before this attempt has no further effect.
        self.shared.take_hint();
        let path = self.shared.with(|protocol| protocol.path());
        let Endpoint { server, connector, timing } = self.endpoint;
        let opening = socket::open(connector.clone(), server, &path, P::SUBPROTOCOL);
        tokio::select! {
            opened = timeout(timing.connect_timeout, opening) => {
                Some(opened.unwrap_or(Err(Disconnect::Failed(Error::TimedOut))))
            }
            () = self.close_requested() => None,
        }
    }

    /// Waits before the next attempt. A hint shortens the wait, but not below the wait that the
    /// server requested.
    async fn wait_before_retry(
        &self,
        reason: Error,
        wait: Duration,
        at_least: Option<Duration>,
    ) -> WaitResult {
        let start = Instant::now();
        let mut until = start + wait;
        self.shared.take_hint();
        self.shared.set_connection_state(ConnectionState::Waiting { reason, retry_in: wait });
        let earliest = start + at_least.unwrap_or_default();
        tokio::select! {
            () = sleep_until(until) => return WaitResult::Elapsed,
            interruption = self.interruption() => match interruption {
                Interruption::CloseRequested => return WaitResult::CloseRequested,
                Interruption::Hint => {
                    let soon = Instant::now() + self.backoff.after_hint();
                    until = until.min(soon.max(earliest));
                }
            },
        }
        // Only the first hint counts: many hints would make a busy loop.
        tokio::select! {
            () = sleep_until(until) => WaitResult::Elapsed,
            () = self.close_requested() => WaitResult::CloseRequested,
        }
    }

    async fn close_requested(&self) {
        self.shared.wait_as_task(|_| self.shared.is_closing().then_some(())).await;
    }

    async fn interruption(&self) -> Interruption {
        self.shared
            .wait_as_task(|_| match (self.shared.is_closing(), self.shared.take_hint()) {
                (true, _) => Some(Interruption::CloseRequested),
                (false, true) => Some(Interruption::Hint),
                (false, false) => None,
            })
            .await
    }
}

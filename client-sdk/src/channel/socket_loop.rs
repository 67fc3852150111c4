//! The loop that owns one socket, from its opening to its end.

use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as WsCloseCode;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::connection_meters::ConnectionGuard;
use super::disconnect::Disconnect;
use super::protocol_state::ProtocolState;
use super::shared_state::{SharedState, change_state};
use super::socket::Socket;
use crate::error::Error;
use crate::net::TransportError;
use crate::state::ConnectionState;
use crate::timing::Timing;

/// The time limit of the closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(900);
/// The maximum number of messages that are handled before the task looks at anything else.
const MAX_MESSAGES_PER_TURN: usize = 256;

/// The loop that owns a socket: it sends the frames of the protocol state, passes received frames
/// to it, and checks that the server still responds.
pub(crate) struct SocketLoop<'a, P> {
    socket: Socket,
    shared: &'a SharedState<P>,
    timing: &'a Timing,
    phase: Phase,
    /// Present from the acceptance of the credential on.
    connection: Option<ConnectionGuard<'a>>,
    /// The time of the first frame or the last ping, until its reply has arrived.
    round_trip_began: Option<Instant>,
    liveness: Liveness,
    /// Set if a hint has had no effect yet.
    is_hinted: bool,
    /// The time from which a hint restarts an attempt that was not accepted yet.
    restart_at: Instant,
    /// The time from which a hint causes a ping. Of many hints only the first one causes one.
    next_probe: Instant,
}

/// The phase of a socket.
#[derive(Clone, Copy)]
enum Phase {
    /// The server has not accepted the credential yet, and must do so before the deadline.
    Authenticating { deadline: Instant },
    /// The server has accepted the credential.
    Authenticated { since: Instant },
}

/// The last message of the server, or the ping that waits for one.
#[derive(Clone, Copy)]
enum Liveness {
    /// The server sent a message at this time, and no ping is pending.
    Received { at: Instant },
    /// A ping was sent at this time and nothing has arrived since. A probe has its own deadline.
    Pinged { at: Instant, probe_deadline: Option<Instant> },
}

/// The end of a socket.
pub(crate) enum SocketEnd {
    /// The application asked to close the channel, and the closing handshake is done.
    CloseRequested,
    /// A hint came before the server had accepted the credential.
    Restarted,
    /// The socket was lost, and the server had accepted the credential for this long.
    Disconnected { reason: Disconnect, authenticated_for: Option<Duration> },
}

/// The reason for which the loop stops.
enum StopReason {
    CloseRequested,
    Restarted,
    Disconnected(Disconnect),
}

impl From<Disconnect> for StopReason {
    fn from(reason: Disconnect) -> Self {
        Self::Disconnected(reason)
    }
}

impl<'a, P: ProtocolState> SocketLoop<'a, P> {
    pub(crate) fn new(
        socket: Socket,
        shared: &'a SharedState<P>,
        timing: &'a Timing,
        deadline: Instant,
        restart_at: Instant,
    ) -> Self {
        let now = Instant::now();
        let (phase, liveness) =
            (Phase::Authenticating { deadline }, Liveness::Received { at: now });
        Self {
            socket,
            shared,
            timing,
            phase,
            connection: None,
            round_trip_began: None,
            liveness,
            is_hinted: false,
            restart_at,
            next_probe: now,
        }
    }

    pub(crate) async fn run(mut self) -> SocketEnd {
        self.shared.with(P::handle_open);
        let stop = loop {
            if let Err(stop) = self.step().await {
                break stop;
            }
        };
        match stop {
            StopReason::CloseRequested => {
                self.close().await;
                SocketEnd::CloseRequested
            }
            StopReason::Restarted => SocketEnd::Restarted,
            // Without a close frame, so that the server keeps the presence for its grace time.
            StopReason::Disconnected(reason) => {
                if self.is_hinted || self.is_probing() {
                    self.shared.keep_hint();
                }
                let authenticated_for = match self.phase {
                    Phase::Authenticating { .. } => None,
                    Phase::Authenticated { since } => Some(since.elapsed()),
                };
                SocketEnd::Disconnected { reason, authenticated_for }
            }
        }
    }

    /// Sends what is due, then waits for the next message, change or deadline.
    async fn step(&mut self) -> Result<(), StopReason> {
        let shared = self.shared;
        let app_update = shared.app_update();
        tokio::pin!(app_update);
        // Registered before the check for due frames, so that no change is missed in between.
        app_update.as_mut().enable();
        self.send_due().await?;
        if self.shared.is_closing() {
            return Err(StopReason::CloseRequested);
        }
        if self.restart_time().is_some_and(|time| Instant::now() >= time) {
            return Err(StopReason::Restarted);
        }
        let next_deadline = self.next_deadline();
        tokio::select! {
            received = self.socket.next() => self.handle_received(received)?,
            () = app_update => {}
            () = sleep_until(next_deadline) => {}
        }
        Ok(self.check_deadlines()?)
    }

    async fn send_due(&mut self) -> Result<(), StopReason> {
        let now = Instant::now();
        self.is_hinted |= self.shared.take_hint();
        if self.shared.with(|protocol| protocol.handle_time(now)) {
            self.shared.notify_app();
        }
        if self.shared.with(|protocol| protocol.take_reconnect_request(now)) {
            return Err(Disconnect::ReconnectRequested.into());
        }
        self.ping_if_due(now).await?;
        while let Some(frame) = self.shared.with(|protocol| protocol.poll_outgoing(now)) {
            if matches!(self.phase, Phase::Authenticating { .. }) {
                self.round_trip_began.get_or_insert(now);
            }
            self.send(Message::text(frame)).await?;
        }
        let (shared, timing) = (self.shared, self.timing);
        write(shared, timing, self.socket.flush()).await
    }

    /// Sends a ping after a hint, or if nothing has arrived for one heartbeat.
    async fn ping_if_due(&mut self, now: Instant) -> Result<(), StopReason> {
        let probes = self.probe_time().is_some_and(|time| now >= time);
        let probe_deadline = match self.liveness {
            Liveness::Pinged { probe_deadline: Some(_), .. } => return Ok(()),
            _ if probes => {
                self.is_hinted = false;
                self.next_probe = now + self.timing.probe_timeout;
                Some(self.next_probe)
            }
            Liveness::Received { at } if now >= at + self.heartbeat() => None,
            Liveness::Received { .. } | Liveness::Pinged { .. } => return Ok(()),
        };
        self.liveness = Liveness::Pinged { at: now, probe_deadline };
        self.round_trip_began = Some(now);
        self.send(Message::Ping(Vec::new().into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), StopReason> {
        let (shared, timing) = (self.shared, self.timing);
        write(shared, timing, self.socket.feed(message)).await
    }

    /// Returns the time at which a hint restarts the attempt, if it does.
    fn restart_time(&self) -> Option<Instant> {
        match self.phase {
            Phase::Authenticating { .. } => self.is_hinted.then_some(self.restart_at),
            Phase::Authenticated { .. } => None,
        }
    }

    /// Returns the time at which a hint causes a ping, if it does.
    fn probe_time(&self) -> Option<Instant> {
        match self.phase {
            Phase::Authenticating { .. } => None,
            Phase::Authenticated { .. } => {
                (self.is_hinted && !self.is_probing()).then_some(self.next_probe)
            }
        }
    }

    fn is_probing(&self) -> bool {
        matches!(self.liveness, Liveness::Pinged { probe_deadline: Some(_), .. })
    }

    /// Handles a message and others that have arrived already, before any reply is sent.
    fn handle_received(
        &mut self,
        received: Option<Result<Message, WsError>>,
    ) -> Result<(), Disconnect> {
        let mut next = Some(received);
        let mut handled = 0;
        while let Some(received) = next {
            match received {
                Some(Ok(message)) => self.handle_message(message)?,
                Some(Err(error)) => return Err(transport_failure(&error)),
                None => return Err(Disconnect::Closed(None)),
            }
            handled += 1;
            // The rest is read after a look at what else is due.
            next = if handled < MAX_MESSAGES_PER_TURN {
                self.socket.next().now_or_never()
            } else {
                None
            };
        }
        Ok(())
    }

    fn handle_message(&mut self, message: Message) -> Result<(), Disconnect> {
        let now = Instant::now();
        self.liveness = Liveness::Received { at: now };
        match message {
            Message::Text(text) => self.handle_frame(&text, now),
            Message::Close(frame) => Err(Disconnect::Closed(
                frame.map(|frame| (frame.code.into(), frame.reason.as_str().to_owned())),
            )),
            Message::Pong(_) => {
                self.end_round_trip(now);
                Ok(())
            }
            Message::Ping(_) | Message::Binary(_) | Message::Frame(_) => Ok(()),
        }
    }

    /// Passes a frame to the protocol state. The first reply that accepts the credential sets the
    /// state of the channel under the same lock.
    fn handle_frame(&mut self, text: &str, now: Instant) -> Result<(), Disconnect> {
        let was_authenticated = matches!(self.phase, Phase::Authenticated { .. });
        let (shared, connection) = (self.shared, &mut self.connection);
        let is_authenticated = shared.update_as_task(|protocol| {
            protocol.handle_frame(text, now)?;
            let is_authenticated = protocol.is_authenticated();
            if is_authenticated && !was_authenticated {
                *connection = Some(shared.meters().count_connection());
                change_state(protocol, ConnectionState::Connected);
            }
            Ok(is_authenticated)
        })?;
        if is_authenticated && !was_authenticated {
            self.phase = Phase::Authenticated { since: now };
            self.end_round_trip(now);
        }
        Ok(())
    }

    fn end_round_trip(&mut self, now: Instant) {
        if let Some(began) = self.round_trip_began.take() {
            self.shared.meters().set_round_trip(now.saturating_duration_since(began));
        }
    }

    fn check_deadlines(&self) -> Result<(), Disconnect> {
        let now = Instant::now();
        let is_late = |deadline: Option<Instant>| deadline.is_some_and(|at| now >= at);
        if is_late(self.authentication_deadline()) || is_late(self.pong_deadline()) {
            return Err(Disconnect::Failed(Error::TimedOut));
        }
        Ok(())
    }

    fn next_deadline(&self) -> Instant {
        let heartbeat = self.next_heartbeat();
        [
            self.authentication_deadline(),
            self.pong_deadline(),
            self.restart_time(),
            self.probe_time(),
            self.shared.with(|protocol| protocol.next_deadline()),
        ]
        .into_iter()
        .flatten()
        .fold(heartbeat, Instant::min)
    }

    fn authentication_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Authenticating { deadline } => Some(deadline),
            Phase::Authenticated { .. } => None,
        }
    }

    /// Returns the time before which the server must have sent something, if a ping is pending.
    fn pong_deadline(&self) -> Option<Instant> {
        match self.liveness {
            Liveness::Received { .. } => None,
            Liveness::Pinged { at, probe_deadline } => {
                let heartbeat = at + self.heartbeat();
                Some(probe_deadline.map_or(heartbeat, |probe| probe.min(heartbeat)))
            }
        }
    }

    fn next_heartbeat(&self) -> Instant {
        match self.liveness {
            Liveness::Received { at } | Liveness::Pinged { at, .. } => at + self.heartbeat(),
        }
    }

    /// Returns the interval of pings: twice as long in the background, to save the battery.
    fn heartbeat(&self) -> Duration {
        self.timing.heartbeat * if self.shared.is_in_background() { 2 } else { 1 }
    }

    async fn close(&mut self) {
        let frame = CloseFrame { code: WsCloseCode::Normal, reason: "".into() };
        let handshake = async {
            self.socket.close(Some(frame)).await?;
            while let Some(Ok(_)) = self.socket.next().await {}
            Ok::<(), WsError>(())
        };
        // The channel ends in any case, whether or not the server has received the close frame.
        drop(timeout(CLOSE_TIMEOUT, handshake).await);
    }
}

/// Waits for a write, which can be endless if the server does not read. After a hint it has the
/// time limit of a probe.
async fn write<P: ProtocolState>(
    shared: &SharedState<P>,
    timing: &Timing,
    writing: impl Future<Output = Result<(), WsError>>,
) -> Result<(), StopReason> {
    let probed = async {
        shared.wait_as_task(|_| shared.is_hinted().then_some(())).await;
        sleep(timing.probe_timeout).await;
    };
    tokio::select! {
        biased;
        written = timeout(timing.connect_timeout, writing) => match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(transport_failure(&error).into()),
            Err(_) => Err(Disconnect::Failed(Error::TimedOut).into()),
        },
        () = shared.close_requested() => Err(StopReason::CloseRequested),
        () = probed => Err(Disconnect::Failed(Error::TimedOut).into()),
    }
}

fn transport_failure(error: &WsError) -> Disconnect {
    Disconnect::Failed(TransportError::new(error).into())
}

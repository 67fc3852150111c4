//! One socket, from its opening to its loss.

use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as WireCode;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::socket::Socket;
use super::{Loss, Shared, Talk};
use crate::error::Error;
use crate::net::Unreachable;
use crate::state::ConnectionState;
use crate::timing::Timing;

/// How long a clean good-bye may take.
const GOOD_BYE: Duration = Duration::from_secs(2);

pub(crate) struct Conversation<'a, T> {
    socket: Socket,
    shared: &'a Shared<T>,
    timing: &'a Timing,
    opened_at: Instant,
    accepted_at: Option<Instant>,
    heard_at: Instant,
    /// A sign of life was asked for.
    pinged_at: Option<Instant>,
    /// A sign of life has to come until then.
    probe_until: Option<Instant>,
}

/// How a conversation ended.
pub(crate) enum Over {
    /// As the application wished.
    AsWished,
    /// The socket was lost, after so long a time in which the server had accepted the credential.
    Lost(Loss, Duration),
}

impl<'a, T: Talk> Conversation<'a, T> {
    pub(crate) fn new(socket: Socket, shared: &'a Shared<T>, timing: &'a Timing) -> Self {
        let now = Instant::now();
        Self {
            socket,
            shared,
            timing,
            opened_at: now,
            accepted_at: None,
            heard_at: now,
            pinged_at: None,
            probe_until: None,
        }
    }

    pub(crate) async fn run(mut self) -> Over {
        self.shared.with(T::on_open);
        loop {
            match self.step().await {
                Ok(()) => {}
                Err(None) => {
                    self.say_good_bye().await;
                    return Over::AsWished;
                }
                Err(Some(loss)) => {
                    let accepted_for = self.accepted_at.map_or(Duration::ZERO, |at| at.elapsed());
                    // No good-bye: the server keeps the presence for its grace time, so nobody notices.
                    return Over::Lost(loss, accepted_for);
                }
            }
        }
    }

    /// Says what there is to say, then waits for the next thing that happens. `Err(None)`: the application closes.
    async fn step(&mut self) -> Result<(), Option<Loss>> {
        let shared = self.shared;
        let bell = shared.bell();
        tokio::pin!(bell);
        // Registered before looking for something to say, so that no ring is missed in between.
        bell.as_mut().enable();
        self.speak().await?;
        if self.shared.is_closing() {
            return Err(None);
        }
        let wakes_at = self.wakes_at();
        tokio::select! {
            heard = self.socket.next() => self.on_heard(heard)?,
            () = bell => {}
            () = sleep_until(wakes_at) => {}
        }
        self.mind_the_time()
    }

    async fn speak(&mut self) -> Result<(), Option<Loss>> {
        let now = Instant::now();
        if self.shared.with(T::wants_another_socket) {
            return Err(Some(Loss::GivenUp));
        }
        if self.shared.take_hint() && self.probe_until.is_none() {
            self.ping(now).await?;
            self.probe_until = Some(now + self.timing.probe_timeout);
        }
        if self.pinged_at.is_none() && now >= self.heard_at + self.heartbeat() {
            self.ping(now).await?;
        }
        while let Some(frame) = self.shared.with(|talk| talk.next_frame(now)) {
            self.send(Message::text(frame)).await?;
        }
        let flushed = timeout(self.timing.connect_timeout, self.socket.flush()).await;
        sent(flushed)
    }

    async fn ping(&mut self, now: Instant) -> Result<(), Option<Loss>> {
        self.pinged_at = Some(now);
        self.send(Message::Ping(Vec::new().into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Option<Loss>> {
        sent(timeout(self.timing.connect_timeout, self.socket.feed(message)).await)
    }

    fn on_heard(&mut self, heard: Option<Result<Message, WsError>>) -> Result<(), Option<Loss>> {
        let mut next = heard;
        // Everything that has come in already, before anything is answered.
        loop {
            let message = match next {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(Some(broken(&error))),
                None => return Err(Some(Loss::Closed(None))),
            };
            self.on_message(message).map_err(Some)?;
            match self.socket.next().now_or_never() {
                Some(more) => next = more,
                None => return Ok(()),
            }
        }
    }

    fn on_message(&mut self, message: Message) -> Result<(), Loss> {
        let now = Instant::now();
        self.heard_at = now;
        (self.pinged_at, self.probe_until) = (None, None);
        match message {
            Message::Text(text) => self.shared.tell(|talk| {
                talk.on_frame(&text, now)?;
                if talk.is_accepted() && self.accepted_at.is_none() {
                    self.accepted_at = Some(now);
                    talk.set_state(ConnectionState::Connected);
                }
                Ok(())
            }),
            Message::Close(frame) => {
                Err(Loss::Closed(frame.map(|f| (f.code.into(), f.reason.as_str().to_owned()))))
            }
            Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => Ok(()),
        }
    }

    fn mind_the_time(&self) -> Result<(), Option<Loss>> {
        let now = Instant::now();
        let too_late = self.accepted_at.is_none() && now >= self.accepted_until()
            || self.probe_until.is_some_and(|until| now >= until)
            || self.pinged_at.is_some_and(|at| now >= at + self.heartbeat());
        if too_late { Err(Some(Loss::Broken(Error::TimedOut))) } else { Ok(()) }
    }

    fn wakes_at(&self) -> Instant {
        let silent_since = self.pinged_at.unwrap_or(self.heard_at);
        [
            Some(silent_since + self.heartbeat()),
            self.accepted_at.is_none().then(|| self.accepted_until()),
            self.probe_until,
            self.shared.with(|talk| talk.wakes_at()),
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(silent_since)
    }

    fn accepted_until(&self) -> Instant {
        self.opened_at + self.timing.connect_timeout
    }

    /// Half as many signs of life out of sight, for the battery.
    fn heartbeat(&self) -> Duration {
        self.timing.heartbeat * if self.shared.is_in_background() { 2 } else { 1 }
    }

    async fn say_good_bye(&mut self) {
        let frame = CloseFrame { code: WireCode::Normal, reason: "".into() };
        let good_bye = async {
            self.socket.close(Some(frame)).await?;
            while let Some(Ok(_)) = self.socket.next().await {}
            Ok::<(), WsError>(())
        };
        // Whether the server heard it or not, this side is done.
        drop(timeout(GOOD_BYE, good_bye).await);
    }
}

fn sent<E>(result: Result<Result<(), WsError>, E>) -> Result<(), Option<Loss>> {
    match result {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Some(broken(&error))),
        Err(_) => Err(Some(Loss::Broken(Error::TimedOut))),
    }
}

fn broken(error: &WsError) -> Loss {
    Loss::Broken(Unreachable::new(error).into())
}

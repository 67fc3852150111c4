//! The task of a channel: connect, converse, come back.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::backoff::Backoff;
use super::conversation::{Conversation, Over};
use super::socket::{self, Socket};
use super::{Loss, Shared, Talk, Verdict};
use crate::error::Error;
use crate::net::Connector;
use crate::server_url::ServerUrl;
use crate::state::{ConnectionState, EndReason};
use crate::timing::Timing;

/// Where to connect to, and how long that may take.
pub(crate) struct Link {
    pub(crate) server: ServerUrl,
    pub(crate) connector: Connector,
    pub(crate) timing: Timing,
}

/// Runs a channel to its end.
pub(crate) async fn run<T: Talk>(shared: Arc<Shared<T>>, link: Link) {
    let backoff = Backoff::new(&link.timing);
    let mut driver = Driver { shared: &shared, link: &link, backoff, not_before: Instant::now() };
    let end = loop {
        let Some(loss) = driver.try_once().await else { break EndReason::Closed };
        if let Some(end) = driver.follow(loss).await {
            break end;
        }
    };
    tracing::info!(%end, "the channel has ended");
    shared.tell(|talk| talk.set_state(ConnectionState::Ended(end)));
}

/// Whether a connection had lasted a stable while when it was lost.
type WasStable = bool;

struct Driver<'a, T> {
    shared: &'a Shared<T>,
    link: &'a Link,
    backoff: Backoff,
    /// Whatever brings a channel back without a wait must not do so in a circle.
    not_before: Instant,
}

impl<T: Talk> Driver<'_, T> {
    /// Connects and converses until the connection is lost; `None` where the application closes.
    async fn try_once(&mut self) -> Option<(Loss, WasStable)> {
        if until_ready(self.shared, self.not_before).await == Wish::Close {
            return None;
        }
        let attempt = self.backoff.failures() + 1;
        let socket = match connect(self.shared, self.link, attempt).await? {
            Ok(socket) => socket,
            Err(loss) => return Some((loss, false)),
        };
        match Conversation::new(socket, self.shared, &self.link.timing).run().await {
            Over::AsWished => None,
            Over::Lost(loss, accepted_for) => {
                Some((loss, accepted_for >= self.link.timing.stable_after))
            }
        }
    }

    /// Does what follows from a loss; an end, where it is one.
    async fn follow(&mut self, (loss, was_stable): (Loss, WasStable)) -> Option<EndReason> {
        tracing::info!(?loss, was_stable, "the connection is lost");
        if was_stable {
            self.backoff.forget();
        }
        match self.shared.with(|talk| talk.on_loss(loss)) {
            Verdict::AtOnce => self.slow_down(was_stable),
            Verdict::Await(state) => {
                if matches!(state, ConnectionState::CredentialWanted(_)) {
                    self.slow_down(was_stable);
                }
                self.shared.tell(|talk| talk.set_state(state));
            }
            Verdict::End(end) => return Some(end),
            Verdict::Retry { reason, at_least } => {
                let wait = self.backoff.after_failure(rand::random(), at_least);
                let wish = pause(self.shared, &self.backoff, reason, wait, at_least).await;
                return (wish == Wish::Close).then_some(EndReason::Closed);
            }
        }
        None
    }

    fn slow_down(&mut self, was_stable: WasStable) {
        if !was_stable {
            self.not_before = Instant::now() + self.backoff.after_failure(rand::random(), None);
        }
    }
}

/// What the application wants.
#[derive(PartialEq, Eq)]
enum Wish {
    GoOn,
    Close,
}

async fn until_ready<T: Talk>(shared: &Shared<T>, not_before: Instant) -> Wish {
    let ready = async {
        sleep_until(not_before).await;
        shared.until_changed(|talk| talk.is_ready().then_some(())).await;
    };
    tokio::select! {
        () = ready => Wish::GoOn,
        () = until_closing(shared) => Wish::Close,
    }
}

async fn until_closing<T: Talk>(shared: &Shared<T>) {
    shared.until_changed(|_| shared.is_closing().then_some(())).await;
}

/// Opens a socket; `None` where the application closes meanwhile.
async fn connect<T: Talk>(
    shared: &Shared<T>,
    link: &Link,
    attempt: u32,
) -> Option<Result<Socket, Loss>> {
    shared.tell(|talk| talk.set_state(ConnectionState::Connecting { attempt }));
    // A hint from before this attempt has done its work.
    shared.take_hint();
    let path = shared.with(|talk| talk.path());
    let opening = socket::open(link.connector.clone(), &link.server, &path, T::SUBPROTOCOL);
    tokio::select! {
        opened = timeout(link.timing.connect_timeout, opening) => {
            Some(opened.unwrap_or(Err(Loss::Broken(Error::TimedOut))))
        }
        () = until_closing(shared) => None,
    }
}

/// Waits before the next attempt. A hint shortens the wait, but not below what the server asked for.
async fn pause<T: Talk>(
    shared: &Shared<T>,
    backoff: &Backoff,
    reason: Error,
    wait: Duration,
    at_least: Option<Duration>,
) -> Wish {
    let begun = Instant::now();
    let mut until = begun + wait;
    shared.take_hint();
    shared.tell(|talk| {
        talk.set_state(ConnectionState::Waiting { reason: reason.clone(), retry_in: wait });
    });
    let shortest = begun + at_least.unwrap_or_default();
    tokio::select! {
        () = sleep_until(until) => return Wish::GoOn,
        wish = hint_or_close(shared) => match wish {
            Wish::Close => return Wish::Close,
            Wish::GoOn => {
                let soon = Instant::now() + backoff.hinted(rand::random());
                until = until.min(soon.max(shortest));
            }
        },
    }
    // Only one hint counts, or many of them would be a busy loop.
    tokio::select! {
        () = sleep_until(until) => Wish::GoOn,
        () = until_closing(shared) => Wish::Close,
    }
}

async fn hint_or_close<T: Talk>(shared: &Shared<T>) -> Wish {
    shared
        .until_changed(|_| match (shared.is_closing(), shared.take_hint()) {
            (true, _) => Some(Wish::Close),
            (false, true) => Some(Wish::GoOn),
            (false, false) => None,
        })
        .await
}

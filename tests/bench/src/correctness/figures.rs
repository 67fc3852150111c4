//! The times until Applications are told, without other load.

use std::sync::Arc;
use std::time::{Duration, Instant};

use presence_tests::{FallibleSocket, SeededRng};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::expectations::Shown;
use super::scene::Scene;
use super::sites::GRACE;
use super::stage::Stage;
use super::watcher::PresenceWatcher;

/// The time after which a server is declared dead that does not show that it lives, with the time
/// until another one notices.
const DEAD_AFTER: Duration = Duration::from_secs(17);
/// The longest time of what takes no waiting.
const SOON: Duration = Duration::from_secs(1);
/// The longest wait for a change.
const LONGEST: Duration = Duration::from_mins(1);

/// A row of times.
#[derive(Debug, Clone)]
pub(crate) struct TimedRow {
    pub(crate) what: &'static str,
    /// The times, sorted.
    pub(crate) times: Vec<Duration>,
    /// The shortest and the longest time that are right.
    pub(crate) bounds: (Duration, Duration),
    /// The number of updates that an Application must not get, and got.
    pub(crate) unwanted: u64,
}

impl TimedRow {
    fn new(what: &'static str, mut times: Vec<Duration>, bounds: (Duration, Duration)) -> Self {
        times.sort_unstable();
        Self { what, times, bounds, unwanted: 0 }
    }

    /// Returns the time that this part of the times does not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let place = (self.times.len() * percent).div_ceil(100).saturating_sub(1);
        self.times.get(place).copied().unwrap_or_default()
    }

    /// Judges no long time: that of a busy machine.
    pub(crate) fn without_longest(mut self) -> Self {
        self.bounds.1 = LONGEST;
        self
    }

    pub(crate) fn is_right(&self) -> bool {
        let (shortest, longest) = self.bounds;
        self.unwanted == 0 && self.times.iter().all(|time| (shortest..=longest).contains(time))
    }
}

/// Measures all rows. The servers have no other load.
pub(crate) async fn measure(
    stage: &mut Stage,
    samples: usize,
    rng: &mut SeededRng,
) -> Vec<TimedRow> {
    let users = samples.min(stage.scene.expectations.users());
    let mut rows = vec![
        closes(stage, samples).await,
        losses(stage, users).await,
        returns(stage, users, rng).await,
    ];
    if stage.sites.all.len() > 1 {
        rows.push(kill(stage, users).await);
    }
    rows
}

/// A device closes its socket: the time until each Application is told.
async fn closes(stage: &Stage, samples: usize) -> TimedRow {
    let mut times = Vec::new();
    for sample in 0..samples {
        let user = sample % stage.scene.expectations.users();
        let shown = Shown::Online(sample as u64 + 1);
        let socket = connect(&stage.scene, user, sample, shown).await;
        until(&stage.watchers, user, shown, Instant::now()).await;
        let begun = Instant::now();
        let ((), told) =
            tokio::join!(socket.close(), until(&stage.watchers, user, Shown::Offline, begun));
        times.extend(told);
    }
    TimedRow::new("a device closes its socket → offline", times, (Duration::ZERO, SOON))
}

/// Connections break: the time until each Application is told.
async fn losses(stage: &Stage, users: usize) -> TimedRow {
    let shown = Shown::Online(1_000_000);
    let sockets = connect_all(stage, users, shown, 0).await;
    let mut lost = Vec::new();
    for socket in sockets {
        drop(socket);
        lost.push(Instant::now());
    }
    let mut times = Vec::new();
    for (user, lost_at) in lost.into_iter().enumerate() {
        times.extend(until(&stage.watchers, user, Shown::Offline, lost_at).await);
    }
    TimedRow::new("a connection breaks → offline", times, (GRACE, GRACE + SOON))
}

/// Devices whose connections broke return within the grace time, also at other servers: no
/// Application is told anything.
async fn returns(stage: &Stage, users: usize, rng: &mut SeededRng) -> TimedRow {
    let shown = Shown::Online(2_000_000);
    let sockets = connect_all(stage, users, shown, 0).await;
    let before = stage.updates();
    let mut returning = JoinSet::new();
    for (user, socket) in sockets.into_iter().enumerate() {
        drop(socket);
        let scene = Arc::clone(&stage.scene);
        let most = usize::try_from(GRACE.as_millis() / 2).unwrap();
        let pause = Duration::from_millis(u64::try_from(rng.below(most)).unwrap());
        returning.spawn(async move {
            sleep(pause).await;
            connect(&scene, user, user + 1, shown).await
        });
    }
    let sockets = returning.join_all().await;
    sleep(GRACE + SOON).await;
    let told = stage.updates() - before;
    close_all(stage, sockets).await;
    let what = "a device returns within the grace time → nothing";
    TimedRow { unwanted: told, ..TimedRow::new(what, Vec::new(), (Duration::ZERO, GRACE)) }
}

/// A server is killed: the time until each Application is told by the other servers, once.
async fn kill(stage: &mut Stage, users: usize) -> TimedRow {
    let shown = Shown::Online(3_000_000);
    let sockets = connect_all(stage, users, shown, 1).await;
    // The sockets of Applications at the killed server end with it.
    let watchers = &stage.watchers[super::scene::APPS..];
    let departures = |watcher: &Arc<PresenceWatcher>| -> u64 {
        watcher.record.lock().unwrap().users.iter().map(|seen| seen.departures).sum()
    };
    let before: u64 = watchers.iter().map(departures).sum();
    let begun = Instant::now();
    stage.sites.all[0].server.kill().await;
    let mut times = Vec::new();
    for user in 0..users {
        times.extend(until(watchers, user, Shown::Offline, begun).await);
    }
    let wanted = (users * watchers.len()) as u64;
    let told = watchers.iter().map(departures).sum::<u64>() - before;
    drop(sockets);
    stage.sites.all[0].server.restart_in_place().await;
    for user in 0..users {
        until(&stage.watchers, user, Shown::Offline, Instant::now()).await;
    }
    let row = TimedRow::new("a server is killed → offline", times, (GRACE, DEAD_AFTER + GRACE));
    TimedRow { unwanted: told.abs_diff(wanted), ..row }
}

/// Connects a device of each user: to the servers in turn, or to the first ones only.
async fn connect_all(
    stage: &Stage,
    users: usize,
    shown: Shown,
    servers: usize,
) -> Vec<FallibleSocket> {
    let servers = if servers == 0 { stage.scene.doors.len() } else { servers };
    let mut sockets = Vec::new();
    for user in 0..users {
        sockets.push(connect(&stage.scene, user, user % servers, shown).await);
    }
    for user in 0..users {
        until(&stage.watchers, user, shown, Instant::now()).await;
    }
    sockets
}

async fn close_all(stage: &Stage, sockets: Vec<FallibleSocket>) {
    let users = sockets.len();
    let closing: JoinSet<()> = sockets.into_iter().map(FallibleSocket::close).collect();
    closing.join_all().await;
    for user in 0..users {
        until(&stage.watchers, user, Shown::Offline, Instant::now()).await;
    }
}

/// Connects a device that reports.
async fn connect(scene: &Scene, user: usize, door: usize, shown: Shown) -> FallibleSocket {
    let address = scene.doors[door % scene.doors.len()];
    let mut socket = FallibleSocket::open(address, "/presence", false).await.unwrap();
    let mut hello = shown.frame(1);
    hello["token"] = scene.tokens[user].clone().into();
    hello["device"] = "phone".into();
    socket.send(&hello).await.unwrap();
    let answer = socket.receive_soon().await.unwrap();
    assert_eq!(answer["result"], "OK", "{answer}");
    socket
}

/// Waits until all sockets of Applications show a user so, and returns the time of each.
async fn until(
    watchers: &[Arc<PresenceWatcher>],
    user: usize,
    shown: Shown,
    since: Instant,
) -> Vec<Duration> {
    let mut times = Vec::with_capacity(watchers.len());
    for watcher in watchers {
        loop {
            let seen = watcher.record.lock().unwrap().users[user];
            if seen.shown == shown {
                times.push(seen.at.saturating_duration_since(since));
                break;
            }
            assert!(since.elapsed() < LONGEST, "user {user} is not {shown:?} but {seen:?}");
            sleep(Duration::from_millis(1)).await;
        }
    }
    times
}

//! A round: traffic, a fault, traffic, and then a rest in which everything must be right.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use presence_tests::SeededRng;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::expectations::Shown;
use super::fault::Fault;
use super::scene::{APPS, Phase, Scene};
use super::sites::GRACE;
use super::stage::Stage;
use super::watcher::{PresenceWatcher, ToldVersions, snapshot};

/// The time in which all are back after a fault.
const BACK: Duration = Duration::from_mins(1);
/// The time in which all updates have arrived once nothing changes any more.
const ARRIVED: Duration = Duration::from_secs(30);
/// The time between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// The time between two snapshots that are compared with the streams.
const SNAPSHOTS: Duration = Duration::from_millis(300);

/// The counts of a round. All from `wrong` on must be 0.
#[derive(Debug, Clone, Default)]
pub(crate) struct RoundCounts {
    pub(crate) fault: &'static str,
    pub(crate) changes: u64,
    pub(crate) updates: u64,
    /// The time from the last change until everything was right.
    pub(crate) right_after: Duration,
    /// Users who are shown otherwise than their devices were answered, at the end.
    pub(crate) wrong: u64,
    /// Users whose last change a socket was not told.
    pub(crate) missed: u64,
    /// Updates that repeat what was told, or are older.
    pub(crate) doubled: u64,
    /// Reports and notifications that were answered with OK and are lost.
    pub(crate) lost: u64,
    /// Times that a user was shown as offline who was not away.
    pub(crate) flaps: u64,
    /// Versions that were told in two ways.
    pub(crate) contradictions: u64,
    /// Answers that no client expects.
    pub(crate) unexpected: u64,
}

impl RoundCounts {
    pub(crate) fn faults(&self) -> u64 {
        let Self { wrong, missed, doubled, lost, flaps, contradictions, unexpected, .. } = self;
        wrong + missed + doubled + lost + flaps + contradictions + unexpected
    }
}

impl Stage {
    /// Runs a round.
    pub(crate) async fn round(
        &mut self,
        fault: Fault,
        traffic: Duration,
        rng: &mut SeededRng,
    ) -> RoundCounts {
        let before = (self.scene.expectations.changes(), self.updates());
        self.scene.phase.send_replace(Phase::Traffic);
        let mut comparing = JoinSet::new();
        comparing.spawn(compare(Arc::clone(&self.scene), Arc::clone(&self.told), rng.another()));
        sleep(traffic).await;
        let scene = Arc::clone(&self.scene);
        fault.happen(&mut self.sites, &scene, rng).await;
        sleep(traffic).await;
        comparing.abort_all();
        let counts = RoundCounts {
            fault: fault.name(),
            changes: self.scene.expectations.changes() - before.0,
            ..RoundCounts::default()
        };
        self.scene.phase.send_replace(Phase::Rest);
        let mut counts = self.look(counts).await;
        counts.updates = self.updates() - before.1;
        counts
    }

    /// Waits until nothing changes any more, and looks at everything.
    async fn look(&self, mut counts: RoundCounts) -> RoundCounts {
        let begun = Instant::now();
        let is_right = || {
            let expectations = &self.scene.expectations;
            expectations.are_certain()
                && expectations.undelivered() == 0
                && self.watchers.iter().all(|watcher| watcher.is_right())
        };
        wait_for(BACK, || self.scene.expectations.are_certain()).await;
        wait_for(ARRIVED, is_right).await;
        counts.right_after = begun.elapsed();
        // Nothing changes later, such as by a grace time that was not ended by the return.
        sleep(GRACE + Duration::from_secs(2)).await;
        self.count_users(&mut counts).await;
        counts.lost += self.scene.expectations.undelivered();
        self.scene.expectations.forget_undelivered();
        for watcher in &self.watchers {
            counts.doubled += std::mem::take(&mut watcher.record.lock().unwrap().doubled);
            counts.flaps += self.flaps(watcher);
        }
        let users = 0..self.scene.expectations.users();
        users.for_each(|user| self.scene.expectations.change(user, |it| it.departures = 0));
        counts.contradictions = self.told.iter().map(ToldVersions::take_contradictions).sum();
        let unexpected = self.scene.expectations.take_unexpected();
        counts.unexpected = unexpected.values().sum();
        unexpected.iter().for_each(|(answer, times)| eprintln!("{times} × {answer}"));
        counts
    }

    /// Counts the users who are shown wrongly: to new sockets, and to those that are open.
    async fn count_users(&self, counts: &mut RoundCounts) {
        let expectations = &self.scene.expectations;
        for (site, address) in self.scene.servers.iter().enumerate() {
            for app in 0..APPS {
                let Some(shown) = snapshot_once_back(&self.scene, (app, *address)).await else {
                    eprintln!("server {site} shows nothing to application {app}");
                    counts.wrong += expectations.users() as u64;
                    continue;
                };
                for user in 0..expectations.users() {
                    let shown = shown.get(&user).map_or(Shown::Offline, |(_, shown)| *shown);
                    let expected = expectations.of(user);
                    if shown != expected.shown {
                        counts.wrong += 1;
                        eprintln!("user {user} at server {site}: {shown:?}, not {expected:?}");
                    }
                }
            }
        }
        for (place, watcher) in self.watchers.iter().enumerate() {
            let wrong = watcher.wrong();
            counts.missed += wrong.len() as u64;
            for user in wrong.iter().take(3) {
                let shown = watcher.record.lock().unwrap().users[*user].shown;
                let expected = expectations.of(*user);
                eprintln!("user {user} at socket {place}: {shown:?}, not {expected:?}");
            }
        }
    }

    /// Counts the times that users were shown as offline who were not away.
    fn flaps(&self, watcher: &PresenceWatcher) -> u64 {
        let mut record = watcher.record.lock().unwrap();
        let mut flaps = 0;
        for (user, seen) in record.users.iter_mut().enumerate() {
            let allowed = self.scene.expectations.of(user).departures;
            flaps += std::mem::take(&mut seen.departures).saturating_sub(allowed);
        }
        flaps
    }
}

/// Returns what a fresh socket of an Application is shown. Connects again if the socket ends, as a
/// client does: a server closes its sockets once it notices that PostgreSQL has emptied the live
/// tables. Returns `None` if nothing is shown within the time in which all are back.
async fn snapshot_once_back(
    scene: &Scene,
    to: (usize, SocketAddr),
) -> Option<HashMap<usize, (u64, Shown)>> {
    let shown = async {
        loop {
            if let Ok(shown) = snapshot(scene, to).await {
                return shown;
            }
            sleep(LOOK).await;
        }
    };
    timeout(BACK, shown).await.ok()
}

/// Compares snapshots with what streams tell, until it is aborted.
async fn compare(scene: Arc<Scene>, told: Arc<[ToldVersions; APPS]>, mut rng: SeededRng) {
    loop {
        sleep(SNAPSHOTS).await;
        let app = rng.below(told.len());
        let Ok(users) = snapshot(&scene, (app, *rng.pick(&scene.servers))).await else { continue };
        for (user, (version, shown)) in users {
            told[app].record(user, version, shown);
        }
    }
}

async fn wait_for(longest: Duration, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() && begun.elapsed() < longest {
        sleep(LOOK).await;
    }
}

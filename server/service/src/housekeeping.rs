//! What time alone asks of the service.

use std::time::Duration;

use presence_store::StoreError;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::presence::Presence;

impl Presence {
    /// Keeps house until it is told to stop: grace times, and apart from them, since the database may be slow, what the tables
    /// want.
    pub async fn keep_house(&self, stop: CancellationToken) {
        tokio::join!(self.keep_time(&stop), self.keep_tables(&stop));
    }

    async fn keep_time(&self, stop: &CancellationToken) {
        let mut often = every(Duration::from_millis(100));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = often.tick() => self.hub.tick(),
            }
        }
    }

    async fn keep_tables(&self, stop: &CancellationToken) {
        let mut often = every(Duration::from_millis(100));
        let mut each_second = every(Duration::from_secs(1));
        let mut seldom = every(Duration::from_mins(1));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = often.tick() => self.release().await,
                _ = each_second.tick() => {
                    self.expire().await;
                    self.note_devices().await;
                }
                _ = seldom.tick() => self.tidy().await,
            }
        }
    }

    async fn release(&self) {
        for (app, puid) in self.hub.take_releases() {
            let released = self.writer.release(app, puid).await;
            if or_logged("receipts stay withheld", released).is_none() {
                self.hub.withhold(app, puid);
            }
        }
    }

    async fn expire(&self) {
        or_logged("notifications could not be expired", self.writer.expire().await);
    }

    /// Has the tables remember that devices are connected, before the first of them is told that it is: a run after a crash
    /// then knows that they will be back. Who comes while the first is being noted does not wait.
    pub(crate) async fn note_arrival(&self) {
        if let Ok(mut noted) = self.noted.try_lock()
            && *noted != Some(true)
        {
            self.note(true, &mut noted).await;
        }
    }

    async fn note_devices(&self) {
        let connected = self.connected_devices() > 0;
        if !connected && self.is_warming_up() {
            return;
        }
        let mut noted = self.noted.lock().await;
        if *noted != Some(connected) {
            self.note(connected, &mut noted).await;
        }
    }

    async fn note(&self, connected: bool, noted: &mut Option<bool>) {
        let stored = self.store.set_devices_connected(connected).await;
        if or_logged("connected devices could not be noted", stored).is_some() {
            *noted = Some(connected);
        }
    }

    async fn tidy(&self) {
        let now = self.now();
        self.rates.tidy();
        for (app, room) in self.hub.rooms() {
            room.prune(now);
            if let Some(at) = room.last_looked_at(now) {
                or_logged("a look was not noted", self.store.touch_app(app, at).await);
            }
        }
        or_logged("what has expired could not be purged", self.store.purge(now).await);
    }
}

/// What was done, or a line in the log that it was not.
fn or_logged<T>(what: &'static str, done: Result<T, StoreError>) -> Option<T> {
    done.inspect_err(|error| tracing::warn!(%error, what, "housekeeping")).ok()
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

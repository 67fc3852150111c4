//! What time alone asks of the service.

use std::time::Duration;

use presence_store::StoreError;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::presence::Presence;

impl Presence {
    /// Keeps house until it is told to stop: grace times, expiries, and the note that devices are connected.
    pub async fn keep_house(&self, stop: CancellationToken) {
        let mut often = every(Duration::from_millis(100));
        let mut each_second = every(Duration::from_secs(1));
        let mut seldom = every(Duration::from_mins(1));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = often.tick() => self.look_at_deadlines().await,
                () = self.hub.first_device() => self.note_devices().await,
                _ = each_second.tick() => {
                    self.expire().await;
                    self.note_devices().await;
                }
                _ = seldom.tick() => self.tidy().await,
            }
        }
    }

    async fn look_at_deadlines(&self) {
        self.hub.tick();
        for (app, puid) in self.hub.take_releases() {
            let released = self.writer.release(app, puid).await;
            if noted("receipts stay withheld", released).is_none() {
                self.hub.withhold(app, puid);
                return;
            }
        }
    }

    async fn expire(&self) {
        noted("notifications could not be expired", self.writer.expire().await);
    }

    /// Has the tables remember that devices are connected, before the first of them is told that it is: a run after a crash
    /// then knows that they will be back.
    pub(crate) async fn note_arrival(&self) {
        if *self.noted.read().await != Some(true) {
            self.note_devices().await;
        }
    }

    async fn note_devices(&self) {
        let mut known = self.noted.write().await;
        let connected = self.connected_devices() > 0;
        if *known == Some(connected) || (!connected && self.is_warming_up()) {
            return;
        }
        let stored = self.store.set_devices_connected(connected).await;
        if noted("connected devices could not be noted", stored).is_some() {
            *known = Some(connected);
        }
    }

    async fn tidy(&self) {
        let now = self.now();
        self.rates.tidy();
        for (app, room) in self.hub.rooms() {
            room.prune(now);
            if let Some(at) = room.last_looked_at(now) {
                noted("a look was not noted", self.store.touch_app(app, at).await);
            }
        }
        noted("what has expired could not be purged", self.store.purge(now).await);
    }
}

/// What was done, or a line in the log that it was not.
fn noted<T>(what: &'static str, done: Result<T, StoreError>) -> Option<T> {
    done.inspect_err(|error| tracing::warn!(%error, what, "housekeeping")).ok()
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

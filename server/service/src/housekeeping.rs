//! What time alone asks of the service.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::presence::Presence;

impl Presence {
    /// Keeps house until it is told to stop: grace times, expiries, and the note that devices are connected.
    pub async fn keep_house(&self, stop: CancellationToken) {
        let mut often = every(Duration::from_millis(100));
        let mut each_second = every(Duration::from_secs(1));
        let mut seldom = every(Duration::from_mins(1));
        let mut noted = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = often.tick() => self.look_at_deadlines().await,
                _ = each_second.tick() => {
                    self.expire().await;
                    self.note_devices(&mut noted).await;
                }
                _ = seldom.tick() => self.tidy().await,
            }
        }
    }

    async fn look_at_deadlines(&self) {
        self.hub.tick();
        for (app, puid) in self.hub.take_releases() {
            if let Err(error) = self.writer.release(app, puid).await {
                tracing::warn!(%error, "receipts stay withheld");
                self.hub.withhold(app, puid);
                return;
            }
        }
    }

    async fn expire(&self) {
        match self.writer.expire().await {
            Ok(0) => {}
            Ok(expired) => tracing::debug!(expired, "notifications expired"),
            Err(error) => tracing::warn!(%error, "notifications could not be expired"),
        }
    }

    /// Has the tables remember whether devices are connected, so that a run after a crash knows that they will be back.
    async fn note_devices(&self, noted: &mut Option<bool>) {
        let connected = self.connected_devices() > 0;
        if *noted == Some(connected) || (!connected && self.is_warming_up()) {
            return;
        }
        match self.store.set_devices_connected(connected).await {
            Ok(()) => *noted = Some(connected),
            Err(error) => tracing::warn!(%error, "connected devices could not be noted"),
        }
    }

    async fn tidy(&self) {
        let now = self.now();
        self.rates.tidy();
        for (app, room) in self.hub.rooms() {
            room.prune(now);
            let Some(at) = room.last_looked_at(now) else { continue };
            if let Err(error) = self.store.touch_app(app, at).await {
                tracing::debug!(%error, "a look was not noted");
            }
        }
        if let Err(error) = self.store.purge(now).await {
            tracing::warn!(%error, "what has expired could not be purged");
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

//! Periodic maintenance: ends grace times and holds of receipts, writes settlements, expires
//! notifications, and removes old data.

use std::sync::Arc;
use std::time::Duration;

use presence_core::Clock;
use presence_store::{Store, UsedThing, Writer};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::errors::or_logged;
use crate::hub::Hub;
use crate::presence_flag::PresenceFlag;
use crate::uses::UseLog;

/// The maintenance of the hub and of the database.
pub(crate) struct Maintenance {
    store: Store,
    writer: Writer,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    presence_flag: Arc<PresenceFlag>,
    uses: Arc<UseLog>,
    /// The mean time between two writes of the settlements.
    settle_interval: Duration,
}

impl Maintenance {
    pub(crate) fn new(
        (store, writer): (Store, Writer),
        hub: Arc<Hub>,
        clock: Arc<dyn Clock>,
        (presence_flag, uses): (Arc<PresenceFlag>, Arc<UseLog>),
        settle_interval: Duration,
    ) -> Self {
        Self { store, writer, hub, clock, presence_flag, uses, settle_interval }
    }

    /// Writes the noted settlements from time to time, until `stop`. The time is random, and does
    /// not depend on whether there are any.
    pub(crate) async fn write_settlements(&self, stop: &CancellationToken) {
        loop {
            let wait = self.settle_interval.mul_f64(rand::random_range(0.5..1.5));
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(wait) => {
                    let problem = "settlements could not be written";
                    or_logged(problem, self.writer.expire().await);
                    if let Hub::Shared(hub) = &*self.hub {
                        hub.release_receipts().await;
                    }
                }
            }
        }
    }

    /// Ends grace times and other deadlines of the hub, until `stop`. The hub and the database are
    /// maintained independently, since the database may be slow.
    pub(crate) async fn maintain_hub(&self, stop: &CancellationToken) {
        let hub = match &*self.hub {
            Hub::Local(hub) => hub,
            Hub::Shared(hub) => return hub.run(stop).await,
        };
        let mut ticks = every(Duration::from_millis(100));
        let mut each_second = every(Duration::from_secs(1));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => hub.tick(),
                _ = each_second.tick() => hub.trim_streams(),
            }
        }
    }

    /// Expires notifications and removes old data, until `stop`. Calls `prune` once a minute.
    pub(crate) async fn maintain_database(&self, stop: &CancellationToken, prune: impl Fn()) {
        let mut each_second = every(Duration::from_secs(1));
        let mut each_minute = every(Duration::from_mins(1));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = each_second.tick() => {
                    self.persist_presence_flag().await;
                    or_logged("uses could not be recorded", self.uses.write(&self.store).await);
                }
                _ = each_minute.tick() => {
                    prune();
                    self.remove_expired().await;
                }
            }
        }
    }

    async fn persist_presence_flag(&self) {
        let connected = self.hub.connected_devices() > 0;
        if connected || !self.hub.is_warming_up() {
            self.presence_flag.persist(connected).await;
        }
    }

    /// Removes log entries that are too old from the streams, and expired rows from the database.
    async fn remove_expired(&self) {
        let now = self.clock.now();
        for (app, topic) in self.hub.topics() {
            topic.prune(now);
            if let Some(at) = topic.last_check() {
                self.uses.note(UsedThing::App(app), at);
            }
        }
        or_logged("expired rows could not be removed", self.store.purge(now).await);
        let revoked = self.writer.revoke_waiting().await;
        or_logged("grants for former domains could not be revoked", revoked);
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

#[cfg(test)]
mod tests {
    use presence_core::model::{ApplicationState, Email, Grant, GrantSet, Scope, Session};
    use presence_core::stream::Stream;
    use presence_core::{EndedDevices, ManualClock, UnixMillis, View};
    use presence_protocol::{AppId, DeviceName, Puid, Status};
    use presence_store::SessionLimit;

    use super::*;
    use crate::hub::HubLimits;
    use crate::hub::local::LocalHub;
    use crate::hub::local::notifier::HubNotifier;
    use crate::mailbox::Mailbox;
    use crate::testing;

    const NOW: UnixMillis = UnixMillis::new(1_800_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);
    const MILLISECOND: Duration = Duration::from_millis(1);
    const APP: AppId = AppId::from_bits(1);

    async fn maintenance(directory: &std::path::Path, clock: Arc<dyn Clock>) -> Maintenance {
        let url = format!("sqlite://{}/t.db?mode=rwc", directory.display());
        let store = Store::open(&url, clock.now()).await.unwrap();
        let limits = HubLimits::from(&testing::settings());
        let warm_up_ends_at = clock.steady();
        let hub = LocalHub::new(Arc::clone(&clock), limits, store.epoch(), warm_up_ends_at);
        let hub = Arc::new(hub);
        let notifier = Arc::new(HubNotifier(Arc::clone(&hub)));
        let hub = Arc::new(Hub::Local(hub));
        let (writer, _task) = Writer::new(&store, notifier, Arc::clone(&clock));
        let flag = Arc::new(PresenceFlag::new(store.clone()));
        Maintenance::new((store, writer), hub, clock, (flag, Arc::default()), HOUR)
    }

    #[tokio::test]
    async fn old_updates_and_expired_sessions_are_removed_without_being_read() {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(NOW));
        let maintenance = maintenance(directory.path(), Arc::<ManualClock>::clone(&clock)).await;
        let store = &maintenance.store;
        let Hub::Local(hub) = &*maintenance.hub else { panic!("not shared") };
        let email = Email::parse("alice@mail.example").unwrap();
        let user = store.find_or_create_user(&email, NOW).await.unwrap();
        let session = Session {
            digest: [1; 32],
            user,
            scope: Scope::Account,
            created_at: NOW,
            expires_at: NOW + HOUR + MILLISECOND,
            generation: None,
            ended_devices: EndedDevices::default(),
        };
        let limit = SessionLimit { max: 9, last_use: &|_| None };
        store.insert_session(&session, limit).await.unwrap();
        let topic = hub.topic(APP, ApplicationState::Active);
        let mailbox = Arc::new(Mailbox::new(Arc::default(), [1; 32]));
        let connection = hub.connect(user, DeviceName::default(), &mailbox).unwrap();
        let grant = Grant {
            app: APP,
            puid: Puid::from_bits(2),
            paused: false,
            waiting: false,
            granted_at: NOW,
        };
        hub.set_grants(user, GrantSet { revision: 1, grants: vec![grant] }, &[]);
        connection.report(View::new(Status::Online, None), None);

        clock.advance(HOUR);
        maintenance.remove_expired().await;
        assert_eq!(topic.read(Stream::log_len), 1);
        assert!(store.session_with_email([1; 32], NOW).await.unwrap().is_some());
        clock.advance(MILLISECOND);
        maintenance.remove_expired().await;
        assert_eq!(topic.read(Stream::log_len), 0);
        assert!(store.session_with_email([1; 32], NOW).await.unwrap().is_none());
    }
}

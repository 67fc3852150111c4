//! What time alone asks of the service.

use std::time::Duration;

use presence_store::StoreError;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::service::PresenceService;

impl PresenceService {
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
        let mut each_second = every(Duration::from_secs(1));
        let mut seldom = every(Duration::from_mins(1));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = each_second.tick() => {
                    self.expire().await;
                    self.note_devices().await;
                }
                _ = seldom.tick() => self.tidy().await,
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
        for (app, room) in self.hub.topics() {
            room.prune(now);
            if let Some(at) = room.last_access(now) {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use presence_core::model::{ApplicationState, Email, Grant, GrantSet, Scope, Session};
    use presence_core::stream::{Retention, Stream};
    use presence_core::{ManualClock, UnixMillis, View};
    use presence_identity::Dispatcher;
    use presence_identity::fetch::{GuardOptions, GuardedClient};
    use presence_protocol::{AppId, DeviceName, Puid, Status};

    use super::*;
    use crate::mailbox::Mailbox;
    use crate::service::ServiceParts;
    use crate::settings::{Rate, ServiceSettings, TextLimits};

    const NOW: UnixMillis = UnixMillis::new(1_800_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);
    const MILLISECOND: Duration = Duration::from_millis(1);
    const APP: AppId = AppId::from_bits(1);

    fn settings() -> ServiceSettings {
        let rate = Rate { burst: 1, per_second: 1 };
        ServiceSettings {
            development: false,
            session: HOUR,
            session_ends_with_assertion: false,
            grace: Duration::ZERO,
            warm_up: Duration::ZERO,
            sockets_per_user: 1,
            sockets_per_app: 1,
            apps_per_developer: 1,
            kept: Retention { entries: 100, age: HOUR },
            status_rate: rate,
            notify_rate: rate,
            connect_rate: rate,
            commit_group: 1,
            sign_in_rate: rate,
            failure_rate: rate,
            texts: TextLimits { name: 1, description: 1, domain: 1 },
            domain_http: false,
            action_schemes: Vec::new(),
        }
    }

    #[tokio::test]
    async fn what_is_too_old_is_forgotten_though_nobody_asks() {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(NOW));
        let shared = Arc::<ManualClock>::clone(&clock);
        let (presence, _writer) = PresenceService::open(ServiceParts {
            database: &format!("sqlite://{}/t.db?mode=rwc", directory.path().display()),
            verifier: Arc::new(Dispatcher::new()),
            fetch: GuardedClient::new(GuardOptions::default()).unwrap(),
            clock: shared,
            settings: settings(),
        })
        .await
        .unwrap();
        let email = Email::parse("alice@mail.example").unwrap();
        let user = presence.store.find_or_create_user(&email, NOW).await.unwrap();
        let session = Session {
            digest: [1; 32],
            user,
            scope: Scope::Account,
            created_at: NOW,
            expires_at: NOW + HOUR + MILLISECOND,
            generation: None,
        };
        presence.store.insert_session(&session).await.unwrap();
        let room = presence.hub.topic(APP, ApplicationState::Active);
        let mailbox = Arc::new(Mailbox::new(Arc::default(), [1; 32]));
        let seat = presence.hub.connect(user, DeviceName::default(), mailbox).unwrap();
        let grant = Grant { app: APP, puid: Puid::from_bits(2), paused: false, granted_at: NOW };
        presence.hub.set_grants(user, GrantSet { revision: 1, grants: vec![grant] }, &[]);
        seat.report(View::new(Status::Online, None), None);

        clock.advance(HOUR);
        presence.tidy().await;
        assert_eq!(room.read(Stream::log_len), 1);
        assert!(presence.store.session(&[1; 32], NOW).await.unwrap().is_some());
        clock.advance(MILLISECOND);
        presence.tidy().await;
        assert_eq!(room.read(Stream::log_len), 0);
        assert!(presence.store.session(&[1; 32], NOW).await.unwrap().is_none());
    }
}

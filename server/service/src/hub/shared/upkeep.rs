//! The work that falls due: grace times, receipts, old entries. Every server does it, and the
//! database lets each thing be done once.

use std::sync::Arc;
use std::time::Duration;

use presence_core::UserId;
use presence_protocol::AppId;
use presence_store::StoreError;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;

use super::SharedHub;
use super::change::Change;
use crate::errors::or_logged;
use crate::hub::topic::Topic;

/// The time between two looks for grace times that are over.
const TICK: Duration = Duration::from_millis(250);
/// The maximum number of users whose grace times end together.
const USERS: u64 = 500;
/// The time between two removals of old entries.
const TRIM: Duration = Duration::from_secs(10);
/// The time after which the row of an offline user is removed.
const OFFLINE_ROWS: Duration = Duration::from_hours(24);
/// The time for which notes are kept. Who was away for longer looks everywhere.
const NOTES_KEPT: Duration = Duration::from_mins(5);
/// The time that a server waits for its connections to end, after the request to stop.
const LEAVE: Duration = Duration::from_mins(2);

impl SharedHub {
    /// Does all that this hub does in the background, until `stop` and the end of the last
    /// connection.
    pub(crate) async fn run(self: &Arc<Self>, stop: &CancellationToken) {
        let work = async {
            tokio::join!(
                self.run_lane(),
                self.run_attention(),
                self.run_membership(),
                self.run_ticks(),
                self.run_trims(),
                self.run_sight(),
                self.run_full_looks(),
                self.checks.run(&self.live),
            );
        };
        let end = async {
            stop.cancelled().await;
            self.draining.cancel();
            or_logged("the stop is not announced", self.live.drain(self.identity().node).await);
            let ended = async {
                while self.registry.connections() > 0 || !self.lane.is_empty() {
                    sleep(Duration::from_millis(20)).await;
                }
            };
            let is_in_time = tokio::time::timeout(LEAVE, ended).await.is_ok();
            or_logged("checks are not written", self.checks.write(&self.live).await);
            // The others end the connections that this server could not end.
            if is_in_time {
                self.leave().await;
            }
        };
        tokio::select! {
            biased;
            () = work => {}
            () = end => {}
        }
    }

    /// Gives the receipts that are due.
    pub(crate) async fn release_receipts(&self) {
        let hold = self.settings.limits.receipt_hold;
        let count = |state, count| self.count_receipts(state, count);
        or_logged("receipts are not released", self.live.release_receipts(hold, count).await);
    }

    async fn run_ticks(&self) {
        let mut ticks = interval(TICK);
        loop {
            ticks.tick().await;
            or_logged("grace times are not ended", self.end_grace_times().await);
            self.announce_moved().await;
            let delay = self.settings.limits.update_delay;
            if !delay.is_zero() {
                or_logged("changes wait too long", self.live.show_waiting(delay).await);
            }
        }
    }

    async fn end_grace_times(&self) -> Result<(), StoreError> {
        let users: Vec<UserId> = self.live.due_users(self.time.now(), USERS).await?;
        let ticks: Vec<_> =
            users.into_iter().map(|user| self.lane.submit(user, Change::Tick)).collect();
        for tick in ticks {
            tick.await.unwrap_or(Err(StoreError::Stopped))?;
        }
        Ok(())
    }

    async fn run_trims(&self) {
        let mut trims = interval(TRIM);
        loop {
            trims.tick().await;
            or_logged("old entries are not removed", self.trim().await);
        }
    }

    async fn trim(&self) -> Result<(), StoreError> {
        let (now, retention) = (self.time.now(), self.settings.limits.retention);
        let oldest = (now - retention.age, now - OFFLINE_ROWS);
        self.live.trim_streams(oldest, retention.entries as u64).await?;
        self.live.remove_empty_rosters(USERS).await?;
        self.live.remove_notes(now - NOTES_KEPT).await?;
        self.live.remove_expired_values(now).await?;
        self.live.remove_rests().await?;
        self.live.remove_old_sockets().await?;
        self.live.keep_checks().await?;
        self.followed.forget_unread();
        Ok(())
    }

    /// Lets the other servers know the number of sockets of an Application, from a task of its own.
    pub(super) fn note_sockets(self: &Arc<Self>, app: AppId, topic: &Arc<Topic>) {
        let (hub, topic) = (Arc::clone(self), Arc::clone(topic));
        // While a socket is open, the time of the last check is always now.
        self.checks.note_all(app, self.clock.now());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // The number is of use only while servers run, so nothing waits for the task.
        runtime.spawn(async move {
            let counted = hub.live.set_sockets(hub.identity().node, app, topic.sockets()).await;
            or_logged("the number of sockets is not written", counted);
        });
    }
}

//! A server of a run: the real store, hub and writer, with their tasks.

use std::sync::Arc;
use std::time::Duration;

use presence_core::stream::Retention;
use presence_core::{Clock as _, ManualClock, UnixMillis};
use presence_store::{CommonSettings, Store, StoreError, StoreSettings, Writer};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::super::notifier::SharedNotifier;
use super::super::{SharedHub, SharedSettings};
use crate::activation::ActivationLock;
use crate::hub::{Hub, HubLimits};

/// The time for which a lost device keeps its presence.
const GRACE: Duration = Duration::from_secs(3);
/// The time for which snapshots wait after the live tables were emptied.
const WARM_UP: Duration = Duration::from_secs(4);
/// The time for which a call may wait for the database.
const DEADLINE: Duration = Duration::from_secs(5);
/// The time for which receipts wait after an Application begins to see a user.
const HOLD: Duration = Duration::from_secs(2);
/// The time between two writes of settlements.
const MAINTENANCE: Duration = Duration::from_secs(1);
/// The maximum number of entries of a stream.
const ENTRIES: usize = 300;

/// A running server.
pub(super) struct SimulatedServer {
    pub(super) hub: Arc<SharedHub>,
    pub(super) store: Store,
    pub(super) writer: Writer,
    pub(super) activation: Arc<ActivationLock>,
    clock: Arc<ManualClock>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl SimulatedServer {
    /// Opens the database and starts the tasks. `skew` is how far the wall clock is ahead.
    pub(super) async fn open(
        url: String,
        (now, skew): (u64, u64),
        update_delay: Duration,
    ) -> Result<Self, StoreError> {
        let clock = Arc::new(ManualClock::new(UnixMillis::new(now + skew)));
        let patience = StoreSettings { deadline: DEADLINE, ..StoreSettings::default() };
        let store = Store::open_with(&url, clock.now(), patience).await?;
        let live = store.live().cloned().unwrap();
        let limits = HubLimits {
            grace: GRACE,
            sockets_per_user: 20,
            retention: Retention {
                entries: ENTRIES,
                age: Duration::from_hours(1),
                bytes: usize::MAX,
            },
            receipt_hold: HOLD,
            stream_bytes: usize::MAX,
            update_delay,
        };
        let common = CommonSettings::default();
        let settings = SharedSettings { limits, warm_up: WARM_UP, deadline: DEADLINE, common };
        let shared = Arc::<ManualClock>::clone(&clock);
        let hub = SharedHub::join((store.clone(), live), shared, settings).await?;
        let hub = Arc::new(hub);
        let notifier = Arc::new(SharedNotifier::new(Arc::clone(&hub)));
        let shared = Arc::<ManualClock>::clone(&clock);
        let (writer, task) = Writer::new(&store, notifier, shared);
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(task.run());
        tasks.spawn(maintain(Arc::clone(&hub), writer.clone()));
        tasks.spawn(run_hub(Arc::clone(&hub), stop.clone()));
        let shared = Arc::new(Hub::Shared(Arc::clone(&hub)));
        let activation = Arc::new(ActivationLock::new(store.clone(), shared));
        Ok(Self { hub, store, writer, activation, clock, tasks, stop })
    }

    pub(super) fn advance(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Asks the server to stop.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Returns true once a server that was asked to stop has left the others.
    pub(super) fn has_stopped(&mut self) -> bool {
        self.tasks.try_join_next().is_some()
    }
}

async fn run_hub(hub: Arc<SharedHub>, stop: CancellationToken) {
    hub.run(&stop).await;
}

async fn maintain(hub: Arc<SharedHub>, writer: Writer) {
    loop {
        sleep(MAINTENANCE).await;
        writer.expire().await.ok();
        hub.release_receipts().await;
    }
}

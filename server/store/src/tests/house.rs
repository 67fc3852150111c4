//! A store in a directory of its own, with a clock and a hub that a test drives.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use presence_core::model::{App, ApplicationState, Email, UserId};
use presence_core::{Clock as _, ManualClock, UnixMillis};
use presence_protocol::app::{QueuedNotification, Receipt, ReceiptState};
use presence_protocol::{AppId, NotificationId, Puid};
use sea_orm::ConnectionTrait;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    CommitHook, CommittedEvent, LoadedUser, NewNotification, NotifyError, Reachability, Store,
    Writer,
};

pub(super) const NOW: UnixMillis = UnixMillis::new(1_800_000_000_000);
pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const APP: AppId = AppId::from_bits(0xa);

pub(super) struct Hub {
    usual: Reachability,
    reach: Mutex<HashMap<Puid, Reachability>>,
    done: Mutex<Vec<CommittedEvent>>,
}

impl CommitHook for Hub {
    fn reach(&self, _: AppId, puid: Puid, _: UserId) -> Reachability {
        self.reach.lock().unwrap().get(&puid).copied().unwrap_or(self.usual)
    }

    fn committed(&self, done: &[CommittedEvent]) {
        self.done.lock().unwrap().extend_from_slice(done);
    }
}

pub(super) struct House {
    pub(super) dir: TempDir,
    pub(super) store: Store,
    pub(super) writer: Writer,
    hub: Arc<Hub>,
    clock: Arc<ManualClock>,
    tasks: JoinSet<()>,
}

impl House {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::open(dir, NOW).await
    }

    pub(super) async fn open(dir: TempDir, now: UnixMillis) -> Self {
        let store =
            Store::open_patiently(&url(&dir), now, Duration::from_millis(100)).await.unwrap();
        let hub = Arc::new(Hub {
            usual: Reachability::Connected,
            reach: Mutex::default(),
            done: Mutex::default(),
        });
        let clock = Arc::new(ManualClock::new(now));
        let (writer, task) =
            Writer::new(&store, Arc::<Hub>::clone(&hub), Arc::<ManualClock>::clone(&clock));
        let mut tasks = JoinSet::new();
        tasks.spawn(task.run());
        Self { dir, store, writer, hub, clock, tasks }
    }

    /// Ends the writer and opens the file again.
    pub(super) async fn reopen(self) -> Self {
        let Self { dir, store, writer, clock, mut tasks, .. } = self;
        drop(writer);
        while tasks.join_next().await.is_some() {}
        store.close().await.unwrap();
        Self::open(dir, clock.now()).await
    }

    pub(super) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    pub(super) fn set_reach(&self, puid: Puid, reach: Reachability) {
        self.hub.reach.lock().unwrap().insert(puid, reach);
    }

    /// What was committed since the last call.
    pub(super) fn done(&self) -> Vec<CommittedEvent> {
        std::mem::take(&mut self.hub.done.lock().unwrap())
    }

    /// The receipts that were committed since the last call.
    pub(super) fn receipts(&self) -> Vec<(NotificationId, ReceiptState)> {
        self.done().iter().filter_map(receipt).collect()
    }

    pub(super) async fn user(&self, name: &str) -> UserId {
        let email = Email::parse(&format!("{name}@b.example")).unwrap();
        self.store.find_or_create_user(&email, NOW).await.unwrap()
    }

    pub(super) async fn app(&self, id: AppId, owner: UserId) {
        self.store.insert_app(&app(id, owner)).await.unwrap();
    }

    /// A user who lets `APP` see them under this PUID, the Application being there.
    pub(super) async fn granted(&self, name: &str, puid: u128) -> (UserId, Puid) {
        if self.store.app(APP).await.unwrap().is_none() {
            let owner = self.user("owner").await;
            self.app(APP, owner).await;
        }
        let user = self.user(name).await;
        let puid = Puid::from_bits(puid);
        self.writer.grant(user, APP, puid, NOW).await.unwrap().unwrap();
        self.done();
        (user, puid)
    }

    pub(super) async fn notify(
        &self,
        items: Vec<NewNotification>,
    ) -> Vec<Result<QueuedNotification, NotifyError>> {
        self.writer.notify(APP, items).await.unwrap()
    }

    /// Queues one of this id, and answers the size of the queue.
    pub(super) async fn queue(&self, id: u128, puid: Puid) -> u32 {
        let answers = self.notify(vec![item(id, puid)]).await;
        answers[0].as_ref().unwrap().queue_size
    }

    pub(super) async fn load(&self, user: UserId) -> LoadedUser {
        self.writer.load(user).await.unwrap()
    }

    /// The ids that a device of this user would get on connecting.
    pub(super) async fn pending(&self, user: UserId) -> Vec<NotificationId> {
        self.load(user).await.pending.iter().map(|notification| notification.id).collect()
    }

    /// Runs a statement on the connection that writes.
    pub(super) async fn sql(&self, statement: &str) {
        self.store.write().execute_unprepared(statement).await.unwrap();
    }
}

pub(super) fn url(dir: &TempDir) -> String {
    format!("sqlite://{}?mode=rwc", dir.path().join("presence.db").display())
}

pub(super) fn id(bits: u128) -> NotificationId {
    NotificationId::from_bits(bits)
}

pub(super) fn item(id: u128, puid: Puid) -> NewNotification {
    NewNotification {
        id: NotificationId::from_bits(id),
        puid,
        message: format!("message {id}"),
        action: String::new(),
        ttl: 3600,
        idempotency_key: None,
    }
}

pub(super) fn app(id: AppId, owner: UserId) -> App {
    App {
        id,
        owner,
        name: "Chess".to_owned(),
        domain: "chess.example".to_owned(),
        description: "Play".to_owned(),
        state: ApplicationState::Active,
        domain_key: "key".to_owned(),
        created_at: NOW,
        last_looked_at: None,
        blocked_at: None,
    }
}

pub(super) fn receipt(done: &CommittedEvent) -> Option<(NotificationId, ReceiptState)> {
    if let CommittedEvent::Receipt(_, Receipt { id, state, .. }) = done {
        Some((*id, *state))
    } else {
        None
    }
}

//! A store in a temporary directory, with a manual clock and a hook that records the commits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use presence_core::model::{ApiKey, App, ApplicationState, Email, Scope, Session, UserId};
use presence_core::{Clock as _, EndedDevices, ManualClock, Steady, UnixMillis};
use presence_protocol::app::{QueuedNotification, Receipt, ReceiptState};
use presence_protocol::{AppId, NotificationId, Puid};
use presence_test_postgres::Cluster;
use sea_orm::{ConnectionTrait, TransactionTrait};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::{
    CommitHook, CommittedEvent, LoadedUser, NewNotification, NotifyError, NotifyLimit,
    SessionLimit, Store, StoreError, StoreSettings, Writer,
};

pub(super) const NOW: UnixMillis = UnixMillis::new(1_800_000_000_000);
pub(super) const HOUR: Duration = Duration::from_hours(1);
/// The time for which a call waits for the database.
pub(super) const DEADLINE: Duration = Duration::from_secs(1);
pub(super) const PATIENCE: StoreSettings =
    StoreSettings { deadline: DEADLINE, cached_credentials: 100 };
pub(super) const APP: AppId = AppId::from_bits(0xa);
pub(super) const DOMAIN: &str = "chess.example";

/// The view that the Application has of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TestVisibility {
    /// The user is offline.
    Hidden,
    /// The user is visible, and no device is connected.
    Visible,
    /// The user is visible, and a device is connected. This is the default.
    Connected,
}

/// Returns a time of the clock that never goes back.
pub(super) fn steady() -> Steady {
    Steady::from_start(HOUR)
}

#[derive(Default)]
pub(super) struct RecordingHook {
    visibility: Mutex<HashMap<Puid, TestVisibility>>,
    /// The grants of each user, as they were committed.
    grants: Mutex<HashMap<UserId, Vec<Puid>>>,
    events: Mutex<Vec<CommittedEvent>>,
    releases: Mutex<Vec<(AppId, Puid)>>,
    failed: Mutex<Vec<(AppId, Puid)>>,
    signal: Notify,
    /// The grants whose limit was asked for, and those whose budget is used up.
    limited: Mutex<(Vec<Puid>, Vec<Puid>)>,
}

impl RecordingHook {
    fn visibility(&self, puid: Puid) -> TestVisibility {
        let visibility = self.visibility.lock().unwrap();
        visibility.get(&puid).copied().unwrap_or(TestVisibility::Connected)
    }
}

impl CommitHook for RecordingHook {
    fn grants_with_immediate_receipts(&self, user: UserId) -> Vec<Puid> {
        let mut grants = self.grants.lock().unwrap().get(&user).cloned().unwrap_or_default();
        grants.retain(|puid| self.visibility(*puid) != TestVisibility::Hidden);
        grants
    }

    fn is_reachable(&self, _: AppId, puid: Puid, _: UserId) -> bool {
        self.visibility(puid) == TestVisibility::Connected
    }

    fn take_releases(&self, _: usize) -> Vec<(AppId, Puid)> {
        std::mem::take(&mut self.releases.lock().unwrap())
    }

    fn releases_failed(&self, grants: Vec<(AppId, Puid)>) {
        self.failed.lock().unwrap().extend(grants);
    }

    fn release_signal(&self) -> &Notify {
        &self.signal
    }

    fn committed(&self, events: &[CommittedEvent]) {
        for event in events {
            if let CommittedEvent::Grants { user, set, .. } = event {
                let puids = set.grants.iter().map(|grant| grant.puid).collect();
                self.grants.lock().unwrap().insert(*user, puids);
            }
        }
        self.events.lock().unwrap().extend_from_slice(events);
    }
}

impl NotifyLimit for RecordingHook {
    fn take(&self, _: AppId, puid: Puid) -> Result<(), Duration> {
        let (asked, used_up) = &mut *self.limited.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(puid);
        if used_up.contains(&puid) { Err(HOUR) } else { Ok(()) }
    }
}

pub(super) struct Fixture {
    pub(super) dir: TempDir,
    pub(super) store: Store,
    pub(super) writer: Writer,
    hook: Arc<RecordingHook>,
    clock: Arc<ManualClock>,
    tasks: JoinSet<()>,
}

impl Fixture {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        if uses_postgres() {
            Cluster::shared().create_named(&database_of(&dir));
        }
        Self::open(dir, NOW).await
    }

    /// Returns one on PostgreSQL, wherever the other tests run.
    pub(super) async fn on_postgres() -> Self {
        Self::on_cluster(Cluster::shared()).await
    }

    /// Returns one on PostgreSQL servers of a test.
    pub(super) async fn on_cluster(cluster: &Cluster) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let name = database_of(&dir);
        cluster.create_named(&name);
        Self::open_at(dir, &cluster.url(&name), NOW).await
    }

    /// Returns the name of the database on PostgreSQL.
    pub(super) fn database_name(&self) -> String {
        database_of(&self.dir)
    }

    /// Returns one on SQLite, wherever the other tests run.
    pub(super) async fn on_sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", dir.path().join("presence.db").display());
        Self::open_at(dir, &url, NOW).await
    }

    /// Ends the writer and closes the database. Returns its folder.
    pub(super) async fn close(self) -> TempDir {
        let Self { dir, store, writer, mut tasks, .. } = self;
        drop(writer);
        while tasks.join_next().await.is_some() {}
        store.close().await.unwrap();
        dir
    }

    pub(super) async fn open(dir: TempDir, now: UnixMillis) -> Self {
        let url = url(&dir);
        Self::open_at(dir, &url, now).await
    }

    /// Opens the database of a fixture on PostgreSQL once more, as another server does.
    pub(super) async fn another_server(&self) -> Store {
        let url = Cluster::shared().url(&database_of(&self.dir));
        Store::open_with(&url, NOW, PATIENCE).await.unwrap()
    }

    pub(super) async fn open_at(dir: TempDir, url: &str, now: UnixMillis) -> Self {
        let store = Store::open_with(url, now, PATIENCE).await.unwrap();
        let hook = Arc::new(RecordingHook::default());
        let clock = Arc::new(ManualClock::new(now));
        let (writer, task) = Writer::new(
            &store,
            Arc::<RecordingHook>::clone(&hook),
            Arc::<ManualClock>::clone(&clock),
        );
        let mut tasks = JoinSet::new();
        tasks.spawn(task.with_notify_limit(Arc::<RecordingHook>::clone(&hook)).run());
        Self { dir, store, writer, hook, clock, tasks }
    }

    /// Ends the writer and opens the file again.
    pub(super) async fn reopen(self) -> Self {
        let Self { dir, store, writer, clock, mut tasks, .. } = self;
        drop(writer);
        while tasks.join_next().await.is_some() {}
        store.close().await.unwrap();
        Self::open(dir, clock.now()).await
    }

    pub(super) fn advance(&self, time: Duration) {
        self.clock.advance(time);
    }

    pub(super) fn set_visibility(&self, puid: Puid, visibility: TestVisibility) {
        self.hook.visibility.lock().unwrap().insert(puid, visibility);
    }

    /// Uses up the budget of a grant.
    pub(super) fn use_up_limit(&self, puid: Puid) {
        self.hook.limited.lock().unwrap().1.push(puid);
    }

    /// Returns the grants whose limit was asked for.
    pub(super) fn asked_limits(&self) -> Vec<Puid> {
        std::mem::take(&mut self.hook.limited.lock().unwrap().0)
    }

    /// Requests a release as the hub does, and waits until the writer has done it.
    pub(super) async fn release(&self, puid: Puid) {
        self.hook.releases.lock().unwrap().push((APP, puid));
        self.hook.signal.notify_one();
        while !self.hook.releases.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        self.writer.load(UserId(0)).await.unwrap();
    }

    /// Returns the releases that have failed since the last call.
    pub(super) fn failed_releases(&self) -> Vec<(AppId, Puid)> {
        std::mem::take(&mut self.hook.failed.lock().unwrap())
    }

    /// Returns the events that were committed since the last call.
    pub(super) fn take_events(&self) -> Vec<CommittedEvent> {
        std::mem::take(&mut self.hook.events.lock().unwrap())
    }

    /// Returns the receipts that were committed since the last call.
    pub(super) fn receipts(&self) -> Vec<(NotificationId, ReceiptState)> {
        self.take_events().iter().filter_map(receipt).collect()
    }

    pub(super) async fn user(&self, name: &str) -> UserId {
        let email = Email::parse(&format!("{name}@b.example")).unwrap();
        self.store.find_or_create_user(&email, NOW).await.unwrap()
    }

    pub(super) async fn app(&self, id: AppId, owner: UserId) {
        assert!(self.store.insert_app(&app(id, owner), u64::MAX).await.unwrap());
    }

    /// Adds a key to `APP`, with a prefix and a digest of this number.
    pub(super) async fn insert_key(&self, n: u8) -> ApiKey {
        let key = self.store.insert_key(APP, (&format!("pk_{n}"), [n; 32]), NOW, u64::MAX).await;
        key.unwrap().unwrap()
    }

    /// Returns the session with this digest, unless it has expired.
    pub(super) async fn session(
        &self,
        digest: [u8; 32],
        now: UnixMillis,
    ) -> Result<Option<Session>, StoreError> {
        Ok(self.store.session_with_email(digest, now).await?.map(|(session, _)| session))
    }

    /// Adds a session, however many its user has.
    pub(super) async fn insert_session(&self, session: &Session) {
        let limit = SessionLimit { max: usize::MAX, last_use: &|_| None };
        assert!(self.store.insert_session(session, limit).await.unwrap().is_empty());
    }

    /// Creates a user with a grant for `APP` under this PUID, and `APP` if it does not exist.
    pub(super) async fn user_with_grant(&self, name: &str, puid: u128) -> (UserId, Puid) {
        if self.store.app(APP).await.unwrap().is_none() {
            let owner = self.user("owner").await;
            self.app(APP, owner).await;
        }
        let user = self.user(name).await;
        let puid = Puid::from_bits(puid);
        self.writer.grant(user, (APP, DOMAIN), puid, NOW).await.unwrap().unwrap();
        self.take_events();
        (user, puid)
    }

    pub(super) async fn notify(
        &self,
        items: Vec<NewNotification>,
    ) -> Vec<Result<QueuedNotification, NotifyError>> {
        self.writer.notify(APP, items).await.unwrap()
    }

    /// Queues a notification with this id, and returns the size of the queue.
    pub(super) async fn queue(&self, id: u128, puid: Puid) -> u32 {
        let answers = self.notify(vec![item(id, puid)]).await;
        answers[0].as_ref().unwrap().queue_size
    }

    pub(super) async fn load(&self, user: UserId) -> LoadedUser {
        self.writer.load(user).await.unwrap()
    }

    /// Returns the ids that a connecting device of this user gets.
    pub(super) async fn pending(&self, user: UserId) -> Vec<NotificationId> {
        self.load(user).await.pending.iter().map(|notification| notification.id).collect()
    }

    /// Lets every write fail from now on, or no longer.
    pub(super) async fn refuse_writes(&self, refuse: bool) {
        if !uses_postgres() {
            let setting = if refuse { "ON" } else { "OFF" };
            return self.sql(&format!("PRAGMA query_only = {setting}")).await;
        }
        let database = database_of(&self.dir);
        let setting = if refuse { "on" } else { "off" };
        let sql =
            format!("ALTER DATABASE \"{database}\" SET default_transaction_read_only = {setting}");
        Cluster::shared().run_sql("postgres", &sql);
        // A setting of the database is for new connections.
        Cluster::shared().end_connections(&database);
    }

    /// Runs a statement on a connection that writes, however long it takes.
    pub(super) async fn sql(&self, statement: &str) {
        if self.store.live().is_some() {
            let txn = self.store.write().pool().begin().await.unwrap();
            txn.execute_unprepared("SET LOCAL statement_timeout = 0").await.unwrap();
            txn.execute_unprepared(statement).await.unwrap();
            return txn.commit().await.unwrap();
        }
        self.store.write().execute_unprepared(statement).await.unwrap();
    }
}

/// Returns true if the tests run on PostgreSQL.
#[expect(clippy::disallowed_methods, reason = "the developer chooses the storage of the tests")]
pub(super) fn uses_postgres() -> bool {
    std::env::var("PRESENCE_TEST_STORAGE").is_ok_and(|storage| storage == "postgres")
}

/// Returns the name of the PostgreSQL database that stands for a folder.
fn database_of(dir: &TempDir) -> String {
    dir.path().file_name().unwrap().to_str().unwrap().replace('.', "presence")
}

pub(super) fn url(dir: &TempDir) -> String {
    if uses_postgres() {
        return Cluster::shared().url(&database_of(dir));
    }
    format!("sqlite://{}?mode=rwc", dir.path().join("presence.db").display())
}

pub(super) fn id(bits: u128) -> NotificationId {
    NotificationId::from_bits(bits)
}

pub(super) fn item(id: u128, puid: Puid) -> NewNotification {
    NewNotification {
        id: NotificationId::from_bits(id),
        puid,
        source: None,
        message: format!("message {id}"),
        action: String::new(),
        ttl: 3600,
        idempotency_key: None,
    }
}

/// Returns a session of a user for devices, with a digest of this number.
pub(super) fn session(user: UserId, n: u8) -> Session {
    Session {
        digest: [n; 32],
        user,
        scope: Scope::Device,
        created_at: NOW,
        expires_at: NOW + HOUR,
        generation: None,
        ended_devices: EndedDevices::default(),
    }
}

pub(super) fn app(id: AppId, owner: UserId) -> App {
    App {
        id,
        owner,
        name: "Chess".to_owned(),
        domain: DOMAIN.to_owned(),
        description: "Play".to_owned(),
        state: ApplicationState::Active,
        domain_key: "key".to_owned(),
        created_at: NOW,
        last_looked_at: None,
        blocked_at: None,
        previous_name: None,
    }
}

pub(super) fn receipt(event: &CommittedEvent) -> Option<(NotificationId, ReceiptState)> {
    if let CommittedEvent::Receipt(_, Receipt { id, state, .. }) = event {
        Some((*id, *state))
    } else {
        None
    }
}

//! The receipt rule, with the real hub, writer and database file.

use presence_core::model::{App, ApplicationState, Email, Settlement};
use presence_core::stream::Retention;
use presence_core::{Clock as _, ManualClock, UnixMillis, View};
use presence_protocol::app::client::{ServerToAppService, parse_frame};
use presence_protocol::open::OpenReceiptState;
use presence_protocol::{DeviceName, NotificationId, Status};
use presence_store::{NewNotification, Store, Writer};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::*;
use crate::hub::local::LocalConnection;
use crate::hub::{HubLimits, Subscription};
use crate::mailbox::Mailbox;

const NOW: UnixMillis = UnixMillis::new(1_800_000_000_000);
const APP: AppId = AppId::from_bits(1);
const PUID: Puid = Puid::from_bits(2);

/// A server without sockets: a user with a grant for one Application.
struct NotifierFixture {
    directory: TempDir,
    store: Store,
    hub: Arc<LocalHub>,
    writer: Writer,
    tasks: JoinSet<()>,
    user: UserId,
}

/// A hook that changes the visibility of the user before and after the answer of the hub, which
/// the writer asks after it has taken the releases of the group, and before the commit.
struct VisibilityHook {
    notifier: HubNotifier,
    connection: LocalConnection,
    before: Option<Vec<AppId>>,
    after: Option<Vec<AppId>>,
}

impl VisibilityHook {
    fn set_visibility(&self, apps: Option<&Vec<AppId>>) {
        if let Some(apps) = apps {
            self.connection.set_visibility(apps.clone());
        }
    }
}

impl CommitHook for VisibilityHook {
    fn grants_with_immediate_receipts(&self, user: UserId) -> Vec<Puid> {
        self.set_visibility(self.before.as_ref());
        let grants = self.notifier.grants_with_immediate_receipts(user);
        self.set_visibility(self.after.as_ref());
        grants
    }

    fn is_reachable(&self, app: AppId, puid: Puid, user: UserId) -> bool {
        self.notifier.is_reachable(app, puid, user)
    }

    fn take_releases(&self, limit: usize) -> Vec<(AppId, Puid)> {
        self.notifier.take_releases(limit)
    }

    fn releases_failed(&self, grants: Vec<(AppId, Puid)>) {
        self.notifier.releases_failed(grants);
    }

    fn release_signal(&self) -> &Notify {
        self.notifier.release_signal()
    }

    fn committed(&self, events: &[CommittedEvent]) {
        self.notifier.committed(events);
    }
}

fn hub(store: &Store) -> Arc<LocalHub> {
    let clock = Arc::new(ManualClock::new(NOW));
    let retention = Retention { entries: 100, age: Duration::from_hours(1), bytes: usize::MAX };
    let receipt_hold = Duration::ZERO;
    let limits = HubLimits {
        grace: Duration::ZERO,
        sockets_per_user: 9,
        retention,
        receipt_hold,
        stream_bytes: usize::MAX,
        update_delay: Duration::ZERO,
    };
    let steady = clock.steady();
    Arc::new(LocalHub::new(clock, limits, store.epoch(), steady))
}

fn online() -> View {
    View::new(Status::Online, None)
}

impl NotifierFixture {
    async fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap()).await
    }

    async fn open(directory: TempDir) -> Self {
        let url = format!("sqlite://{}/t.db?mode=rwc", directory.path().display());
        let store = Store::open(&url, NOW).await.unwrap();
        let email = Email::parse("alice@mail.example").unwrap();
        let user = store.find_or_create_user(&email, NOW).await.unwrap();
        let hub = hub(&store);
        let mut fixture = Self {
            directory,
            writer: Self::writer(&store, HubNotifier(Arc::clone(&hub))).0,
            store,
            hub,
            tasks: JoinSet::new(),
            user,
        };
        let hook = HubNotifier(Arc::clone(&fixture.hub));
        fixture.start(hook);
        fixture.grant().await;
        fixture
    }

    fn writer(store: &Store, hook: impl CommitHook) -> (Writer, presence_store::WriterTask) {
        Writer::new(store, Arc::new(hook), Arc::new(ManualClock::new(NOW)))
    }

    /// Replaces the writer by one with another hook.
    fn start(&mut self, hook: impl CommitHook) {
        let (writer, task) = Self::writer(&self.store, hook);
        self.writer = writer;
        self.tasks.spawn(task.run());
    }

    /// Replaces the writer by one whose hook changes the visibility of the user.
    fn start_with_visibility(
        &mut self,
        connection: LocalConnection,
        before: Option<Vec<AppId>>,
        after: Option<Vec<AppId>>,
    ) {
        let notifier = HubNotifier(Arc::clone(&self.hub));
        self.start(VisibilityHook { notifier, connection, before, after });
    }

    async fn grant(&self) {
        if self.store.app(APP).await.unwrap().is_none() {
            self.store.insert_app(&app(self.user), 1).await.unwrap();
            self.writer.grant(self.user, (APP, "chess.example"), PUID, NOW).await.unwrap().unwrap();
        }
    }

    /// Ends the process without a release, and starts the next one on the same file.
    async fn crash(self) -> Self {
        let Self { directory, store, writer, mut tasks, .. } = self;
        drop(writer);
        while tasks.join_next().await.is_some() {}
        store.close().await.unwrap();
        drop(store);
        Self::open(directory).await
    }

    /// Connects a device as the service does.
    async fn connect(&self) -> LocalConnection {
        let mailbox = Arc::new(Mailbox::new(Arc::default(), [0; 32]));
        let connection = self.hub.connect(self.user, DeviceName::default(), &mailbox).unwrap();
        let loaded = self.writer.load(self.user).await.unwrap();
        self.hub.apply_load(self.user, loaded.grants, &loaded.apps, &loaded.taken);
        connection
    }

    /// Subscribes an AppService with receipts, and skips the snapshot.
    fn subscribe(&self) -> Subscription {
        let topic = self.hub.find_topic(APP).unwrap();
        let open = |stream: &presence_core::stream::Stream| {
            presence_core::reader::Reader::paged(stream, None, true)
        };
        let mut subscription = topic.subscribe(1, Arc::default(), 9, open).unwrap();
        subscription.next_frames(false).unwrap();
        subscription
    }

    /// Queues a notification, which a device acknowledges.
    async fn notify_and_ack(&self, id: u128) {
        self.notify(id).await;
        let ids = vec![NotificationId::from_bits(id)];
        assert_eq!(self.writer.settle(self.user, ids, Settlement::Acked).await.unwrap(), 1);
    }

    /// Queues a notification.
    async fn notify(&self, id: u128) {
        let item = NewNotification {
            id: NotificationId::from_bits(id),
            puid: PUID,
            source: None,
            message: "message".to_owned(),
            action: String::new(),
            ttl: 3600,
            idempotency_key: None,
        };
        self.writer.notify(APP, vec![item]).await.unwrap()[0].as_ref().unwrap();
    }

    /// Returns the number of receipts that an AppService has got since the last call, after the
    /// writer has done what was requested of it.
    async fn acked(&self, subscription: &mut Subscription) -> usize {
        self.acked_ids(subscription).await.len()
    }

    /// Returns the ids of these receipts, in the order in which the AppService has got them.
    async fn acked_ids(&self, subscription: &mut Subscription) -> Vec<u128> {
        // The group of this request begins with the releases that were requested before.
        self.writer.load(self.user).await.unwrap();
        let mut ids = Vec::new();
        for frame in subscription.next_frames(false).unwrap() {
            let frame = parse_frame(std::str::from_utf8(&frame).unwrap()).unwrap();
            let ServerToAppService::Stream(frame) = frame else { panic!("{frame:?}") };
            let acked = frame
                .receipts
                .items
                .iter()
                .filter(|receipt| receipt.state == OpenReceiptState::Acked);
            ids.extend(acked.map(|receipt| receipt.id.bits()));
        }
        ids
    }
}

fn app(owner: UserId) -> App {
    App {
        id: APP,
        owner,
        name: "Chess".to_owned(),
        domain: "chess.example".to_owned(),
        description: "Play".to_owned(),
        state: ApplicationState::Active,
        domain_key: "key".to_owned(),
        created_at: NOW,
        last_looked_at: None,
        blocked_at: None,
        previous_name: None,
    }
}

#[tokio::test]
async fn a_visible_users_receipt_comes_with_the_commit() {
    let fixture = NotifierFixture::new().await;
    let connection = fixture.connect().await;
    connection.report(online(), None);
    let mut subscription = fixture.subscribe();
    fixture.notify_and_ack(1).await;
    let frames = subscription.next_frames(false).unwrap();
    assert!(std::str::from_utf8(&frames[0]).unwrap().contains(r#""acked""#));
    assert!(fixture.writer.load(fixture.user).await.unwrap().taken.is_empty());
}

#[tokio::test]
async fn a_user_who_hides_between_settlement_and_commit_loses_no_receipt() {
    let mut fixture = NotifierFixture::new().await;
    let connection = fixture.connect().await;
    connection.report(online(), None);
    let mut subscription = fixture.subscribe();
    fixture.start_with_visibility(connection, None, Some(vec![]));
    fixture.notify_and_ack(1).await;
    assert!(!fixture.hub.is_visible(APP, PUID));
    assert_eq!(fixture.acked(&mut subscription).await, 1);
    assert!(fixture.writer.load(fixture.user).await.unwrap().taken.is_empty());
}

#[tokio::test]
async fn a_hidden_users_receipt_waits_as_a_row_until_the_application_sees_the_user() {
    let fixture = NotifierFixture::new().await;
    let connection = fixture.connect().await;
    let mut subscription = fixture.subscribe();
    fixture.notify_and_ack(1).await;
    assert_eq!(fixture.acked(&mut subscription).await, 0);
    assert_eq!(fixture.writer.load(fixture.user).await.unwrap().taken, [(APP, PUID)]);
    connection.report(online(), None);
    assert_eq!(fixture.acked(&mut subscription).await, 1);
    assert!(fixture.writer.load(fixture.user).await.unwrap().taken.is_empty());
}

#[tokio::test]
async fn a_release_needs_no_further_request() {
    let fixture = NotifierFixture::new().await;
    let connection = fixture.connect().await;
    let mut subscription = fixture.subscribe();
    fixture.notify_and_ack(1).await;
    connection.report(online(), None);
    let mut receipts = 0;
    while receipts == 0 {
        tokio::task::yield_now().await;
        let frames = subscription.next_frames(false).unwrap();
        receipts =
            frames.iter().filter(|frame| frame.windows(7).any(|w| w == b"\"acked\"")).count();
    }
}

#[tokio::test]
async fn an_activation_releases_receipts_without_a_change_of_the_user() {
    let fixture = NotifierFixture::new().await;
    let connection = fixture.connect().await;
    connection.report(online(), None);
    fixture.hub.set_active(APP, false);
    let mut subscription = fixture.subscribe();
    fixture.notify_and_ack(1).await;
    assert_eq!(fixture.acked(&mut subscription).await, 0);
    fixture.hub.set_active(APP, true);
    assert_eq!(fixture.acked(&mut subscription).await, 1);
}

#[tokio::test]
async fn a_crash_before_the_release_loses_no_receipt() {
    let fixture = NotifierFixture::new().await;
    let connection = fixture.connect().await;
    fixture.notify_and_ack(1).await;
    drop(connection);

    let fixture = fixture.crash().await;
    let connection = fixture.connect().await;
    let mut subscription = fixture.subscribe();
    assert_eq!(fixture.acked(&mut subscription).await, 0);
    connection.report(online(), None);
    assert_eq!(fixture.acked(&mut subscription).await, 1);
}

#[tokio::test]
async fn a_release_is_not_committed_if_the_user_is_hidden_again_before_it() {
    let fixture = NotifierFixture::new().await;
    let connection = fixture.connect().await;
    let mut subscription = fixture.subscribe();
    fixture.notify_and_ack(1).await;
    connection.report(online(), None);
    connection.set_visibility(vec![]);
    assert_eq!(fixture.acked(&mut subscription).await, 0);
    assert_eq!(fixture.writer.load(fixture.user).await.unwrap().taken, [(APP, PUID)]);
    connection.set_visibility(vec![APP]);
    assert_eq!(fixture.acked(&mut subscription).await, 1);
}

#[tokio::test]
async fn a_settlement_waits_if_the_user_becomes_visible_after_the_releases_were_taken() {
    let mut fixture = NotifierFixture::new().await;
    let connection = fixture.connect().await;
    connection.report(online(), None);
    connection.set_visibility(vec![]);
    let mut subscription = fixture.subscribe();
    fixture.notify_and_ack(1).await;
    fixture.start_with_visibility(connection, Some(vec![APP]), None);
    fixture.notify_and_ack(2).await;
    assert!(fixture.hub.is_visible(APP, PUID));
    assert_eq!(fixture.acked_ids(&mut subscription).await, [1, 2]);
    assert!(fixture.writer.load(fixture.user).await.unwrap().taken.is_empty());
}

#[tokio::test]
async fn the_settlements_of_a_group_keep_their_order_if_the_user_becomes_visible_between_them() {
    let mut fixture = NotifierFixture::new().await;
    let connection = fixture.connect().await;
    connection.report(online(), None);
    connection.set_visibility(vec![]);
    let mut subscription = fixture.subscribe();
    fixture.start_with_visibility(connection, None, Some(vec![APP]));
    fixture.notify(1).await;
    fixture.notify(2).await;
    let settle = |id| {
        let ids = vec![NotificationId::from_bits(id)];
        fixture.writer.settle(fixture.user, ids, Settlement::Acked)
    };
    let (first, second) = (settle(1), settle(2));
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (1, 1));
    assert!(fixture.hub.is_visible(APP, PUID));
    assert_eq!(fixture.acked_ids(&mut subscription).await, [1, 2]);
}

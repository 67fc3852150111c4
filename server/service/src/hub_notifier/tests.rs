//! The receipt rule, with the real hub, writer and database file.

use presence_core::model::{App, ApplicationState, Email, Settlement};
use presence_core::stream::Retention;
use presence_core::{Clock as _, ManualClock, UnixMillis, View};
use presence_protocol::{DeviceName, NotificationId, Status};
use presence_store::{NewNotification, Store, Writer};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::*;
use crate::hub::{DeviceConnection, HubLimits, Subscription};
use crate::mailbox::Mailbox;

const NOW: UnixMillis = UnixMillis::new(1_800_000_000_000);
const APP: AppId = AppId::from_bits(1);
const PUID: Puid = Puid::from_bits(2);

/// A server without sockets: a user with a grant for one Application.
struct NotifierFixture {
    directory: TempDir,
    store: Store,
    hub: Arc<Hub>,
    writer: Writer,
    tasks: JoinSet<()>,
    user: UserId,
}

/// A hook that hides the user between the answer of the hub and the commit.
struct HideBeforeCommit(HubNotifier, DeviceConnection);

impl CommitHook for HideBeforeCommit {
    fn visible_grants(&self, user: UserId) -> Vec<Puid> {
        let visible = self.0.visible_grants(user);
        self.1.set_visibility(vec![]);
        visible
    }

    fn is_reachable(&self, app: AppId, puid: Puid, user: UserId) -> bool {
        self.0.is_reachable(app, puid, user)
    }

    fn take_releases(&self, limit: usize) -> Vec<(AppId, Puid)> {
        self.0.take_releases(limit)
    }

    fn releases_failed(&self, grants: Vec<(AppId, Puid)>) {
        self.0.releases_failed(grants);
    }

    fn release_signal(&self) -> &Notify {
        self.0.release_signal()
    }

    fn committed(&self, events: &[CommittedEvent]) {
        self.0.committed(events);
    }
}

fn hub(store: &Store) -> Arc<Hub> {
    let clock = Arc::new(ManualClock::new(NOW));
    let retention = Retention { entries: 100, age: Duration::from_hours(1) };
    let limits = HubLimits { grace: Duration::ZERO, sockets_per_user: 9, retention };
    let steady = clock.steady();
    Arc::new(Hub::new(clock, limits, store.epoch(), steady))
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

    async fn grant(&self) {
        if self.store.app(APP).await.unwrap().is_none() {
            self.store.insert_app(&app(self.user)).await.unwrap();
            self.writer.grant(self.user, APP, PUID, NOW).await.unwrap().unwrap();
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
    async fn connect(&self) -> DeviceConnection {
        let mailbox = Arc::new(Mailbox::new(Arc::default(), [0; 32]));
        let connection = self.hub.connect(self.user, DeviceName::default(), mailbox).unwrap();
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
        let item = NewNotification {
            id: NotificationId::from_bits(id),
            puid: PUID,
            message: "message".to_owned(),
            action: String::new(),
            ttl: 3600,
            idempotency_key: None,
        };
        self.writer.notify(APP, vec![item]).await.unwrap()[0].as_ref().unwrap();
        let ids = vec![NotificationId::from_bits(id)];
        assert_eq!(self.writer.settle(self.user, ids, Settlement::Acked).await.unwrap(), 1);
    }

    /// Returns the number of receipts that an AppService has got since the last call, after the
    /// writer has done what was requested of it.
    async fn acked(&self, subscription: &mut Subscription) -> usize {
        // The group of this request begins with the releases that were requested before.
        self.writer.load(self.user).await.unwrap();
        let frames = subscription.next_frames(false).unwrap();
        let text = |frame: &bytes::Bytes| String::from_utf8(frame.to_vec()).unwrap();
        frames.iter().map(|frame| text(frame).matches(r#""acked""#).count()).sum()
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
    fixture.start(HideBeforeCommit(HubNotifier(Arc::clone(&fixture.hub)), connection));
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

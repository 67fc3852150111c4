//! The acceptance of notifications, and the replies to it. The module `plan` writes the rows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use presence_core::UnixMillis;
use presence_core::lookalike::SourceName;
use presence_core::model::Notification;
use presence_protocol::app::QueuedNotification;
use presence_protocol::limits::MAX_QUEUE_ITEMS;
use presence_protocol::{AppId, NotificationId, Puid};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use sha2::{Digest, Sha256};

use super::insertion::NewRow;
use super::plan::{IdempotentReply, Outcome, WritePlan};
use super::request::WriteRequest;
use super::target::{self, Target};
use super::write_txn::WriteTxn;
use crate::error::StoreError;
use crate::rows::{CHUNK, NotificationState, Sender, digest, id, is_one_of, time_to_column};
use crate::tables::idempotency;

/// The lifetime of a notification with `ttl: 0`, which only connected devices get.
const LIVE_SECONDS: u32 = 60;

pub(super) type NotifyRequest =
    WriteRequest<NotifyInput, Vec<Result<QueuedNotification, NotifyError>>>;

/// A notification to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotification {
    /// The id, which is new and random.
    pub id: NotificationId,
    /// The receiver.
    pub puid: Puid,
    /// The sender, if the AppService gave one.
    pub source: Option<SourceName>,
    /// The text, at most 512 characters.
    pub message: String,
    /// The URL to open, at most 512 characters, or empty.
    pub action: String,
    /// The lifetime in seconds. With 0, only devices that are connected now get it.
    pub ttl: u32,
    /// A key for which further requests within 24 hours get the first reply, and queue nothing.
    pub idempotency_key: Option<String>,
}

/// The reason why a notification was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// The Application has no grant with this PUID.
    #[error("no user of this Application has this uid")]
    UnknownUid,
    /// The Application has sent this user too many notifications, and has to wait this long.
    #[error("too many notifications for this uid")]
    TooFast(Duration),
    /// The key was used with another message, action or ttl.
    #[error("the idempotency key was used for something else")]
    IdempotencyMismatch,
    /// The source looks like the name of another Application.
    #[error("the source is the name of another Application")]
    SourceOfOther,
}

impl NewNotification {
    /// Returns the sender that the AppService gave, or an empty text.
    fn given_source(&self) -> &str {
        self.source.as_ref().map_or("", |source| &source.text)
    }

    /// Returns true if only devices that are connected now get it.
    pub(super) fn is_live_only(&self) -> bool {
        self.ttl == 0
    }
}

/// A batch of notifications of one Application.
pub(super) struct NotifyInput {
    pub(super) app: AppId,
    pub(super) items: Vec<NewNotification>,
    /// The grants of live-only items that have a connected device, as it is before the transaction.
    pub(super) reachable: Vec<Puid>,
}

/// The context of the batches of one transaction.
struct NotifyContext {
    /// The Applications.
    senders: HashMap<AppId, Sender>,
    /// The skeletons of given sources that belong to the names of other Applications.
    foreign: HashSet<(AppId, String)>,
    /// The replies to earlier requests, by grant and idempotency key.
    replies: HashMap<(i64, String), IdempotentReply>,
}

/// Queues the batches, with a few statements for all of them.
pub(super) async fn notify(
    txn: &mut WriteTxn<'_>,
    requests: &mut [&mut NotifyRequest],
) -> Result<(), StoreError> {
    let puids =
        distinct(requests.iter().flat_map(|request| &request.input.items).map(|item| item.puid));
    txn.targets.read(&puids, txn.db).await?;
    let mut context = NotifyContext::read(txn, requests).await?;
    let mut plan = WritePlan::default();
    for request in requests {
        let NotifyInput { app, items, reachable } = &request.input;
        let mut accept = |item| context.accept(txn, &mut plan, (*app, item, reachable.as_slice()));
        request.output = Some(items.iter().map(&mut accept).collect());
    }
    let is_over_limit = |target: &&Target| target.rows > MAX_QUEUE_ITEMS;
    let targets = puids.iter().filter_map(|puid| txn.targets.get(puid));
    let over_limit = targets.filter(is_over_limit).map(|target| target.grant).collect();
    plan.write(txn, over_limit).await
}

fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.dedup();
    values
}

impl NotifyContext {
    async fn read(
        txn: &mut WriteTxn<'_>,
        requests: &[&mut NotifyRequest],
    ) -> Result<Self, StoreError> {
        let apps = distinct(requests.iter().map(|request| request.input.app));
        let senders = txn.senders.read(&apps, (txn.now, txn.credentials), txn.db).await?;
        let given = requests.iter().flat_map(|request| {
            let app = request.input.app;
            let sources = request.input.items.iter().filter_map(|item| item.source.as_ref());
            let skeletons = sources.flat_map(|source| &source.skeletons);
            skeletons.map(move |skeleton| (app, skeleton.as_str()))
        });
        let foreign = target::skeletons_of_others(&distinct(given), txn.db).await?;
        let mut context = Self { senders, foreign, replies: HashMap::new() };
        let items = requests.iter().flat_map(|request| &request.input.items);
        let keyed: Vec<(i64, &str)> = items
            .filter_map(|item| {
                let key = item.idempotency_key.as_deref()?;
                Some((txn.targets.get(&item.puid)?.grant, key))
            })
            .collect();
        for chunk in keyed.chunks(CHUNK) {
            context.read_replies(txn, chunk).await?;
        }
        Ok(context)
    }

    /// Reads the replies to these keys of grants. If several grants use the same key, it reads more
    /// than these, which does no harm.
    async fn read_replies(
        &mut self,
        txn: &WriteTxn<'_>,
        keyed: &[(i64, &str)],
    ) -> Result<(), StoreError> {
        let rows = idempotency::Entity::find()
            .filter(is_one_of(idempotency::Column::GrantId, keyed.iter().map(|(grant, _)| *grant)))
            .filter(is_one_of(idempotency::Column::Key, keyed.iter().map(|(_, key)| *key)))
            .filter(idempotency::Column::ExpiresAt.gt(time_to_column(txn.now)))
            .all(txn.db)
            .await?;
        for row in rows {
            let queue_size =
                row.queue_size.try_into().map_err(|_| StoreError::CorruptRow("idempotency"))?;
            let queued =
                QueuedNotification { id: id("idempotency", &row.notification_id)?, queue_size };
            let body_digest = digest("idempotency", &row.body_digest)?;
            self.replies.insert((row.grant_id, row.key), IdempotentReply { body_digest, queued });
        }
        Ok(())
    }

    /// Returns true if a source looks like the name of an Application other than its own.
    fn is_of_other(&self, app: AppId, source: &SourceName) -> bool {
        source.skeletons.iter().any(|skeleton| self.foreign.contains(&(app, skeleton.clone())))
    }

    /// Accepts an item of an Application. The last part of the tuple are the reachable grants.
    fn accept(
        &mut self,
        txn: &mut WriteTxn<'_>,
        plan: &mut WritePlan,
        (app, item, reachable): (AppId, &NewNotification, &[Puid]),
    ) -> Result<QueuedNotification, NotifyError> {
        let WriteTxn { targets, now, notify_limit, .. } = txn;
        let target = targets.get_mut(&item.puid).filter(|target| target.app == app);
        let target = target.ok_or(NotifyError::UnknownUid)?;
        let sender = self.senders.get(&app).ok_or(NotifyError::UnknownUid)?;
        if let Some(limit) = notify_limit {
            limit.take(app, item.puid).map_err(NotifyError::TooFast)?;
        }
        if item.source.as_ref().is_some_and(|source| self.is_of_other(app, source)) {
            return Err(NotifyError::SourceOfOther);
        }
        let grant = target.grant;
        let is_reachable = reachable.contains(&item.puid);
        let accepted = AcceptedItem { item, target, sender, is_reachable, now: *now };
        let Some(key) = &item.idempotency_key else { return Ok(accepted.plan(plan)) };
        let key = (grant, key.clone());
        let body_digest = body_digest(item);
        if let Some(reply) = self.replies.get(&key) {
            return if reply.body_digest == body_digest {
                Ok(reply.queued.clone())
            } else {
                Err(NotifyError::IdempotencyMismatch)
            };
        }
        let queued = accepted.plan(plan);
        let reply = IdempotentReply { body_digest, queued: queued.clone() };
        plan.add_reply(&key, reply.clone());
        self.replies.insert(key, reply);
        Ok(queued)
    }
}

/// An item that was accepted.
struct AcceptedItem<'a> {
    item: &'a NewNotification,
    target: &'a mut Target,
    /// The Application.
    sender: &'a Sender,
    /// Set if the Application sees the user, and a device is connected.
    is_reachable: bool,
    now: UnixMillis,
}

impl AcceptedItem<'_> {
    /// Plans to queue the item. A live-only one that no device can get now is dropped.
    fn plan(self, plan: &mut WritePlan) -> QueuedNotification {
        let notification = self.notification();
        let Self { item, target, is_reachable, .. } = self;
        let live_only = item.is_live_only();
        let source = item.given_source().to_owned();
        let state = NotificationState::Pending;
        let row = NewRow { notification, source, grant: target.grant, live_only, state };
        if live_only && (target.suspended || !is_reachable) {
            plan.add(Outcome::Dropped(NewRow { state: NotificationState::Dropped, ..row }));
        } else {
            target.rows += 1;
            plan.add(Outcome::Queued(row, target.suspended));
        }
        let queue_size = u32::try_from(target.rows.min(MAX_QUEUE_ITEMS)).unwrap_or(u32::MAX);
        QueuedNotification { id: item.id, queue_size }
    }

    /// Returns the notification without its sequence number.
    fn notification(&self) -> Notification {
        let Self { item, target, sender, now, .. } = self;
        let seconds = if item.is_live_only() { LIVE_SECONDS } else { item.ttl };
        Notification {
            seq: 0,
            id: item.id,
            app: target.app,
            source: sender.source(item.given_source()),
            application: Arc::clone(&sender.name),
            domain: Arc::clone(&sender.domain),
            puid: item.puid,
            user: target.user,
            message: item.message.as_str().into(),
            action: item.action.as_str().into(),
            sent_at: *now,
            expires_at: *now + Duration::from_secs(seconds.into()),
        }
    }
}

/// Returns the digest of a body. A length precedes each part, so that different bodies never give
/// the same bytes.
fn body_digest(item: &NewNotification) -> [u8; 32] {
    let mut hash = Sha256::new();
    let ttl = item.ttl.to_be_bytes();
    let parts = [item.message.as_bytes(), item.action.as_bytes(), &ttl];
    // Without a source the digest is the one of earlier versions, whose digests are stored.
    let source = Some(item.given_source().as_bytes()).filter(|source| !source.is_empty());
    for part in parts.into_iter().chain(source) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

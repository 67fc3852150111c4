//! Live notifications: whether each may be queued, and how it is answered. What is then written is in `plan`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use presence_core::UnixMillis;
use presence_core::model::Notification;
use presence_protocol::app::QueuedNotification;
use presence_protocol::limits::QUEUE_ITEMS;
use presence_protocol::{AppId, NotificationId, Puid};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use sha2::{Digest, Sha256};

use super::commit_hook::{CommitHook, Reachability};
use super::plan::{Outcome, Plan, Remembered, Row};
use super::request::WriteRequest;
use super::target::{self, Target};
use super::write_txn::WriteTxn;
use crate::error::StoreError;
use crate::rows::{CHUNK, digest, id, time_to_column};
use crate::tables::idempotency;

/// How long a notification with `ttl: 0` waits for the acknowledgement of a device that is connected now.
const LIVE_SECONDS: u32 = 60;

type NotifyRequest = WriteRequest<NotifyQuestion, Vec<Result<QueuedNotification, NotifyError>>>;

/// A notification to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotification {
    /// Its fresh random name.
    pub id: NotificationId,
    /// To whom.
    pub puid: Puid,
    /// The text, at most 512 characters.
    pub message: String,
    /// Empty, or the URL to open, at most 512 characters.
    pub action: String,
    /// How long it may wait, in seconds; 0 means "only if a device is connected now".
    pub ttl: u32,
    /// The same key within 24 h is answered as the first time, and nothing is queued.
    pub idempotency_key: Option<String>,
}

/// Why a notification was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// No live grant of this Application has this PUID.
    #[error("no user of this Application has this uid")]
    UnknownUid,
    /// The same key came with another message, action or ttl.
    #[error("the idempotency key was used for something else")]
    IdempotencyMismatch,
}

/// An Application's batch.
pub(super) struct NotifyQuestion {
    pub(super) app: AppId,
    pub(super) items: Vec<NewNotification>,
}

/// What is known of what is sent, beside to whom.
struct Known {
    /// The names of the Applications.
    sources: HashMap<AppId, Arc<str>>,
    /// The keys that were answered, each of a grant.
    answered: HashMap<(i64, String), Remembered>,
}

/// Queues the batches, a few statements for all of them.
pub(super) async fn notify(
    round: &mut WriteTxn<'_>,
    asks: &mut [&mut NotifyRequest],
) -> Result<(), StoreError> {
    let puids = distinct(asks.iter().flat_map(|ask| &ask.question.items).map(|item| item.puid));
    round.targets.read(&puids, round.db).await?;
    let mut known = Known::read(round, asks).await?;
    let mut plan = Plan::default();
    for ask in asks {
        let NotifyQuestion { app, items } = &ask.question;
        let answers = items.iter().map(|item| known.answer(round, &mut plan, *app, item)).collect();
        ask.answer = Some(answers);
    }
    let is_crowded = |target: &Target| target.rows > QUEUE_ITEMS;
    let targets = puids.iter().filter_map(|puid| round.targets.get(puid));
    let crowded = targets.filter(|target| is_crowded(target)).map(|target| target.grant).collect();
    plan.write(round, crowded).await
}

fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.dedup();
    values
}

impl Known {
    async fn read(round: &WriteTxn<'_>, asks: &[&mut NotifyRequest]) -> Result<Self, StoreError> {
        let apps = distinct(asks.iter().map(|ask| ask.question.app));
        let sources = target::names(&apps, round.db).await?;
        let mut known = Self { sources, answered: HashMap::new() };
        let items = asks.iter().flat_map(|ask| &ask.question.items);
        let keyed: Vec<(i64, &str)> = items
            .filter_map(|item| {
                let key = item.idempotency_key.as_deref()?;
                Some((round.targets.get(&item.puid)?.grant, key))
            })
            .collect();
        for chunk in keyed.chunks(CHUNK) {
            known.read_answered(round, chunk).await?;
        }
        Ok(known)
    }

    /// Finds more than was asked for where keys of several grants are alike, which does no harm.
    async fn read_answered(
        &mut self,
        round: &WriteTxn<'_>,
        keyed: &[(i64, &str)],
    ) -> Result<(), StoreError> {
        let rows = idempotency::Entity::find()
            .filter(idempotency::Column::GrantId.is_in(keyed.iter().map(|(grant, _)| *grant)))
            .filter(idempotency::Column::Key.is_in(keyed.iter().map(|(_, key)| *key)))
            .filter(idempotency::Column::ExpiresAt.gt(time_to_column(round.now)))
            .all(round.db)
            .await?;
        for row in rows {
            let queue_size =
                row.queue_size.try_into().map_err(|_| StoreError::CorruptRow("idempotency"))?;
            let queued =
                QueuedNotification { id: id("idempotency", &row.notification_id)?, queue_size };
            let body_digest = digest("idempotency", &row.body_digest)?;
            self.answered.insert((row.grant_id, row.key), Remembered { body_digest, queued });
        }
        Ok(())
    }

    fn answer(
        &mut self,
        round: &mut WriteTxn<'_>,
        plan: &mut Plan,
        app: AppId,
        item: &NewNotification,
    ) -> Result<QueuedNotification, NotifyError> {
        let WriteTxn { targets, observer, now, .. } = round;
        let target = targets.get_mut(&item.puid).filter(|target| target.app == app);
        let target = target.ok_or(NotifyError::UnknownUid)?;
        let source = self.sources.get(&app).ok_or(NotifyError::UnknownUid)?;
        let grant = target.grant;
        let accepted = Accepted { item, target, source, now: *now };
        let Some(key) = &item.idempotency_key else { return Ok(accepted.plan(plan, *observer)) };
        let key = (grant, key.clone());
        let body_digest = body_digest(item);
        if let Some(before) = self.answered.get(&key) {
            let same = before.body_digest == body_digest;
            return if same {
                Ok(before.queued.clone())
            } else {
                Err(NotifyError::IdempotencyMismatch)
            };
        }
        let queued = accepted.plan(plan, *observer);
        let remembered = Remembered { body_digest, queued: queued.clone() };
        plan.remember(&key, remembered.clone());
        self.answered.insert(key, remembered);
        Ok(queued)
    }
}

/// A notification that is not refused.
struct Accepted<'a> {
    item: &'a NewNotification,
    target: &'a mut Target,
    /// The name of the Application.
    source: &'a Arc<str>,
    now: UnixMillis,
}

impl Accepted<'_> {
    /// Plans to queue it, or to drop it where it is for now only and nobody is there.
    fn plan(self, plan: &mut Plan, observer: &dyn CommitHook) -> QueuedNotification {
        let notification = self.notification();
        let Self { item, target, .. } = self;
        let live_only = item.ttl == 0;
        let is_there =
            || observer.reach(target.app, item.puid, target.user) == Reachability::Connected;
        if live_only && (target.paused || !is_there()) {
            plan.add(Outcome::Dropped(notification));
        } else {
            target.rows += 1;
            let row = Row { notification, grant: target.grant, live_only };
            plan.add(Outcome::Queued(row, target.paused));
        }
        let queue_size = u32::try_from(target.rows.min(QUEUE_ITEMS)).unwrap_or(u32::MAX);
        QueuedNotification { id: item.id, queue_size }
    }

    /// It has no number yet.
    fn notification(&self) -> Notification {
        let Self { item, target, source, now } = self;
        let seconds = if item.ttl == 0 { LIVE_SECONDS } else { item.ttl };
        Notification {
            seq: 0,
            id: item.id,
            app: target.app,
            source: Arc::clone(source),
            puid: item.puid,
            user: target.user,
            message: item.message.as_str().into(),
            action: item.action.as_str().into(),
            sent_at: *now,
            expires_at: *now + Duration::from_secs(seconds.into()),
        }
    }
}

/// Each part is led by its length, so that no two bodies run together into the same bytes.
fn body_digest(item: &NewNotification) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [item.message.as_bytes(), item.action.as_bytes(), &item.ttl.to_be_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

//! Live notifications: whether each may be queued, and how it is answered. What is then written is in `plan`.

use std::collections::HashMap;
use std::sync::Arc;

use presence_core::model::Notification;
use presence_protocol::app::Queued;
use presence_protocol::limits::QUEUE_ITEMS;
use presence_protocol::{AppId, NotificationId, Puid};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use sha2::{Digest, Sha256};

use super::answer::Ask;
use super::observer::Reach;
use super::plan::{Fate, Plan, Remembered};
use super::round::Round;
use super::target::{self, Target};
use crate::error::StoreError;
use crate::rows::{CHUNK, digest, id, stored};
use crate::tables::idempotency;

/// How long a notification with `ttl: 0` waits for the acknowledgement of a device that is connected now.
const LIVE_SECONDS: u32 = 60;

type Ask1 = Ask<NotifyQuestion, Vec<Result<Queued, NotifyFault>>>;

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
pub enum NotifyFault {
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

/// What is known of those to whom it is sent.
struct Known {
    targets: HashMap<Puid, Target>,
    answered: HashMap<(Puid, String), Remembered>,
}

/// Queues the batches, a few statements for all of them.
pub(super) async fn notify(
    round: &mut Round<'_>,
    asks: &mut [&mut Ask1],
) -> Result<(), StoreError> {
    let mut known = Known::read(round, asks).await?;
    let mut plan = Plan::default();
    for ask in asks {
        let NotifyQuestion { app, items } = &ask.question;
        let answers = items.iter().map(|item| known.answer(round, &mut plan, *app, item)).collect();
        ask.answer = Some(answers);
    }
    let crowded = known.targets.iter().filter(|(_, target)| target.rows > QUEUE_ITEMS);
    let crowded = crowded.map(|(puid, _)| *puid).collect();
    plan.write(round, crowded).await
}

impl Known {
    async fn read(round: &Round<'_>, asks: &[&mut Ask1]) -> Result<Self, StoreError> {
        let items = || asks.iter().flat_map(|ask| &ask.question.items);
        let mut puids: Vec<Puid> = items().map(|item| item.puid).collect();
        puids.sort_unstable();
        puids.dedup();
        let targets = target::targets(round, &puids).await?;
        let mut known = Self { targets, answered: HashMap::new() };
        let keyed: Vec<(Puid, &str)> = items()
            .filter_map(|item| Some((item.puid, item.idempotency_key.as_deref()?)))
            .collect();
        for chunk in keyed.chunks(CHUNK) {
            known.read_answered(round, chunk).await?;
        }
        Ok(known)
    }

    /// Finds more than was asked for where keys of several PUIDs are alike, which does no harm.
    async fn read_answered(
        &mut self,
        round: &Round<'_>,
        keyed: &[(Puid, &str)],
    ) -> Result<(), StoreError> {
        let rows = idempotency::Entity::find()
            .filter(idempotency::Column::Puid.is_in(keyed.iter().map(|(puid, _)| puid.to_string())))
            .filter(idempotency::Column::Key.is_in(keyed.iter().map(|(_, key)| *key)))
            .filter(idempotency::Column::ExpiresAt.gt(stored(round.now)))
            .all(round.db)
            .await?;
        for row in rows {
            let queue_size =
                row.queue_size.try_into().map_err(|_| StoreError::Nonsense("idempotency"))?;
            let queued = Queued { id: id("idempotency", &row.notification_id)?, queue_size };
            let body_digest = digest("idempotency", &row.body_digest)?;
            let remembered = Remembered { body_digest, queued };
            self.answered.insert((id("idempotency", &row.puid)?, row.key), remembered);
        }
        Ok(())
    }

    fn answer(
        &mut self,
        round: &Round<'_>,
        plan: &mut Plan,
        app: AppId,
        item: &NewNotification,
    ) -> Result<Queued, NotifyFault> {
        let target = self.targets.get_mut(&item.puid).filter(|target| target.app == app);
        let target = target.ok_or(NotifyFault::UnknownUid)?;
        let Some(key) = &item.idempotency_key else {
            return Ok(accept(round, plan, item, target));
        };
        let key = (item.puid, key.clone());
        let body_digest = body_digest(item);
        if let Some(before) = self.answered.get(&key) {
            let same = before.body_digest == body_digest;
            return if same {
                Ok(before.queued.clone())
            } else {
                Err(NotifyFault::IdempotencyMismatch)
            };
        }
        let queued = accept(round, plan, item, target);
        let remembered = Remembered { body_digest, queued: queued.clone() };
        plan.remember(&key, remembered.clone());
        self.answered.insert(key, remembered);
        Ok(queued)
    }
}

/// Plans to queue a notification, or to drop it where it is for now only and nobody is there.
fn accept(
    round: &Round<'_>,
    plan: &mut Plan,
    item: &NewNotification,
    target: &mut Target,
) -> Queued {
    let live_only = item.ttl == 0;
    let reachable = || round.reach(target.app, item.puid, target.user) == Reach::Connected;
    let dropped = live_only && (target.paused || !reachable());
    if !dropped {
        target.rows += 1;
    }
    let seconds = if live_only { LIVE_SECONDS } else { item.ttl };
    let notification = Notification {
        seq: 0,
        id: item.id,
        app: target.app,
        source: Arc::clone(&target.source),
        puid: item.puid,
        user: target.user,
        message: item.message.as_str().into(),
        action: item.action.as_str().into(),
        sent_at: round.now,
        expires_at: round.now.saturating_add(u64::from(seconds) * 1000),
    };
    plan.add(if dropped {
        Fate::Dropped(notification)
    } else {
        Fate::Queued { notification, live_only, paused: target.paused }
    });
    Queued {
        id: item.id,
        queue_size: u32::try_from(target.rows.min(QUEUE_ITEMS)).unwrap_or(u32::MAX),
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
